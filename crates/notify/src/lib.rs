//! Notifies technical contacts about their subscriptions: the sender of the store's outbox.
//!
//! Reading order: the loop (`sender`), the choice of what to send (`plan`, with the `hours` of addresses), one attempt
//! and its record (`post`), the two channels (`webhook`, `smtp`), and the content of emails (`email`).

mod meters;
mod sender;

mod hours;
mod plan;

mod post;
mod ways;
mod webhook;

mod email;
mod smtp;

mod settings;

pub use meters::{Meters, Way};
pub use sender::{Notifier, STOP_AT_MOST};
pub use settings::Settings;
pub use smtp::{Mailer, SmtpSecurity, SmtpSettings, SmtpSetupError};
pub use ways::Ways;
