//! What a subscriber's technical contact is told: recorded with the change, in one transaction, sent from there.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{SubscriberId, SubscriptionId};
use crate::time::Timestamp;

/// A notification that waits to be sent. It holds all that sending needs, so that it survives its subscriber.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notification {
    /// Its id.
    pub id: Uuid,
    /// What happened.
    pub kind: NotificationKind,
    /// When.
    pub timestamp: Timestamp,
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Its subscriber.
    pub subscriber_id: SubscriberId,
    /// The destination as a person knows it.
    pub destination: String,
    /// The event types subscribed to.
    pub events: Vec<String>,
    /// Why, for a person.
    pub reason: Option<String>,
    /// The PIM's URL.
    pub subject: String,
}

/// The kinds of notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NotificationKind {
    /// Suspended by the platform.
    #[serde(rename = "subscription.suspended.system")]
    SuspendedBySystem,
    /// Suspended by its owner.
    #[serde(rename = "subscription.suspended.user")]
    SuspendedByUser,
    /// Revoked.
    #[serde(rename = "subscription.revoked")]
    Revoked,
    /// Resumed.
    #[serde(rename = "subscription.resumed")]
    Resumed,
}
