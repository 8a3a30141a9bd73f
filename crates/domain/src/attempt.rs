//! A remembered delivery attempt (contract page 8, "Attempts and test events").

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Position, ReplayId};
use crate::outcome::ErrorReason;
use crate::time::Timestamp;

/// An attempt that has ended, for one event of a subscription.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Position of the event in the log.
    pub position: Position,
    /// CloudEvents `id` of the event.
    pub event_id: String,
    /// CloudEvents `type` of the event.
    pub event_type: String,
    /// Start of the attempt.
    pub started_at: Timestamp,
    /// Duration of the attempt.
    pub duration: Duration,
    /// Result.
    pub outcome: AttemptOutcome,
    /// Why it failed, or was throttled.
    pub error_reason: Option<ErrorReason>,
    /// HTTP status of the response; none without one.
    pub status: Option<u16>,
    /// First 256 bytes of the response body, unless the status is 2xx.
    pub body: Option<String>,
    /// The replay that made it.
    pub replay: Option<ReplayId>,
}

/// Result of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The destination has the event.
    Delivered,
    /// Failed.
    Failed,
    /// Throttled (429).
    Throttled,
    /// Counts for nothing: a problem of the platform, or an event that the destination did not process.
    NotCounted,
}

impl AttemptOutcome {
    /// All of them.
    pub const ALL: [AttemptOutcome; 4] =
        [AttemptOutcome::Delivered, AttemptOutcome::Failed, AttemptOutcome::Throttled, AttemptOutcome::NotCounted];

    /// Name in responses.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptOutcome::Delivered => "delivered",
            AttemptOutcome::Failed => "failed",
            AttemptOutcome::Throttled => "throttled",
            AttemptOutcome::NotCounted => "not_counted",
        }
    }
}

/// The attempts of a subscription that are remembered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PastAttempts {
    /// Time from which on they are complete.
    pub since: Timestamp,
    /// The attempts, newest first.
    pub attempts: Vec<PastAttempt>,
}
