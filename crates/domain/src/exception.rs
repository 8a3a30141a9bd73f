//! An event of a lane that did not go straight through: it waits for a retry, for its turn, or for its predecessor.

use serde::{Deserialize, Serialize};

use crate::id::Position;
use crate::time::Timestamp;

/// An unsettled event that the lane's cursor has passed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exception {
    /// Position in the log.
    pub position: Position,
    /// Reason for waiting.
    pub kind: ExceptionKind,
    /// Failed attempts (throttled ones do not count).
    pub failures: u8,
    /// Due time of its next attempt.
    pub due_at: Timestamp,
    /// Time of its first attempt.
    pub first_tried_at: Timestamp,
    /// A number for its entity, the same for equal entities; 0 if the lane does not preserve the order of entities.
    pub entity: u64,
}

/// What an exception waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionKind {
    /// Its retry.
    Retry,
    /// Its turn, after the endpoint throttled it.
    Throttled,
    /// The previous event of the same entity.
    Predecessor,
}
