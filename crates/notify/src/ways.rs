//! The channels of notifications.

use std::sync::Arc;

use sinks::client::HttpClient;
use store::Subscriptions;

use crate::smtp::Mailer;

/// The channels.
#[derive(Clone)]
pub struct Ways {
    /// Calls webhooks; its guard checks their addresses.
    pub webhooks: HttpClient,
    /// Sends emails; `None` without an SMTP server.
    pub mailer: Option<Mailer>,
    /// Where to look up confirmed addresses; `None`: addresses need no confirmation.
    pub contacts: Option<Arc<dyn Subscriptions>>,
}
