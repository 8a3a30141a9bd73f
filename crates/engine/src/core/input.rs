//! What the core is told.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{LoggedEvent, PimId, Position};
use store::{Chunk, StoreError};

use super::output::{AttemptId, ReadId};

/// What the core is told.
#[derive(Debug)]
pub enum Input {
    /// Subscriptions changed. Must be told before events that were accepted after the change.
    Changed {
        /// The version of the catalogue that the core works by from now on.
        version: u64,
        /// The subscriptions that are not as they were in the version before.
        subscriptions: Vec<Subscription>,
    },
    /// The log goes on.
    Events {
        /// All events from [`Core::routed`](super::Core::routed) on, up to but without `next`.
        events: Vec<Arc<LoggedEvent>>,
        /// Where the next ones begin.
        next: Position,
    },
    /// An attempt ended. Whose a silence is ([`Outcome::Silent`]) is judged here.
    Outcomes {
        /// Which attempt.
        attempt: AttemptId,
        /// One for each of its events.
        outcomes: Vec<Outcome>,
    },
    /// Somebody answered, destination or not: see [`Core::listens`](super::Core::listens).
    Heard {
        /// How long ago.
        ago: Duration,
    },
    /// A read ended.
    Read {
        /// Which read.
        id: ReadId,
        /// What was found.
        chunk: Result<Chunk, StoreError>,
    },
    /// A load ended.
    Loaded {
        /// Which load.
        id: ReadId,
        /// What was asked for.
        positions: Vec<Position>,
        /// What was found of it.
        events: Result<Vec<Arc<LoggedEvent>>, StoreError>,
    },
    /// The save under way ended.
    Saved {
        /// Whether it was made.
        result: Result<(), StoreError>,
    },
    /// Events are about to leave the log, for their age.
    Expired {
        /// All before it.
        before: Position,
    },
    /// The log is nearly full, and events are wanted out of it.
    MakeRoom {
        /// Whose events.
        pim: PimId,
        /// All before it.
        before: Position,
    },
    /// Nothing is to be sent any more: the platform stops.
    Stop,
    /// Nothing happened but time.
    Timeout,
}
