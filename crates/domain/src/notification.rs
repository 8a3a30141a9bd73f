//! What a subscriber's technical contact is told: recorded with the change, in one transaction, sent from there.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{SubscriberId, SubscriptionId};
use crate::secret::Secret;
use crate::subscriber::Subscriber;
use crate::subscription::Subscription;
use crate::time::Timestamp;

/// Something that a technical contact is to be told.
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

impl Notification {
    /// A notification about what has just happened to a subscription. `subject` is the URL of its PIM.
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
    /// A question to the contact to confirm its address. Never sent by webhook; not about a subscription.
    #[serde(rename = "contact.question")]
    Question,
}

impl NotificationKind {
    /// The name in the webhook's body.
    pub fn as_str(self) -> &'static str {
        match self {
            NotificationKind::SuspendedBySystem => "subscription.suspended.system",
            NotificationKind::SuspendedByUser => "subscription.suspended.user",
            NotificationKind::Revoked => "subscription.revoked",
            NotificationKind::Resumed => "subscription.resumed",
            NotificationKind::Question => "contact.question",
        }
    }
}

/// A notification on its way by one channel. It holds all that sending needs, so that it survives its subscriber and a
/// change of contact: the contact of the moment of the change is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outgoing {
    /// Its id, another one for each channel.
    pub id: Uuid,
    /// What to tell.
    pub notification: Notification,
    /// The subscriber's name.
    pub subscriber_name: String,
    /// The technical contact: also where it goes if the webhook does not take it.
    pub email: String,
    /// By which way.
    pub channel: Channel,
    /// How many times it was tried in vain on this channel.
    pub attempts: u32,
    /// When it is to be tried.
    pub due_at: Timestamp,
    /// Which version of it this is. The store counts it up with each change, and refuses a change of an older one.
    #[serde(default)]
    pub revision: u64,
    /// The pauses between its attempts so far, in milliseconds: how long it has been tried, whatever clocks say.
    #[serde(default)]
    pub waited_ms: u64,
    /// When it was sent: an email is remembered for an hour, because an address gets only so many of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Its place among all that are kept, chosen by the store.
    #[serde(skip)]
    pub number: u64,
}

/// A way to a technical contact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// An email to [`Outgoing::email`].
    Email {
        /// The notification webhook that did not take it, where this email stands in for one.
        instead_of_webhook: Option<String>,
    },
    /// A call of the notification webhook.
    Webhook {
        /// Where.
        url: String,
        /// What the body is signed with.
        secret: Secret,
        /// Whether an email goes out if the webhook does not take it: there is none on a channel of its own.
        email_if_lost: bool,
    },
    /// An email with a confirmation link.
    Question {
        /// The code in the link.
        code: Secret,
    },
    /// One email to [`Outgoing::email`] instead of many.
    Summary {
        /// How many it stands for.
        count: u64,
        /// The latest of them, oldest first.
        latest: Vec<Held>,
    },
}

/// A notification that is told in a summary, cut to what fits a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// What happened.
    pub kind: NotificationKind,
    /// When.
    pub timestamp: Timestamp,
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Its destination.
    pub destination: String,
    /// Why.
    pub reason: Option<String>,
}

/// As many notifications are told one by one in a summary.
const HELD_AT_MOST: usize = 20;
/// Bytes that a summary keeps of a destination or a reason.
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
    /// What goes out to tell `subscriber` about `notification`: one for each of its channels, at once.
    pub fn to(subscriber: &Subscriber, notification: &Notification) -> Vec<Outgoing> {
        let contact = &subscriber.contact;
        let webhook = match (contact.webhook, &contact.webhook_url, &contact.webhook_secret) {
            (true, Some(url), Some(secret)) => {
                Some(Channel::Webhook { url: url.clone(), secret: secret.clone(), email_if_lost: !contact.email })
            }
            _ => None,
        };
        // Nobody is left without: a contact without a usable channel gets an email.
        let email = (contact.email || webhook.is_none()).then_some(Channel::Email { instead_of_webhook: None });
        let channels = email.into_iter().chain(webhook);
        channels.map(|channel| Outgoing::by(subscriber, notification, channel)).collect()
    }

    /// The email that asks the contact of `subscriber` to confirm its address with `code`.
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

    /// One email that tells this and `others`, which come after it.
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
