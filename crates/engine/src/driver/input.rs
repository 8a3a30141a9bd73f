//! Inputs of the driver.

use std::time::Duration;

use domain::replay::Replay;
use domain::subscription::Subscription;
use domain::{PimId, Position};
use store::{ChangeError, Chunk, StoreError, TenureError};

use super::seen::Seen;
use crate::core::{Read, Reply};

/// An input of the driver: a reply to a [`Request`](super::Request), or another occurrence.
#[derive(Debug)]
pub enum Input {
    /// The head of the log moved, or a change was announced.
    News,
    /// A view of the tail; immediate.
    Seen {
        /// The events, and the head.
        seen: Seen,
    },
    /// The newest announced version of the catalogue; immediate.
    Announced {
        /// The version.
        version: u64,
    },
    /// The requested changes, and the version they lead to.
    Changed {
        /// The version, and the changed subscriptions.
        result: Result<(u64, Vec<Subscription>), StoreError>,
    },
    /// Replays started or ended since the last read.
    Replays {
        /// Result of the read.
        result: Result<Vec<Replay>, StoreError>,
    },
    /// Events missed by the router.
    Missed {
        /// Result of the read.
        result: Result<Chunk, StoreError>,
    },
    /// A view of the tail for a lane.
    SeenFor {
        /// The lane's read.
        read: Read,
        /// The view.
        seen: Seen,
    },
    /// A reply for the core.
    Reply(Reply),
    /// The save ended.
    Saved {
        /// Its result.
        result: Result<(), TenureError>,
    },
    /// The applied version was reported.
    Applied {
        /// The result.
        result: Result<(), TenureError>,
    },
    /// A suspension was tried.
    Suspended {
        /// Number of the suspension.
        number: u64,
        /// Whether the subscription was suspended, or there was nothing to suspend any more.
        result: Result<bool, ChangeError>,
    },
    /// A warning was tried.
    Warned {
        /// Number of the warning.
        number: u64,
        /// Whether it was recorded, or there was nothing to warn of any more.
        result: Result<bool, ChangeError>,
    },
    /// The log was trimmed.
    Trimmed {
        /// Its result.
        result: Result<Trimmed, TenureError>,
    },
    /// A host answered, destination or not; immediate.
    Heard {
        /// Time since the answer.
        ago: Duration,
    },
    /// The platform stops.
    Stop,
    /// A timer is due: see [`Driver::poll_timeout`](super::Driver::poll_timeout).
    Timeout,
}

impl From<Reply> for Input {
    fn from(reply: Reply) -> Input {
        Input::Reply(reply)
    }
}

/// Result of trimming the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Trimmed {
    /// Events before it are older than the retention.
    pub expired: Option<Position>,
    /// The log is nearly full: drop events of this PIM before the position.
    pub pressed: Option<(PimId, Position)>,
}
