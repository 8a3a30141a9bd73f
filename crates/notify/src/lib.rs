//! Tells technical contacts what happened to their subscriptions: the sender of what waits in the store's outbox.
//!
//! Reading order: the loop (`sender`), what goes next (`plan`, with the `hours` of addresses), one attempt and its
//! record (`post`), the two ways out (`webhook`, `smtp`), and what an email says (`email`).

mod meters;
mod sender;

mod hours;
mod plan;

mod post;
mod webhook;

mod email;
mod smtp;

mod settings;

pub use meters::{Meters, Way};
pub use sender::{Notifier, Ways};
pub use settings::Settings;
pub use smtp::{Mailer, SmtpSecurity, SmtpSettings, SmtpSetupError};
