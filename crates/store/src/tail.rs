//! The hot tail: the newest events of the log in bounded memory, so that a lane that keeps up never reads the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::{LoggedEvent, Position};
use parking_lot::Mutex;
use tokio::sync::watch;

/// The newest events, in order, and the head of the log.
#[derive(Debug)]
pub struct Tail {
    ring: Mutex<Ring>,
    head: watch::Sender<Position>,
    max_bytes: usize,
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
        let ring = Ring { events: VecDeque::new(), bytes: 0, complete_from: head };
        Tail { ring: Mutex::new(ring), head: watch::Sender::new(head), max_bytes }
    }

    /// Adds events that are on stable storage, in order; the head is the position after the last of them. Called by the
    /// backend.
    pub fn push(&self, events: impl IntoIterator<Item = Arc<LoggedEvent>>) {
        let mut ring = self.ring.lock();
        let mut head = None;
        for event in events {
            head = Some(event.position.next());
            ring.bytes += cost(&event);
            ring.events.push_back(event);
        }
        while ring.bytes > self.max_bytes {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes -= cost(&oldest);
            ring.complete_from = oldest.position.next();
        }
        drop(ring);
        if let Some(head) = head {
            self.head.send_replace(head);
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
    fn a_new_tail_over_an_old_log_reaches_back_to_its_start_only() {
        let tail = Tail::new(Position(100), 1000);
        assert!(tail.since(Position(99), 1).is_none());
        assert!(tail.since(Position(100), 1).is_some());
    }
}
