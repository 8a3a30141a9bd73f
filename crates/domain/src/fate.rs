//! What became of an accepted event for one subscription (contract page 8, "Kept events").

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exception::{Exception, ExceptionKind};
use crate::id::Position;
use crate::outcome::{ErrorReason, SuspensionReason};
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

    /// Whether positions of the drop may be within a range.
    pub fn touches(&self, positions: &Range<Position>) -> bool {
        let range = self.from < positions.end && positions.start < self.until;
        range || self.also.iter().any(|position| positions.contains(position))
    }

    /// The same without these events.
    #[must_use]
    pub fn without(mut self, delivered: &[Position]) -> DroppedBacklog {
        let range = self.from..self.until;
        self.also.retain(|position| !delivered.contains(position));
        self.except.extend(delivered.iter().filter(|position| range.contains(position)));
        self
    }
}

/// What a running lane knows about an event that its subscription gets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    Dropped {
        /// Cause.
        reason: DropReason,
        /// Time of the drop.
        at: Timestamp,
        /// [`DroppedBacklog::uncertain`].
        uncertain: bool,
    },
    /// Delivered, whatever the store knows.
    Delivered,
    /// The lane is past it: the store knows if it was given up or dropped, otherwise it was delivered.
    Passed,
}

impl Whereabouts {
    /// A waiting event, by its exception.
    pub fn waits(exception: &Exception) -> Whereabouts {
        let Exception { kind, failures, due_at, first_tried_at, .. } = exception;
        // A throttled event that was never tried has its turn to come: the platform itself undid its attempt.
        let throttled = *kind == ExceptionKind::Throttled && *first_tried_at > Timestamp::EPOCH;
        if *kind == ExceptionKind::Predecessor || !throttled && *failures == 0 {
            return Whereabouts::Waiting;
        }
        Whereabouts::WaitingForRetry { failures: *failures, throttled, due_at: *due_at }
    }
}

/// Why an event has its fate. Displayed, it is the message for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// Accepted before the subscription was created.
    NotYetCreated,
    /// The subscription did not name its type.
    OtherType(String),
    /// The filter excluded it: the part that did not hold, in the filter's own syntax.
    Excluded(String),
    /// Accepted while the subscription was suspended without hold.
    Suspended {
        /// Reason of the suspension.
        reason: SuspensionReason,
        /// Start of the suspension.
        since: Timestamp,
    },
    /// Accepted after the subscription was revoked or deleted.
    Over {
        /// Time of that.
        since: Timestamp,
    },
    /// Not tried yet.
    Waits,
    /// Held by a suspension.
    Held {
        /// Reason of the suspension.
        reason: SuspensionReason,
    },
    /// An attempt is in flight.
    InFlight,
    /// Waits for a retry.
    Retry {
        /// Failed attempts so far.
        failures: u8,
    },
    /// The destination throttles it.
    Throttled,
    /// Delivered.
    Delivered,
    /// Given up.
    GivenUp(GivenUp),
    /// Dropped.
    Dropped {
        /// Cause.
        reason: DropReason,
        /// Time of the drop.
        at: Timestamp,
        /// [`DroppedBacklog::uncertain`].
        uncertain: bool,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NotYetCreated => f.write_str("The event was accepted before the subscription was created."),
            Why::OtherType(event_type) => write!(f, "The subscription did not include the type {event_type}."),
            Why::Excluded(condition) => {
                write!(f, "The subscription's filter excluded the event: {condition} did not hold.")
            }
            Why::Suspended { reason, since } => write!(
                f,
                "The event was accepted while the subscription was suspended without hold, since {since}: {reason}."
            ),
            Why::Over { since } => {
                write!(f, "The event was accepted after the subscription had ended at {since}.")
            }
            Why::Waits => f.write_str("The event waits for its first attempt."),
            Why::Held { reason } => {
                write!(f, "The event is held until the subscription is resumed. It is suspended: {reason}.")
            }
            Why::InFlight => f.write_str("An attempt to deliver the event is in progress."),
            Why::Retry { failures: 0 } => f.write_str("The event waits for another attempt."),
            Why::Retry { failures: 1 } => f.write_str("The event waits for a retry after 1 failed attempt."),
            Why::Retry { failures } => {
                write!(f, "The event waits for a retry after {failures} failed attempts.")
            }
            Why::Throttled => {
                f.write_str("The destination answered 429 (too many requests). The event waits to be sent again.")
            }
            Why::Delivered => f.write_str("The destination accepted the event."),
            Why::GivenUp(GivenUp { reason, status, attempts, at, .. }) => {
                let attempts = if *attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
                write!(f, "The event was given up at {at} after {attempts}: {}", reason.sentence())?;
                match status {
                    Some(status) => write!(f, " (status {status})."),
                    None => f.write_str("."),
                }
            }
            Why::Dropped { reason, at, uncertain } => {
                write!(f, "The event was dropped at {at}: {reason}.")?;
                if *uncertain {
                    f.write_str(" It may have been delivered: progress had not been recorded when it was dropped.")?;
                }
                Ok(())
            }
        }
    }
}

impl DropReason {
    /// Whether the lane ended with the drop. Of such drops with one end, the last record is the most precise.
    pub fn ends_the_lane(self) -> bool {
        match self {
            DropReason::Suspended | DropReason::Revoked | DropReason::HoldEnded => true,
            DropReason::Expired | DropReason::GaveWay => false,
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::Suspended => "the subscription was suspended without hold",
            DropReason::Revoked => "the subscription was revoked",
            DropReason::HoldEnded => "hold was switched off while the subscription was suspended",
            DropReason::Expired => "it exceeded the platform's retention before it was delivered",
            DropReason::GaveWay => "the platform's log was nearly full, and held events are dropped first",
        })
    }
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

impl OutcomeCounts {
    /// Length of a step.
    pub const STEP: Duration = Duration::from_secs(300);

    /// No outcomes in the step that contains `at`.
    pub fn at(at: Timestamp) -> OutcomeCounts {
        let step = Self::STEP.as_micros() as i64;
        OutcomeCounts { from: Timestamp::from_micros(at.as_micros().div_euclid(step) * step), ..Self::default() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        (self.delivered, self.failed, self.throttled) == (0, 0, 0)
    }

    /// The counts by step, ascending.
    pub fn sum(counts: impl IntoIterator<Item = OutcomeCounts>) -> Vec<OutcomeCounts> {
        let mut sums = OutcomeSums::default();
        counts.into_iter().for_each(|one| sums.add(&one));
        sums.into_counts()
    }
}

/// Sums of counts by step. Cheap for counts that mostly ascend, as those of one subscription after another do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OutcomeSums {
    /// Ascending.
    steps: Vec<OutcomeCounts>,
    /// Place after that of the last addition.
    next: usize,
}

impl OutcomeSums {
    /// Adds counts to their step.
    pub fn add(&mut self, counts: &OutcomeCounts) {
        let is_next = self.steps.get(self.next).is_some_and(|step| step.from == counts.from);
        let place = if is_next { self.next } else { self.steps.partition_point(|step| step.from < counts.from) };
        match self.steps.get_mut(place).filter(|step| step.from == counts.from) {
            Some(step) => {
                step.delivered += counts.delivered;
                step.failed += counts.failed;
                step.throttled += counts.throttled;
            }
            None => self.steps.insert(place, *counts),
        }
        self.next = place + 1;
    }

    /// The sums, ascending.
    pub fn into_counts(self) -> Vec<OutcomeCounts> {
        self.steps
    }
}
