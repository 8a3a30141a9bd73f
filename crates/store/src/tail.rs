//! The hot tail: the newest events of the log in bounded memory, so that a lane that keeps up never reads the disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{LoggedEvent, Position};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Memory shared by the tails of several shards: a busy one may use all of it, and none has less than its share.
#[derive(Debug)]
pub struct Memory {
    most: usize,
    share: usize,
    used: AtomicUsize,
}

impl Memory {
    /// This many bytes for this many tails.
    pub fn new(most: usize, tails: usize) -> Arc<Memory> {
        Arc::new(Memory { most, share: most / tails.max(1), used: AtomicUsize::new(0) })
    }

    /// Whether a tail with this many bytes must give some back.
    fn is_short(&self, bytes: usize) -> bool {
        bytes > self.share && self.used.load(Ordering::Relaxed) > self.most
    }
}

/// The newest events, in order, and the head of the log.
#[derive(Debug)]
pub struct Tail {
    ring: Mutex<Ring>,
    head: watch::Sender<Position>,
    memory: Arc<Memory>,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<LoggedEvent>>,
    bytes: usize,
    /// All events from here to the head are in the ring.
    complete_from: Position,
}

impl Tail {
    /// A tail of at most `max_bytes` of events, for a log whose next event gets the position `head`.
    pub fn new(head: Position, max_bytes: usize) -> Tail {
        Tail::sharing(head, &Memory::new(max_bytes, 1))
    }

    /// One of several tails that share their memory.
    pub fn sharing(head: Position, memory: &Arc<Memory>) -> Tail {
        let ring = Ring { events: VecDeque::new(), bytes: 0, complete_from: head };
        Tail { ring: Mutex::new(ring), head: watch::Sender::new(head), memory: Arc::clone(memory) }
    }

    /// Adds events that are on stable storage, in order; the head is the position after the last of them. Called by the
    /// backend.
    pub fn push(&self, events: impl IntoIterator<Item = Arc<LoggedEvent>>) {
        let mut ring = self.ring.lock();
        let mut head = None;
        for event in events {
            head = Some(event.position.next());
            ring.bytes += cost(&event);
            self.memory.used.fetch_add(cost(&event), Ordering::Relaxed);
            ring.events.push_back(event);
        }
        self.shrink(&mut ring);
        drop(ring);
        if let Some(head) = head {
            self.head.send_replace(head);
        }
    }

    /// Gives memory back if all tails together have too much: a quiet one does so only when it is asked.
    pub fn give_way(&self) {
        self.shrink(&mut self.ring.lock());
    }

    fn shrink(&self, ring: &mut Ring) {
        while self.memory.is_short(ring.bytes) {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes -= cost(&oldest);
            self.memory.used.fetch_sub(cost(&oldest), Ordering::Relaxed);
            ring.complete_from = oldest.position.next();
        }
    }

    /// Position of the next event.
    pub fn head(&self) -> Position {
        *self.head.borrow()
    }

    /// Watch channel of the head.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// At most `max` events from `from` on, or `None` if the tail doesn't reach back that far.
    pub fn since(&self, from: Position, max: usize) -> Option<Vec<Arc<LoggedEvent>>> {
        let ring = self.ring.lock();
        if from < ring.complete_from {
            return None;
        }
        let start = ring.events.partition_point(|event| event.position < from);
        Some(ring.events.range(start..).take(max).cloned().collect())
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.ring.get_mut().bytes, Ordering::Relaxed);
    }
}

/// Memory used by an event in the tail: its text and the bookkeeping around it.
fn cost(event: &LoggedEvent) -> usize {
    event.event.size() + 128
}

#[cfg(test)]
mod tests {
    use domain::testing;

    use super::*;

    fn event(position: u64) -> Arc<LoggedEvent> {
        Arc::new(testing::logged(position, testing::event("id", "t", "{}")))
    }

    #[test]
    fn says_when_it_does_not_reach_back() {
        let room_for_three = 3 * cost(&event(1));
        let tail = Tail::new(Position(1), room_for_three);
        tail.push((1..=5).map(event));
        assert_eq!(tail.head(), Position(6));
        assert!(tail.since(Position(2), 10).is_none());
        let newest = tail.since(Position(3), 10).unwrap();
        assert_eq!(newest.iter().map(|event| event.position.0).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(tail.since(Position(6), 10).unwrap(), []);
    }

    #[test]
    fn tails_share_their_memory_and_each_has_its_share() {
        let one = cost(&event(1));
        let memory = Memory::new(4 * one, 4);
        let [busy, quiet] = [0; 2].map(|_| Tail::sharing(Position(1), &memory));
        let held = |tail: &Tail| tail.ring.lock().events.len();
        quiet.push((1..=4).map(event));
        busy.push([event(1)]);
        assert_eq!((held(&busy), held(&quiet)), (1, 4));
        quiet.give_way();
        assert_eq!((held(&busy), held(&quiet)), (1, 3));
        busy.push((2..=9).map(event));
        assert_eq!(held(&busy), 1, "the other one has the rest");
        drop(quiet);
        busy.push((10..=19).map(event));
        assert_eq!((held(&busy), memory.used.load(Ordering::Relaxed)), (4, 4 * one));
    }

    #[test]
    fn a_new_tail_over_an_old_log_reaches_back_to_its_start_only() {
        let tail = Tail::new(Position(100), 1000);
        assert!(tail.since(Position(99), 1).is_none());
        assert!(tail.since(Position(100), 1).is_some());
    }
}
