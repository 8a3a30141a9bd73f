//! A replay: kept events delivered once more (contract page 8, "Replay").

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::id::{Position, ReplayId, SubscriptionId};
use crate::subscriber::Owner;
use crate::time::Timestamp;

/// Name of the header, record header or attribute that marks each delivery of a replay. Its value is the replay's id.
pub const REPLAY_MARK: &str = "x-postrider-replay";

/// A replay, with its progress.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// Its id.
    pub id: ReplayId,
    /// The subscription whose destination gets the events.
    pub subscription: SubscriptionId,
    /// Owner of the subscription.
    pub owner: Owner,
    /// Selected events.
    pub scope: ReplayScope,
    /// A condition beside the subscription's own.
    pub filter: Option<Filter>,
    /// Maximum rate in events per second, below that of the subscription.
    pub rate: Option<f64>,
    /// Time of its request.
    pub created_at: Timestamp,
    /// Status.
    pub status: ReplayStatus,
    /// Why it ended, unless it is done.
    pub reason: Option<String>,
    /// Progress.
    pub progress: ReplayProgress,
}

/// Events selected by a replay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayScope {
    /// Events accepted in a time span.
    Span {
        /// Inclusive start.
        from: Timestamp,
        /// Exclusive end.
        to: Timestamp,
        /// Positions that contain the span; the clock may have been set, so the time of each event counts as well.
        positions: Range<Position>,
        /// Only events that were given up or dropped; all if both are `false`.
        only: Only,
    },
    /// Single events, by position, ascending.
    Events(Vec<Position>),
}

/// Restriction of a replay to undelivered events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Only {
    /// Events given up.
    pub given_up: bool,
    /// Events dropped.
    pub dropped: bool,
}

/// Status of a replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayStatus {
    /// Under way.
    Running,
    /// Came to the end of its scope.
    Done,
    /// Cancelled by its owner.
    Cancelled,
    /// Ended early by the platform.
    Failed,
}

impl ReplayStatus {
    /// Name in responses.
    pub fn as_str(self) -> &'static str {
        match self {
            ReplayStatus::Running => "running",
            ReplayStatus::Done => "done",
            ReplayStatus::Cancelled => "cancelled",
            ReplayStatus::Failed => "failed",
        }
    }
}

/// Progress of a replay.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReplayProgress {
    /// All events of the scope before it are settled or in `open`.
    pub next: Position,
    /// Delivered events.
    pub delivered: u64,
    /// Events given up after four attempts.
    pub failed: u64,
    /// Events not settled by the live lane when the replay came to them.
    pub skipped: u64,
    /// Events that were deleted before the replay came to them, or were not visible.
    pub gone: u64,
    /// Acceptance time of the latest event that it has come to.
    pub at: Option<Timestamp>,
    /// Events behind `next` that wait for a retry: position and number of failed attempts.
    pub open: Vec<(Position, u8)>,
}
