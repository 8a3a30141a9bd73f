//! What is counted about notifications: for metrics.

use meter::{Counter, Counters, Names};

/// A way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// By webhook.
    Webhook,
    /// By email.
    Email,
}

impl Names for Way {
    const ALL: &'static [Way] = &[Way::Webhook, Way::Email];

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Way::Webhook => "webhook",
            Way::Email => "email",
        }
    }
}

/// What is counted from the start of the process on.
#[derive(Debug, Default)]
pub struct Meters {
    /// Notifications that were taken.
    pub sent: Counters<Way>,
    /// Those that were not taken and go again, or another way.
    pub failed: Counters<Way>,
    /// Those that were given up.
    pub given_up: Counter,
}
