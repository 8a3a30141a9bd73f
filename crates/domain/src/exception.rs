//! An event of a lane that did not go straight through: it waits for a retry, for its turn, or for its predecessor.

use serde::{Deserialize, Serialize};

use crate::id::Position;
use crate::time::Timestamp;

/// An event that is not settled although the lane's cursor is past it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exception {
    /// Its place in the log.
    pub position: Position,
    /// What it waits for.
    pub kind: ExceptionKind,
    /// Attempts made that failed (throttled ones do not count).
    pub failures: u8,
    /// When its next attempt is due.
    pub due_at: Timestamp,
    /// When its first attempt was made.
    pub first_tried_at: Timestamp,
    /// Which entity it is about, as a number that equal entities share; 0 where the lane does not keep the order of entities.
    pub entity: u64,
}

/// What an exception waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionKind {
    /// Its retry.
    Retry,
    /// Its turn, after the endpoint said "too fast".
    Throttled,
    /// The event of the same entity before it.
    Predecessor,
}
