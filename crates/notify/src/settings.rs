//! What the operator may set about notifications, and the contract's times.

use std::time::Duration;

/// Settings of the sender.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// `https://…` under which the platform is reached: emails say which call resumes a subscription.
    pub public_url: String,
    /// Whether notification webhooks may be `http://`: for development.
    pub allow_http: bool,
    /// How long a webhook may take to answer (contract page 5: 5 s).
    pub webhook_timeout: Duration,
    /// Pauses between the attempts of a webhook, each from the end of an attempt (contract pages 5 and 7: 1 s and 2 s).
    pub webhook_pauses: Vec<Duration>,
    /// An email that could not be handed over is tried again after this long, and twice as long each further time.
    pub email_first_pause: Duration,
    /// But never longer than this.
    pub email_longest_pause: Duration,
    /// A notification that was tried for longer than this, pauses added up, is given up: the platform's own downtime
    /// and clocks do not age it.
    pub email_give_up: Duration,
    /// Calls of webhooks at the same time; shared fairly by PIM and subscriber.
    pub webhooks_at_once: usize,
    /// Emails that are handed over at the same time, shared in the same way: mail servers count connections.
    pub emails_at_once: usize,
    /// Emails to one address within an hour, over all tenants; what is beyond them is told in one summary.
    pub emails_an_hour: usize,
    /// How long that hour is.
    pub hour: Duration,
    /// The outbox is looked at this often although nothing was announced: for what another process wrote.
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
