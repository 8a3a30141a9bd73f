//! Notification counters, for metrics.

use meter::{Counter, Counters, Names};

/// A channel.
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

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Meters {
    /// Accepted notifications.
    pub sent: Counters<Way>,
    /// Failed attempts, to be retried or sent by another channel.
    pub failed: Counters<Way>,
    /// Emails not sent because their address is not confirmed.
    pub unconfirmed: Counter,
    /// Notifications given up.
    pub given_up: Counter,
}
