//! The port of the catalogue: PIMs, clients, subscribers, subscriptions, the log entries of their owners, and the
//! notifications that wait to be sent.

use async_trait::async_trait;
use domain::log_entry::{LogEntry, LogQuery};
use domain::notification::{Notification, Outgoing};
use domain::pim::{Pim, PlatformToken};
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::Subscription;
use domain::{ClientId, PimId, Position, ServiceHour, SubscriberId, SubscriptionId, Timestamp};

use crate::changes::Changes;
use crate::condition::Condition;
use crate::error::{ChangeError, StoreError};

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
/// A subscriber that is not active has no subscription that is active or suspended: a change that would lead there
/// is a [`ChangeError::Conflict`], for somebody was faster with a new subscription, or with the end of the subscriber.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What must still be so in the commit, else nothing is changed: [`ChangeError::Outdated`].
    pub conditions: Vec<Condition>,
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
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The catalogue's version with this change; see [`Changes`].
    pub version: u64,
    /// The head of the log: events from here on are judged by what was changed.
    pub head: Position,
    /// The subscriptions as they are stored now, stamped, in the order of the change.
    pub subscriptions: Vec<Subscription>,
}

/// What is known of a connection or app beyond its subscribers.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Client {
    /// Whether its PIM allows it to use the platform; `None` = never said otherwise.
    pub permission: Option<bool>,
    /// When it was removed from its PIM; it stays locked out until it is admitted again.
    pub revoked_at: Option<Timestamp>,
    /// The id of the event that told of its last removal, once that was carried out: its producer may repeat it, and a client that was
    /// admitted again since must not be removed by the repetition.
    #[serde(default)]
    pub removal: Option<String>,
    /// Tokens of the platform that the operator issued for it.
    #[serde(default)]
    pub tokens: Vec<PlatformToken>,
    /// Which version of it this is, 0 if nothing is known. The store counts it up with each change, and refuses a
    /// change of an older one.
    #[serde(default)]
    pub revision: u64,
}

/// A page of log entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPage {
    /// The entries, in the order asked for.
    pub entries: Vec<LogEntry>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// PIMs, subscribers, subscriptions and what is told about them.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// Announces committed changes to the engine, and the engine's "in effect" back.
    fn changes(&self) -> &Changes;

    /// All registered PIMs.
    async fn pims(&self) -> Result<Vec<Pim>, StoreError>;

    /// A number that differs after each change of [`Catalog::pims`], also by another process (`postrider pim add`).
    /// Takes microseconds, so that each request can be judged by the registrations of its moment.
    fn pims_version(&self) -> Result<u64, StoreError>;

    /// Registers a PIM; its id is chosen by the store (the given one is ignored).
    async fn add_pim(&self, pim: Pim) -> Result<Pim, ChangeError>;

    /// Replaces a PIM's registration, which was made from that of [`Pim::revision`]: a [`ChangeError::Conflict`] if
    /// there is a newer one. The revision is counted up. [`edit_pim`](crate::edit_pim) reads and tries again.
    async fn update_pim(&self, pim: Pim) -> Result<(), ChangeError>;

    /// Removes a PIM; its subscribers and subscriptions that are not deleted become revoked, with the entries and notifications that
    /// tell so.
    async fn remove_pim(&self, id: PimId, now: Timestamp) -> Result<(), ChangeError>;

    /// What is known of a client; the default if nothing is.
    async fn client(&self, owner: &Owner) -> Result<Client, StoreError>;

    /// Keeps what is known of a client, which was made from that of [`Client::revision`]: a [`ChangeError::Conflict`]
    /// if there is a newer one. The revision is counted up. [`edit_client`](crate::edit_client) reads and tries again.
    async fn put_client(&self, owner: &Owner, client: Client) -> Result<(), ChangeError>;

    /// A subscriber, whatever its status.
    async fn subscriber(&self, id: SubscriberId) -> Result<Option<Subscriber>, StoreError>;

    /// The owner's subscribers that are not deleted, oldest first.
    async fn subscribers(&self, owner: &Owner) -> Result<Vec<Subscriber>, StoreError>;

    /// A subscription, whatever its status.
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError>;

    /// The subscriber's subscriptions that are not deleted, oldest first.
    async fn subscriptions(&self, of: SubscriberId) -> Result<Vec<Subscription>, StoreError>;

    /// Makes a change.
    async fn change(&self, change: Change) -> Result<Made, ChangeError>;

    /// All subscriptions changed after `version` (0 = all that there are) with the version that this answer brings to. Revoked and
    /// deleted ones are included as long as they are kept.
    async fn changed_since(&self, version: u64) -> Result<(u64, Vec<Subscription>), StoreError>;

    /// Adds an entry on its own. Equal errors (owner, subscriber, subscription, message) within 5 minutes of the latest become one.
    async fn add_entry(&self, entry: LogEntry) -> Result<(), StoreError>;

    /// The owner's entries.
    async fn entries(&self, owner: &Owner, query: &LogQuery) -> Result<LogPage, StoreError>;

    /// Deletes entries whose latest occurrence was in an hour of service before `before`; gives their number.
    async fn prune_entries(&self, before: ServiceHour) -> Result<u64, StoreError>;

    /// Forgets subscribers and subscriptions that were deleted in an hour of service before `before`, and those that
    /// ended then with their PIM; gives their number. By then everybody must have seen the change that ended them.
    async fn prune_deleted(&self, before: ServiceHour) -> Result<u64, StoreError>;

    /// Notifications that are kept with an [`Outgoing::number`] behind `after` (0 = all), in the order in which they were made. Numbers may be
    /// given again once the highest ones are settled.
    async fn notifications(&self, after: u64, limit: usize) -> Result<Vec<Outgoing>, StoreError>;

    /// Replaces a notification that waits: it will be tried again, or goes another way. Nothing if it is settled; a
    /// [`ChangeError::Conflict`] if it was made from an older one than is kept ([`Outgoing::revision`], which is
    /// counted up).
    async fn put_back_notification(&self, outgoing: Outgoing) -> Result<(), ChangeError>;

    /// Forgets a notification that was sent or given up, by [`Outgoing::id`].
    async fn settle_notification(&self, id: uuid::Uuid) -> Result<(), StoreError>;

    /// The clients of a PIM of which something is known, or which have a subscriber that is not deleted; by client id.
    async fn clients(&self, pim: PimId) -> Result<Vec<(ClientId, Client)>, StoreError>;
}
