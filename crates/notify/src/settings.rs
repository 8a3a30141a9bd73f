//! Operator settings of notifications, with the contract's times.

use std::time::Duration;

/// Settings of the sender.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Public URL of the platform, `https://…`, used in emails for the call that resumes a subscription.
    pub public_url: String,
    /// Whether notification webhooks may be `http://`, for development.
    pub allow_http: bool,
    /// Time limit of a webhook call (contract page 5: 5 s).
    pub webhook_timeout: Duration,
    /// Pauses between the attempts of a webhook, each from the end of an attempt (contract pages 5 and 7: 1 s and 2 s).
    pub webhook_pauses: Vec<Duration>,
    /// First pause after a failed email; it doubles each time.
    pub email_first_pause: Duration,
    /// Maximum pause.
    pub email_longest_pause: Duration,
    /// A notification is given up when its pauses add up to more than this: downtime and clock changes don't age it.
    pub email_give_up: Duration,
    /// Maximum number of webhook calls in flight; shared fairly by PIM and subscriber.
    pub webhooks_at_once: usize,
    /// Maximum number of emails being sent, shared in the same way: mail servers limit connections.
    pub emails_at_once: usize,
    /// Maximum number of emails to one address per hour, over all tenants; the rest are merged into one summary.
    pub emails_an_hour: usize,
    /// Length of that hour.
    pub hour: Duration,
    /// Interval of checking the outbox without notice, for changes by other processes.
    pub look_every: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            public_url: "http://localhost:8080".into(),
            allow_http: false,
            webhook_timeout: Duration::from_secs(5),
            webhook_pauses: vec![Duration::from_secs(1), Duration::from_secs(2)],
            email_first_pause: Duration::from_secs(60),
            email_longest_pause: Duration::from_secs(3600),
            email_give_up: Duration::from_secs(3 * 24 * 3600),
            webhooks_at_once: 32,
            emails_at_once: 4,
            emails_an_hour: 6,
            hour: Duration::from_secs(3600),
            look_every: Duration::from_secs(15),
        }
    }
}
