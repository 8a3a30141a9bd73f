//! Port of subscribers and subscriptions, which change together.

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

/// A new or a changed object.
#[derive(Clone, Debug)]
pub enum Put<T> {
    /// Not stored yet; its revision is 0.
    New(T),
    /// Stored with the preceding revision, otherwise [`ChangeError::Conflict`].
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

/// Changes that are made all or none, with their entries and notifications.
///
/// The store stamps the fields that only it can know. For each subscription:
/// - new, with another status than the stored one (ignoring the reason), or suspended and holding events only before or
///   only from now on: `status_since` is the head of the log, and `generation` is that of the stored one plus one (0 if
///   new);
/// - with another selection than the stored one: the stored one is added to `past_selections` with the head; those that
///   the lane has passed are removed;
/// - new, resumed without held events, or suspended and holding events only from now on: its lane starts at the head
///   (`lane_since`), without exceptions and memory. Resumed with held events: the lane continues at its cursor, without
///   memory;
/// - suspended or revoked: a lane that followed the mark gets the current mark as its own cursor, so that later marks
///   do not move it past events kept by `hold`. Deleted: its lane is deleted.
///
/// All changes concern PIMs of one shard.
///
/// A subscriber that is not active has no active or suspended subscription. A change that would lead there is a
/// [`ChangeError::Conflict`], because a concurrent change created the subscription or ended the subscriber.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Conditions that must hold in the commit, otherwise nothing is changed: [`ChangeError::Outdated`].
    pub conditions: Vec<Condition>,
    /// Tenure of the shard's owner, for changes made by an engine: [`ChangeError::Fenced`] if it has been superseded.
    pub fence: Option<Tenure>,
    /// The changed subscriber, if any.
    pub subscriber: Option<Put<Subscriber>>,
    /// Changed subscriptions.
    pub subscriptions: Vec<Put<Subscription>>,
    /// Maximum number of active subscribers of the PIM, checked if the subscriber is new.
    pub subscriber_limit: usize,
    /// Maximum number of active or suspended subscriptions of the subscriber, checked if a subscription is new.
    pub subscription_limit: usize,
    /// Log entries for the owner.
    pub entries: Vec<LogEntry>,
    /// Notifications for the technical contact: stored as [`Outgoing`], addressed to the subscriber's contact at that
    /// time.
    pub notifications: Vec<Notification>,
    /// Confirmation email to the contact of the changed subscriber, stored in the outbox as given.
    pub question: Option<Outgoing>,
}

impl Change {
    /// The PIM concerned; `None` if the change is empty.
    pub fn pim(&self) -> Option<PimId> {
        let subscriber = self.subscriber.as_ref().map(|put| put.value().owner.pim);
        let subscription = self.subscriptions.first().map(|put| put.value().pim);
        subscriber.or(subscription).or_else(|| self.entries.first().map(|entry| entry.owner.pim))
    }
}

/// A committed change.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The changed shard.
    pub shard: Shard,
    /// Version of the shard's catalogue including this change; see [`Shards::in_effect`].
    pub version: u64,
    /// Head of the shard's log: the change applies to events from here on.
    pub head: Position,
    /// The subscriptions as stored, stamped, in the order of the change.
    pub subscriptions: Vec<Subscription>,
}

/// Subscriptions changed up to a version.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedPage {
    /// The version that the page leads to.
    pub version: u64,
    /// The subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Whether there may be later changes.
    pub more: bool,
}

/// Page size of [`Subscriptions::changed_since`].
const CHANGED_AT_ONCE: usize = 500;

/// Number of subscriptions by status.
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

    /// Numbers of subscriptions that are not deleted.
    async fn count_subscriptions(&self) -> Result<SubscriptionCounts, StoreError>;

    /// Commits a change.
    async fn change(&self, change: Change) -> Result<Made, ChangeError>;

    /// Subscriptions of a shard changed after a version, or all of them (`None`), oldest change first. Revoked and
    /// deleted ones are included as long as they are retained. A page ends with the version of its `at_most`-th
    /// subscription: it contains everything changed by that version.
    async fn changed_page(&self, shard: Shard, since: Option<u64>, at_most: usize) -> Result<ChangedPage, StoreError>;

    /// The same read page by page, ordered by id, with the version that the result represents.
    async fn changed_since(
        &self,
        shard: Shard,
        mut since: Option<u64>,
    ) -> Result<(u64, Vec<Subscription>), StoreError> {
        let mut changed: Vec<Subscription> = Vec::new();
        loop {
            let page = self.changed_page(shard, since, CHANGED_AT_ONCE).await?;
            changed.extend(page.subscriptions);
            since = Some(page.version);
            if page.more {
                continue;
            }
            // One that was changed between two pages is in both: the latter counts.
            changed.sort_by_key(|one| one.id);
            changed.dedup_by(|later, earlier| {
                let same = later.id == earlier.id;
                if same {
                    std::mem::swap(later, earlier);
                }
                same
            });
            return Ok((page.version, changed));
        }
    }

    /// Deletes the records of subscribers and subscriptions of the owner's shard that were deleted in an hour of
    /// service before `before`, and of those that ended then with their PIM. Returns their number. By then every reader
    /// must have seen the change that ended them.
    async fn prune_deleted(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError>;
}
