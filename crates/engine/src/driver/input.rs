//! What the driver is told.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{LoggedEvent, PimId, Position};
use store::{ChangeError, Chunk, StoreError, TenureError};

use super::seen::Seen;
use crate::core::{AttemptId, Read, ReadId};

/// What the driver is told: answers to its [`Request`](super::Request)s, and what else happens.
#[derive(Debug)]
pub enum Input {
    /// The head of the log moved, or a change was announced.
    News,
    /// What the tail shows; at once.
    Seen {
        /// The events, and the head.
        seen: Seen,
    },
    /// The newest version of the catalogue that is announced; at once.
    Announced {
        /// The version.
        version: u64,
    },
    /// The changes that were asked for: the version up to which these are all.
    Changed {
        /// The version, and the subscriptions that changed.
        result: Result<(u64, Vec<Subscription>), StoreError>,
    },
    /// Events that the router missed.
    Missed {
        /// What was read.
        result: Result<Chunk, StoreError>,
    },
    /// What the tail shows to a lane.
    SeenFor {
        /// What the lane wants.
        read: Read,
        /// What there is.
        seen: Seen,
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
    /// An attempt ended.
    Outcomes {
        /// Which attempt.
        attempt: AttemptId,
        /// One for each of its events.
        outcomes: Vec<Outcome>,
    },
    /// The save ended.
    Saved {
        /// Whether it was made.
        result: Result<(), TenureError>,
    },
    /// Others were told by which version the core works.
    Applied {
        /// Whether they were.
        result: Result<(), TenureError>,
    },
    /// A suspension was tried.
    Suspended {
        /// Which one.
        number: u64,
        /// Whether the subscription was suspended, or there was nothing to suspend any more.
        result: Result<bool, ChangeError>,
    },
    /// The log was trimmed.
    Trimmed {
        /// What was found.
        result: Result<Trimmed, TenureError>,
    },
    /// Somebody answered, destination or not; at once.
    Heard {
        /// How long ago.
        ago: Duration,
    },
    /// The platform stops.
    Stop,
    /// It is time: see [`Driver::poll_timeout`](super::Driver::poll_timeout).
    Timeout,
}

/// What was found when the log was trimmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Trimmed {
    /// Events before it are older than the platform keeps them.
    pub expired: Option<Position>,
    /// The bound of the log is near: events of this PIM before the position are wanted out of it.
    pub pressed: Option<(PimId, Position)>,
}
