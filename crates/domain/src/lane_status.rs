//! Delivery status of a subscription: the answer to "why did my event not arrive?".

use serde::{Deserialize, Serialize};

use crate::outcome::{Failure, Lack};
use crate::time::Timestamp;

/// A snapshot of one lane.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneStatus {
    /// Current maximum rate in events per second; none for topics, which are not rate-limited.
    pub rate: Option<f64>,
    /// Events delivered in the last full minute.
    pub delivered_last_minute: u64,
    /// Attempts in flight.
    pub in_flight: u64,
    /// Accepted, matching, undelivered events, including those in flight and waiting.
    pub backlog: u64,
    /// Whether the backlog was too long to count completely.
    pub backlog_at_least: bool,
    /// Acceptance time of the oldest of them.
    pub oldest_accepted_at: Option<Timestamp>,
    /// Events waiting for a retry.
    pub waiting_retries: u64,
    /// Events waiting for their turn after a 429.
    pub throttled: u64,
    /// Due time of the next waiting event.
    pub next_due_at: Option<Timestamp>,
    /// Successes of the last rolling hour.
    pub delivered_in_window: u64,
    /// Failures of the last rolling hour.
    pub failed_in_window: u64,
    /// The last success since the platform's start.
    pub last_success_at: Option<Timestamp>,
    /// The last failure since the platform's start.
    pub last_failure: Option<(Timestamp, Failure)>,
    /// Matching events of the PIM since the platform's start.
    pub matched: u64,
    /// Events of a subscribed type filtered out since the platform's start.
    pub filtered_out: u64,
    /// Time since which a topic has accepted nothing despite attempts; none for endpoints, and while it accepts events.
    pub taking_nothing_since: Option<Timestamp>,
    /// Slowdown other than the lane's own rate.
    pub slowed_by: Option<SlowedBy>,
    /// What the platform itself lacks to deliver to this subscription.
    pub lacks: Vec<Lack>,
}

/// Slowdowns other than a lane's own rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlowedBy {
    /// The PIM's subscriptions together reach the rate limit of this host (`delivery.host_rate`).
    HostRate,
    /// Other lanes use the shared resources.
    Share,
}

impl SlowedBy {
    /// Name in responses and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            SlowedBy::HostRate => "host_rate",
            SlowedBy::Share => "share",
        }
    }
}
