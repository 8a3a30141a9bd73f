//! Port of the outbox: notifications to be sent.

use async_trait::async_trait;
use domain::Timestamp;
use domain::notification::Outgoing;
use uuid::Uuid;

use crate::error::{ChangeError, StoreError};
use crate::shard::{Shard, Shards};

/// Statistics of unsent notifications.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waiting {
    /// Their number.
    pub count: u64,
    /// Creation time of the oldest.
    pub oldest: Option<Timestamp>,
    /// Number of those already attempted.
    pub tried: u64,
}

/// Maximum number of stored notifications per PIM: more than its subscriptions cause when all of them end at once, on
/// both channels.
pub const MOST_NOTIFICATIONS: usize = 2_000;

/// Unsent notifications, and emails of the last hour. At most [`MOST_NOTIFICATIONS`] per PIM: beyond that, the oldest
/// of the client with the most notifications is dropped. The change itself is never rejected because of this bound, and
/// the owner finds it in the log.
#[async_trait]
pub trait Outbox: Shards {
    /// A stored notification, by [`Outgoing::id`].
    async fn notification(&self, id: Uuid) -> Result<Option<Outgoing>, StoreError>;

    /// Stored notifications of a shard with an [`Outgoing::number`] greater than `after`, or from the first one on, in
    /// the order of their creation. Numbers may be reused once the highest ones are settled.
    async fn notifications(&self, shard: Shard, after: Option<u64>, limit: usize) -> Result<Vec<Outgoing>, StoreError>;

    /// Numbers of all stored notifications of a shard.
    async fn notification_numbers(&self, shard: Shard) -> Result<Vec<u64>, StoreError>;

    /// Replaces an unsent notification that is retried or sent over another channel. Does nothing if it is settled. A
    /// [`ChangeError::Conflict`] if it was made from an older revision than the stored one ([`Outgoing::revision`],
    /// which is incremented).
    async fn put_back_notification(&self, outgoing: Outgoing) -> Result<(), ChangeError>;

    /// Deletes a notification that was sent or given up, by [`Outgoing::id`].
    async fn settle_notification(&self, id: Uuid) -> Result<(), StoreError>;

    /// Statistics of unsent notifications.
    async fn count_waiting(&self) -> Result<Waiting, StoreError>;
}
