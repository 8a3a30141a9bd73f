//! The port of subscribers and subscriptions, which change together.

use async_trait::async_trait;
use domain::log_entry::LogEntry;
use domain::notification::{Notification, Outgoing};
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::Subscription;
use domain::{PimId, Position, ServiceHour, SubscriberId, SubscriptionId};

use crate::catalog::page::{Page, SubscriberQuery, SubscriptionQuery};
use crate::condition::Condition;
use crate::error::{ChangeError, StoreError, TenureError};
use crate::shard::{Shard, Shards, Tenure};

/// Something new, or something changed.
#[derive(Clone, Debug)]
pub enum Put<T> {
    /// It is not there yet; its revision is 0.
    New(T),
    /// It is there with a revision one lower than that of this value, else [`ChangeError::Conflict`].
    Changed(T),
}

impl<T> Put<T> {
    /// The value.
    pub fn value(&self) -> &T {
        match self {
            Put::New(value) | Put::Changed(value) => value,
        }
    }
}

/// Changes that are made together or not at all, with what is told about them.
///
/// The store stamps what only it knows. For each subscription:
/// - on a new one, or when the status (without its reason) differs from the stored one: `status_since` = head of the log, and `generation` is one
///   more than the stored one (0 for a new one);
/// - when the selection differs from the stored one: the stored one joins `past_selections` with the head; those that
///   the lane has passed go;
/// - new, or resumed without `options.hold`: its lane starts at the head, without exceptions and memory. Resumed with `hold`: the lane
///   goes on where it stood, without memory.
/// - suspended or revoked: a lane that followed the mark keeps the mark of this moment as its own cursor, so that later marks do not
///   carry it past what `hold` keeps. Deleted: its lane is forgotten.
///
/// All of it concerns PIMs of one shard.
///
/// A subscriber that is not active has no subscription that is active or suspended: a change that would lead there
/// is a [`ChangeError::Conflict`], for somebody was faster with a new subscription, or with the end of the subscriber.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What must still be so in the commit, else nothing is changed: [`ChangeError::Outdated`].
    pub conditions: Vec<Condition>,
    /// The owner of the shard makes it, as an engine does: only as long as it still owns it, else
    /// [`ChangeError::Fenced`].
    pub fence: Option<Tenure>,
    /// A subscriber, if it changes.
    pub subscriber: Option<Put<Subscriber>>,
    /// Subscriptions that change.
    pub subscriptions: Vec<Put<Subscription>>,
    /// At most so many subscribers of the PIM that are active, if a subscriber is new.
    pub subscriber_limit: usize,
    /// At most so many subscriptions of the subscriber that are active or suspended, if a subscription is new.
    pub subscription_limit: usize,
    /// Told to the owner.
    pub entries: Vec<LogEntry>,
    /// To be sent to the technical contact: kept as [`Outgoing`] ones, by the contact that the subscriber has then.
    pub notifications: Vec<Notification>,
    /// A question to the contact of the changed subscriber, put into the outbox as it is.
    pub question: Option<Outgoing>,
}

impl Change {
    /// The PIM that it concerns; `None` if there is nothing in it.
    pub fn pim(&self) -> Option<PimId> {
        let subscriber = self.subscriber.as_ref().map(|put| put.value().owner.pim);
        let subscription = self.subscriptions.first().map(|put| put.value().pim);
        subscriber.or(subscription).or_else(|| self.entries.first().map(|entry| entry.owner.pim))
    }
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The shard that was changed.
    pub shard: Shard,
    /// The version of the shard's catalogue with this change; see [`Shards::in_effect`].
    pub version: u64,
    /// The head of the shard's log: events from here on are judged by what was changed.
    pub head: Position,
    /// The subscriptions as they are stored now, stamped, in the order of the change.
    pub subscriptions: Vec<Subscription>,
}

/// Numbers of subscriptions, by status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SubscriptionCounts {
    /// Active ones.
    pub active: u64,
    /// Suspended ones.
    pub suspended: u64,
    /// Revoked ones.
    pub revoked: u64,
}

/// Subscribers and their subscriptions.
#[async_trait]
pub trait Subscriptions: Shards {
    /// A subscriber, whatever its status.
    async fn subscriber(&self, id: SubscriberId) -> Result<Option<Subscriber>, StoreError>;

    /// The owner's subscribers that are not deleted, oldest first.
    async fn subscribers(&self, owner: &Owner) -> Result<Vec<Subscriber>, StoreError>;

    /// A subscription, whatever its status.
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError>;

    /// The subscriber's subscriptions that are not deleted, oldest first.
    async fn subscriptions(&self, of: SubscriberId) -> Result<Vec<Subscription>, StoreError>;

    /// A page of subscribers.
    async fn subscriber_page(&self, query: &SubscriberQuery) -> Result<Page<Subscriber>, StoreError>;

    /// A page of subscriptions.
    async fn subscription_page(&self, query: &SubscriptionQuery) -> Result<Page<Subscription>, StoreError>;

    /// How many subscriptions there are that are not deleted.
    async fn count_subscriptions(&self) -> Result<SubscriptionCounts, StoreError>;

    /// Makes a change.
    async fn change(&self, change: Change) -> Result<Made, ChangeError>;

    /// All subscriptions of a shard that were changed after a version, or all that there are (`None`), with the version
    /// that this answer brings to. Revoked and deleted ones are included as long as they are kept.
    async fn changed_since(&self, shard: Shard, version: Option<u64>) -> Result<(u64, Vec<Subscription>), StoreError>;

    /// Forgets subscribers and subscriptions of the owner's shard that were deleted in an hour of service before
    /// `before`, and those that ended then with their PIM; gives their number. By then everybody must have seen the
    /// change that ended them.
    async fn prune_deleted(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError>;
}
