//! Views of the hot tail, and whether they are complete.

use std::sync::Arc;

use domain::{LoggedEvent, Position};
use store::{Chunk, Tail};

use super::{Driver, Request};
use crate::core::{Read, Reply};

/// A view of the tail.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Head of the tail, read before the events.
    pub head: Position,
    /// The events; `None`: the tail doesn't reach back that far.
    pub events: Option<Vec<Arc<LoggedEvent>>>,
}

impl Seen {
    /// Looks at the tail: at most `max` events from `from` on.
    pub fn look(tail: &Tail, from: Position, max: usize) -> Seen {
        // Before the events: an append in between only adds events.
        let head = tail.head();
        Seen { head, events: tail.since(from, max) }
    }

    /// A lane's read, if the view has all of it. A change is announced before earlier accepted events are pushed: up to
    /// its position the log may be ahead of the tail.
    fn chunk(self, read: &Read) -> Option<Chunk> {
        let Read { pim, limit, .. } = *read;
        let events = self.events.filter(|_| self.head >= limit.until)?;
        let full = events.len() == limit.events;
        let last = events.last().map(|event| event.position.next());
        let next = last.filter(|_| full).unwrap_or(limit.until).min(limit.until);
        let events = events.into_iter().filter(|event| event.pim == pim && event.position < limit.until).collect();
        Some(Chunk { events, next })
    }
}

impl Driver {
    /// Serves a lane's read from the tail, or from the log if the tail is incomplete.
    pub(super) fn seen_for(&mut self, read: Read, seen: Seen) {
        match seen.chunk(&read) {
            Some(chunk) => self.tell(Reply::Read { id: read.id, chunk: Ok(chunk) }.into()),
            None => self.requests.push_back(Request::Read { read }),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{PimId, testing};
    use store::ReadLimit;

    use super::*;
    use crate::core::ReadId;

    fn event(position: u64) -> Arc<LoggedEvent> {
        Arc::new(testing::logged(position, testing::event("id", testing::UPDATED, "{}")))
    }

    /// A suspension is announced before the events accepted just before it are in the tail: counted from the tail, its
    /// dropped events were none.
    #[test]
    fn the_tail_is_not_taken_for_the_log_where_the_log_is_ahead() {
        let tail = Tail::new(Position(1), 1 << 20);
        tail.push([event(1), event(2)]);
        let chunk = |until| {
            let limit = ReadLimit { events: 10, bytes: 1 << 20, until: Position(until) };
            let read = Read { id: ReadId::of_a_drop(1), pim: PimId(1), from: Position(1), limit };
            let chunk = Seen::look(&tail, read.from, limit.events).chunk(&read)?;
            Some((chunk.events.len(), chunk.next))
        };
        assert_eq!(chunk(5), None);
        assert_eq!(chunk(3), Some((2, Position(3))));
        assert_eq!(chunk(2), Some((1, Position(2))));
    }
}
