//! What became of an accepted event for one subscription (contract page 8, "Kept events").

use serde::{Deserialize, Serialize};

use crate::id::Position;
use crate::outcome::ErrorReason;
use crate::time::Timestamp;

/// Fate of an event for a subscription.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The subscription did not name its type.
    NotSubscribed,
    /// The filter excluded it.
    FilteredOut,
    /// Accepted before the subscription existed, or while it was suspended without hold.
    NotActive,
    /// Accepted and not tried yet, or held.
    Waiting,
    /// An attempt is in flight.
    InFlight,
    /// Tried, and due for another attempt.
    WaitingForRetry,
    /// The destination has it.
    Delivered,
    /// Tried for the last time.
    GivenUp,
    /// Dropped with a backlog.
    Dropped,
}

impl Fate {
    /// All of them.
    pub const ALL: [Fate; 9] = [
        Fate::NotSubscribed,
        Fate::FilteredOut,
        Fate::NotActive,
        Fate::Waiting,
        Fate::InFlight,
        Fate::WaitingForRetry,
        Fate::Delivered,
        Fate::GivenUp,
        Fate::Dropped,
    ];

    /// Name in responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::NotSubscribed => "not_subscribed",
            Fate::FilteredOut => "filtered_out",
            Fate::NotActive => "not_active",
            Fate::Waiting => "waiting",
            Fate::InFlight => "in_flight",
            Fate::WaitingForRetry => "waiting_for_retry",
            Fate::Delivered => "delivered",
            Fate::GivenUp => "given_up",
            Fate::Dropped => "dropped",
        }
    }
}

/// An event that was tried for the last time without success.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GivenUp {
    /// Position in the log.
    pub position: Position,
    /// Why its last attempt failed.
    pub reason: ErrorReason,
    /// HTTP status of the last response; none without one.
    pub status: Option<u16>,
    /// Number of failed attempts.
    pub attempts: u8,
    /// Time of the last attempt.
    pub at: Timestamp,
}

/// Cause of a dropped backlog.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// A suspension without hold.
    Suspended,
    /// A revocation.
    Revoked,
    /// `options.hold` was switched off during a suspension.
    HoldEnded,
    /// The events exceeded the retention of undelivered events.
    Expired,
    /// The log was nearly full.
    GaveWay,
}

/// A dropped backlog: the matching events of a range of positions, and single ones before it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DroppedBacklog {
    /// Start of the range: the lane had not read from here on.
    pub from: Position,
    /// Exclusive end of the range.
    pub until: Position,
    /// Dropped events outside of the range: in hand, in flight or waiting at that time.
    pub also: Vec<Position>,
    /// Events within the range that were settled before.
    pub except: Vec<Position>,
    /// Cause.
    pub reason: DropReason,
    /// Time of the drop.
    pub at: Timestamp,
    /// Whether some may have been delivered: a crash, or a change faster than the engine, cost the last saved progress.
    pub uncertain: bool,
}

impl DroppedBacklog {
    /// Whether a matching event at `position` was dropped.
    pub fn contains(&self, position: Position) -> bool {
        let in_range = (self.from..self.until).contains(&position) && !self.except.contains(&position);
        in_range || self.also.contains(&position)
    }
}

/// What a running lane knows about an event that its subscription gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whereabouts {
    /// An attempt is in flight.
    InFlight,
    /// Not tried yet.
    Waiting,
    /// Waits for a retry, or for its turn after a 429.
    WaitingForRetry {
        /// Failed attempts so far.
        failures: u8,
        /// Whether the destination throttled it.
        throttled: bool,
        /// Time of the next attempt, by the wall clock.
        due_at: Timestamp,
    },
    /// Given up; possibly not saved yet.
    GivenUp(GivenUp),
    /// Dropped; possibly not saved yet.
    Dropped(DropReason),
    /// The lane is past it: the store knows if it was given up or dropped, otherwise it was delivered.
    Passed,
}

/// Outcomes of attempts within five minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OutcomeCounts {
    /// Start of the five minutes, a multiple of 300 s since the epoch.
    pub from: Timestamp,
    /// Delivered events.
    pub delivered: u64,
    /// Failed attempts.
    pub failed: u64,
    /// Throttled attempts.
    pub throttled: u64,
}
