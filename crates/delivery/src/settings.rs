//! The rules of delivery that the operator may change, with the contract's values as defaults.

use std::time::Duration;

use domain::destination::{BatchLimits, Manner};

/// Rules of delivery, the same for all lanes.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Events a second that a lane never falls below. Contract page 4: 1.
    pub lowest_rate: f64,
    /// Events a second that a lane never exceeds. Contract page 4: 100.
    pub highest_rate: f64,
    /// Events a second of a new or resumed subscription. Contract page 4: 10.
    pub first_rate: f64,
    /// Attempts of one lane under way at the same time. 64 of them carry 100 events a second to an endpoint that takes 0.6 s.
    pub max_in_flight: usize,
    /// Pauses before the tries after the first. Contract page 4: 5, 10 and 20 minutes.
    pub retry_delays: Vec<Duration>,
    /// How long an endpoint may throttle an event before it is dropped. Contract page 4: one hour.
    pub undelivered_at_most: Duration,
    /// Outcomes within the hour below which no rate is judged. Contract page 4: 20.
    pub judged_from: u64,
    /// Percentage of successes below which a subscription is suspended. Contract page 4: 90.
    pub success_percent: u64,
    /// How old the oldest failure of the hour must be before the success rate suspends. Contract page 4: 10 minutes.
    pub suspend_after: Duration,
    /// How long a topic may take nothing before it is suspended: hours of service in which it was tried. Contract page 4: 24 hours.
    pub topic_patience: Duration,
    /// Events that a lane holds ready to send. What lies behind is read again from the log's tail or from disk.
    pub max_in_hand: usize,
    /// Bytes of events that a lane holds ready to send; one event is always held.
    pub max_bytes_in_hand: usize,
    /// Events that may wait for a retry or their turn. A lane at the bound takes no fresh events until some are settled. At the highest
    /// rate and the lowest success rate, 10 events a second fail and wait for at most 35 minutes: 21,000.
    pub max_waiting: usize,
    /// Events of one batch to a topic, at most, where its type does not set a lower limit. A lane holds one batch and
    /// as much again.
    pub batch_events: usize,
    /// Bytes of events in a batch, at most, where the type does not set a lower limit; a single event may be larger.
    pub batch_bytes: usize,
    /// The pause after a topic's first failure; each further pause is twice as long.
    pub first_backoff: Duration,
    /// No pause after a topic's failure is longer.
    pub longest_backoff: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Settings {
            lowest_rate: 1.0,
            highest_rate: 100.0,
            first_rate: 10.0,
            max_in_flight: 64,
            retry_delays: vec![minutes(5), minutes(10), minutes(20)],
            undelivered_at_most: minutes(60),
            judged_from: 20,
            success_percent: 90,
            suspend_after: minutes(10),
            topic_patience: minutes(24 * 60),
            max_in_hand: 64,
            max_bytes_in_hand: 256 * 1024,
            max_waiting: 32_768,
            batch_events: 1_000,
            batch_bytes: 1024 * 1024,
            first_backoff: Duration::from_secs(1),
            longest_backoff: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// The largest batch for a type of destination that has these limits.
    pub(crate) fn largest_batch(&self, of_type: BatchLimits) -> BatchLimits {
        BatchLimits { events: self.batch_events.min(of_type.events), bytes: self.batch_bytes.min(of_type.bytes) }
    }

    /// How many events, and bytes of events, a lane holds ready to send.
    pub fn in_hand(&self, manner: Manner) -> (usize, usize) {
        match manner {
            Manner::OneByOne => (self.max_in_hand, self.max_bytes_in_hand),
            Manner::InBatches(limits) => {
                let BatchLimits { events, bytes } = self.largest_batch(limits);
                (events, bytes)
            }
        }
    }
}
