//! Settings of the engine.

use std::time::Duration;

/// Settings of the engine.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// The rules of delivery.
    pub delivery: delivery::Settings,
    /// Attempts per second from one PIM to one host and port, over all its subscriptions. Contract page 4, "Fairness":
    /// 400.
    pub host_rate: u32,
    /// Minimum interval between saves of all lanes' cursors. It bounds the duplicates caused by a crash.
    pub save_every: Duration,
    /// Retention of events for suspended subscriptions with `options.hold`, and for lanes that are behind.
    pub retention: Duration,
    /// Interval between deletions of events that no lane needs.
    pub trim_every: Duration,
    /// Number of suspensions from which an entry of the log says that they are too frequent.
    pub frequent: store::transition::Frequent,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            delivery: delivery::Settings::default(),
            host_rate: 400,
            save_every: Duration::from_millis(200),
            retention: Duration::from_secs(7 * 24 * 3600),
            trim_every: Duration::from_secs(10),
            frequent: store::transition::Frequent::default(),
        }
    }
}
