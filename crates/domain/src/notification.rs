//! Notifications to a subscriber's technical contact: recorded in the transaction of the change, sent from there.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{SubscriberId, SubscriptionId};
use crate::secret::Secret;
use crate::subscriber::Subscriber;
use crate::subscription::Subscription;
use crate::time::Timestamp;

/// A notification to a technical contact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notification {
    /// Id of the notification.
    pub id: Uuid,
    /// Kind of event.
    pub kind: NotificationKind,
    /// Time of the event.
    pub timestamp: Timestamp,
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Its subscriber.
    pub subscriber_id: SubscriberId,
    /// Human-readable destination.
    pub destination: String,
    /// Subscribed event types.
    pub events: Vec<String>,
    /// Human-readable reason.
    pub reason: Option<String>,
    /// URL of the PIM.
    pub subject: String,
}

impl Notification {
    /// A notification about a change of a subscription. `subject` is the URL of its PIM.
    pub fn about(
        subscription: &Subscription,
        kind: NotificationKind,
        reason: Option<String>,
        subject: &str,
        now: Timestamp,
    ) -> Notification {
        Notification {
            id: Uuid::now_v7(),
            kind,
            timestamp: now,
            subscription_id: subscription.id,
            subscriber_id: subscription.subscriber_id,
            destination: subscription.destination.to_string(),
            events: subscription.selection.events.iter().map(ToString::to_string).collect(),
            reason,
            subject: subject.to_owned(),
        }
    }
}

/// Kinds of notification.
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
    /// Active, but too many of its deliveries fail. Only for contacts that want it.
    #[serde(rename = "subscription.failing")]
    Failing,
    /// A request to the contact to confirm its address. Never sent by webhook; not about a subscription.
    #[serde(rename = "contact.question")]
    Question,
}

impl NotificationKind {
    /// Name in the webhook's body.
    pub fn as_str(self) -> &'static str {
        match self {
            NotificationKind::SuspendedBySystem => "subscription.suspended.system",
            NotificationKind::SuspendedByUser => "subscription.suspended.user",
            NotificationKind::Revoked => "subscription.revoked",
            NotificationKind::Resumed => "subscription.resumed",
            NotificationKind::Failing => "subscription.failing",
            NotificationKind::Question => "contact.question",
        }
    }
}

/// A notification being sent by one channel. It holds everything needed for sending, so that it survives its subscriber
/// and changes of the contact: the contact at the time of the change is notified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outgoing {
    /// Id, different for each channel.
    pub id: Uuid,
    /// Content.
    pub notification: Notification,
    /// The subscriber's name.
    pub subscriber_name: String,
    /// The technical contact, also the fallback if the webhook fails.
    pub email: String,
    /// Channel.
    pub channel: Channel,
    /// Failed attempts on this channel.
    pub attempts: u32,
    /// Due time of the next attempt.
    pub due_at: Timestamp,
    /// Version of the record. The store increments it with each change and rejects changes of an older one.
    #[serde(default)]
    pub revision: u64,
    /// Sum of the pauses between its attempts so far, in milliseconds, independent of clocks.
    #[serde(default)]
    pub waited_ms: u64,
    /// Time of sending: emails are remembered for an hour, because the number of emails per address is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Sequence number among all stored ones, assigned by the store.
    #[serde(skip)]
    pub number: u64,
}

/// A channel to a technical contact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// An email to [`Outgoing::email`].
    Email {
        /// The notification webhook that failed, if this email replaces it.
        instead_of_webhook: Option<String>,
    },
    /// A call of the notification webhook.
    Webhook {
        /// URL.
        url: String,
        /// Secret that signs the body.
        secret: Secret,
        /// Whether an email is sent if the webhook fails: only without an email channel of its own.
        email_if_lost: bool,
    },
    /// An email with a confirmation link.
    Question {
        /// The code in the link.
        code: Secret,
    },
    /// One email to [`Outgoing::email`] instead of many.
    Summary {
        /// Number of notifications it replaces.
        count: u64,
        /// The latest of them, oldest first.
        latest: Vec<Held>,
    },
}

/// A notification within a summary, cut to fit a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// Kind of event.
    pub kind: NotificationKind,
    /// Time of the event.
    pub timestamp: Timestamp,
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Destination of the subscription.
    pub destination: String,
    /// Reason.
    pub reason: Option<String>,
}

/// Maximum number of notifications listed individually in a summary.
const HELD_AT_MOST: usize = 20;
/// Maximum bytes of a destination or a reason in a summary.
const HELD_TEXT: usize = 300;

impl Held {
    fn of(notification: &Notification) -> Held {
        let cut = |text: &str| text.get(..text.floor_char_boundary(HELD_TEXT)).unwrap_or_default().to_owned();
        Held {
            kind: notification.kind,
            timestamp: notification.timestamp,
            subscription_id: notification.subscription_id,
            destination: cut(&notification.destination),
            reason: notification.reason.as_deref().map(cut),
        }
    }
}

impl Outgoing {
    /// The outgoing notifications to `subscriber` about `notification`: one per channel, due at once. None if its
    /// contact doesn't want this kind.
    pub fn to(subscriber: &Subscriber, notification: &Notification) -> Vec<Outgoing> {
        let contact = &subscriber.contact;
        if notification.kind == NotificationKind::Failing && !contact.notify_failing {
            return Vec::new();
        }
        let webhook = match (contact.webhook, &contact.webhook_url, &contact.webhook_secret) {
            (true, Some(url), Some(secret)) => {
                Some(Channel::Webhook { url: url.clone(), secret: secret.clone(), email_if_lost: !contact.email })
            }
            _ => None,
        };
        // A contact without a usable channel gets an email.
        let email = (contact.email || webhook.is_none()).then_some(Channel::Email { instead_of_webhook: None });
        let channels = email.into_iter().chain(webhook);
        channels.map(|channel| Outgoing::by(subscriber, notification, channel)).collect()
    }

    /// The email asking the contact of `subscriber` to confirm its address with `code`.
    pub fn question(subscriber: &Subscriber, code: Secret, subject: &str, now: Timestamp) -> Outgoing {
        let notification = Notification {
            id: Uuid::now_v7(),
            kind: NotificationKind::Question,
            timestamp: now,
            subscription_id: SubscriptionId(Uuid::nil()),
            subscriber_id: subscriber.id,
            destination: String::new(),
            events: Vec::new(),
            reason: None,
            subject: subject.to_owned(),
        };
        Outgoing::by(subscriber, &notification, Channel::Question { code })
    }

    fn by(subscriber: &Subscriber, notification: &Notification, channel: Channel) -> Outgoing {
        Outgoing {
            id: Uuid::now_v7(),
            notification: notification.clone(),
            subscriber_name: subscriber.name.clone(),
            email: subscriber.contact.technical_email.clone(),
            channel,
            attempts: 0,
            due_at: notification.timestamp,
            revision: 0,
            waited_ms: 0,
            sent_at: None,
            number: 0,
        }
    }

    /// One email that combines this and `others`, which follow it.
    #[must_use]
    pub fn summary_with<'a>(self, others: impl IntoIterator<Item = &'a Outgoing>) -> Outgoing {
        let (mut count, mut latest) = match self.channel {
            Channel::Summary { count, latest } => (count, latest),
            Channel::Email { .. } | Channel::Webhook { .. } | Channel::Question { .. } => {
                (1, vec![Held::of(&self.notification)])
            }
        };
        let mut notification = self.notification;
        for other in others {
            count += 1;
            latest.push(Held::of(&other.notification));
            notification = other.notification.clone();
        }
        latest.drain(..latest.len().saturating_sub(HELD_AT_MOST));
        Outgoing { notification, channel: Channel::Summary { count, latest }, ..self }
    }
}
