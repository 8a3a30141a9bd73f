//! Delivery rules that the operator may change, with the contract's values as defaults.

use std::time::Duration;

use domain::destination::{BatchLimits, Manner};

/// Delivery rules, the same for all lanes.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Minimum rate of a lane in events per second. Contract page 4: 1.
    pub lowest_rate: f64,
    /// Maximum rate of a lane in events per second. Contract page 4: 100.
    pub highest_rate: f64,
    /// Initial rate of a new or resumed subscription in events per second. Contract page 4: 10.
    pub first_rate: f64,
    /// Maximum number of concurrent attempts per lane. 64 of them carry 100 events per second to an endpoint with a
    /// latency of 0.6 s.
    pub max_in_flight: usize,
    /// Pauses before the retries. Contract page 4: 5, 10 and 20 minutes.
    pub retry_delays: Vec<Duration>,
    /// Maximum time for which an endpoint may throttle an event before it is dropped. Contract page 4: one hour.
    pub undelivered_at_most: Duration,
    /// Minimum number of outcomes within the hour before its rate is judged. Contract page 4: 20.
    pub judged_from: u64,
    /// Success rate in percent below which a subscription is suspended. Contract page 4: 90.
    pub success_percent: u64,
    /// Success rate in percent below which the owner is warned. Contract page 8: 95.
    pub failing_percent: u64,
    /// Minimum interval between warnings. Contract page 8: one hour.
    pub warn_every: Duration,
    /// Minimum age of the hour's oldest failure before the success rate suspends. Contract page 4: 10 minutes.
    pub suspend_after: Duration,
    /// Time for which a topic may accept nothing before it is suspended, in hours of service with attempts. Contract
    /// page 4: 24 hours.
    pub topic_patience: Duration,
    /// Maximum number of events that a lane holds ready to send. Later ones are read again from the log's tail or from
    /// disk.
    pub max_in_hand: usize,
    /// Maximum bytes of events that a lane holds ready to send; at least one event is always held.
    pub max_bytes_in_hand: usize,
    /// Maximum number of events waiting for a retry or their turn. A lane at the bound accepts no fresh events until
    /// some are settled. At the highest rate and the lowest success rate, 10 events per second fail and wait for at
    /// most 35 minutes: 21,000.
    pub max_waiting: usize,
    /// Maximum number of events per batch to a topic, unless its type has a lower limit. A lane holds one batch and the
    /// same number again.
    pub batch_events: usize,
    /// Maximum bytes of events per batch, unless the type has a lower limit; a single event may be larger.
    pub batch_bytes: usize,
    /// Pause after a topic's first failure; doubled each time.
    pub first_backoff: Duration,
    /// Longest pause after a topic's failure.
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
            failing_percent: 95,
            warn_every: minutes(60),
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
    /// Maximum batch for a type of destination with these limits.
    pub(crate) fn largest_batch(&self, of_type: BatchLimits) -> BatchLimits {
        BatchLimits { events: self.batch_events.min(of_type.events), bytes: self.batch_bytes.min(of_type.bytes) }
    }

    /// Number of events, and their bytes, that a lane holds ready to send.
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
