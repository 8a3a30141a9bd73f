//! How a subscription's delivery stands: the answer to "why did my event not arrive?".

use crate::outcome::{Failure, Lack};
use crate::time::Timestamp;

/// A snapshot of one lane.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LaneStatus {
    /// Events a second that the lane sends at most right now; none for topics, which take what they can.
    pub rate: Option<f64>,
    /// Attempts under way.
    pub in_flight: u64,
    /// Matching events that are accepted and not delivered yet, attempts under way and waiting ones included.
    pub backlog: u64,
    /// Whether the backlog was too long to count to its end.
    pub backlog_at_least: bool,
    /// When the oldest of them was accepted.
    pub oldest_accepted_at: Option<Timestamp>,
    /// Events that wait for a retry.
    pub waiting_retries: u64,
    /// Events that wait for their turn after a 429.
    pub throttled: u64,
    /// When the next of the waiting ones is due.
    pub next_due_at: Option<Timestamp>,
    /// Successes of the last rolling hour.
    pub delivered_in_window: u64,
    /// Failures of the last rolling hour.
    pub failed_in_window: u64,
    /// The last success since the platform started.
    pub last_success_at: Option<Timestamp>,
    /// The last failure since the platform started.
    pub last_failure: Option<(Timestamp, Failure)>,
    /// Events of the PIM since the platform started that matched.
    pub matched: u64,
    /// Events of a subscribed type since the platform started that the filter let not pass.
    pub filtered_out: u64,
    /// Since when a topic has taken nothing although it was tried; none for endpoints, and while it takes events.
    pub taking_nothing_since: Option<Timestamp>,
    /// What slows the lane down besides its own rate.
    pub slowed_by: Option<SlowedBy>,
    /// What the platform itself lacks to deliver to this subscription.
    pub lacks: Vec<Lack>,
}

/// What slows a lane down besides its own rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlowedBy {
    /// The PIM's subscriptions together send to this host as fast as is allowed (`delivery.host_rate`).
    HostRate,
    /// Others use what is shared.
    Share,
}

impl SlowedBy {
    /// The name in answers and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            SlowedBy::HostRate => "host_rate",
            SlowedBy::Share => "share",
        }
    }
}
