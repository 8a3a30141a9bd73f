//! The running replay of a lane: its scope, and which events belong to it.

use std::sync::Arc;

use domain::filter::Facets;
use domain::replay::{Only, Replay, ReplayScope};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{LoggedEvent, Position, ReplayId};
use store::{History, ReadLimit};

use super::replay_read::Wanted;

/// Maximum number of single events per read.
const EVENTS_AT_ONCE: usize = 64;

/// Minimum number of events and bytes per read: most may not match, and what exceeds the room in hand is read again.
const LEAST: (usize, usize) = (256, 64 * 1024);

/// Replays of one lane's subscription.
#[derive(Debug, Default)]
pub(super) struct OfLane {
    pub(super) current: Option<Box<Running>>,
    /// Started while attempts of its predecessor are in flight.
    pub(super) next: Option<Arc<Replay>>,
    /// The last one that ended. The store may still show it as running for a moment.
    pub(super) last: Option<ReplayId>,
}

/// A running replay.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) replay: Arc<Replay>,
    /// Histories of its owner's subscriptions, as of this version of the catalogue.
    pub(super) histories: Option<(u64, Vec<History>)>,
    /// Events of its scope were deleted before it came to them.
    pub(super) is_incomplete: bool,
}

impl Running {
    /// Whether any subscription of its owner named the event's type when it was accepted.
    pub(super) fn is_visible(&self, event: &LoggedEvent) -> bool {
        let Some((_, histories)) = &self.histories else { return false };
        histories.iter().filter_map(|history| history.at(event.position)).any(|era| {
            let existed = matches!(era.status, SubscriptionStatus::Active | SubscriptionStatus::Suspended(_));
            existed && era.selection.events.iter().any(|named| named.as_str() == event.event.event_type())
        })
    }

    pub(super) fn is_in_span(&self, event: &LoggedEvent) -> bool {
        match &self.replay.scope {
            ReplayScope::Span { from, to, .. } => (*from..*to).contains(&event.accepted_at),
            ReplayScope::Events(_) => true,
        }
    }

    pub(super) fn only(&self) -> Only {
        match &self.replay.scope {
            ReplayScope::Span { only, .. } => *only,
            ReplayScope::Events(_) => Only::default(),
        }
    }

    /// Whether the subscription selects the event now, and the replay's own filter does.
    pub(super) fn selects(&self, subscription: &Subscription, event: &LoggedEvent) -> bool {
        let (selection, event_type) = (&subscription.selection, event.event.event_type());
        if !selection.events.iter().any(|named| named.as_str() == event_type) {
            return false;
        }
        let mut filters = selection.filter.iter().chain(&self.replay.filter).peekable();
        if filters.peek().is_none() {
            return true;
        }
        let facets = Facets::of(event_type, event.event.data());
        filters.all(|filter| filter.matches(&facets))
    }

    /// Exclusive end of its scope.
    pub(super) fn end(&self) -> Position {
        match &self.replay.scope {
            ReplayScope::Span { positions, .. } => positions.end,
            ReplayScope::Events(positions) => positions.last().map_or(Position(0), |last| last.next()),
        }
    }

    /// The position of its scope behind these.
    pub(super) fn behind(&self, positions: &[Position]) -> Position {
        let ReplayScope::Events(all) = &self.replay.scope else { return self.end() };
        let behind = positions.last().map_or(all.len(), |last| all.partition_point(|one| one <= last));
        all.get(behind).copied().unwrap_or(self.end())
    }

    /// Events to be read from `from` on.
    pub(super) fn wanted(&self, from: Position, (events, bytes): (usize, usize)) -> Wanted {
        match &self.replay.scope {
            ReplayScope::Span { positions, .. } => {
                let from = from.max(positions.start);
                let (events, bytes) = ((events * 4).max(LEAST.0), bytes.max(LEAST.1));
                Wanted::Range { from, limit: ReadLimit { events, bytes, until: positions.end } }
            }
            ReplayScope::Events(positions) => {
                let first = positions.partition_point(|position| *position < from);
                let most = events.clamp(1, EVENTS_AT_ONCE);
                Wanted::Listed(positions.iter().skip(first).take(most).copied().collect())
            }
        }
    }
}
