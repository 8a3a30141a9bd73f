//! The port of the outbox: notifications that wait to be sent.

use async_trait::async_trait;
use domain::Timestamp;
use domain::notification::Outgoing;
use uuid::Uuid;

use crate::error::{ChangeError, StoreError};
use crate::shard::{Shard, Shards};

/// How many notifications are still to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waiting {
    /// Their number.
    pub count: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// Those that were tried already.
    pub tried: u64,
}

/// As many notifications of one PIM are kept: more than its subscriptions have when all of them end at once, on both
/// channels.
pub const MOST_NOTIFICATIONS: usize = 2_000;

/// Notifications that wait to be sent, and emails of the last hour. At most [`MOST_NOTIFICATIONS`] of a PIM: where a
/// change brings more, the oldest of the client that has the most of them goes. The change itself is never refused for
/// it, and the owner finds it in the log.
#[async_trait]
pub trait Outbox: Shards {
    /// A notification that is kept, by [`Outgoing::id`].
    async fn notification(&self, id: Uuid) -> Result<Option<Outgoing>, StoreError>;

    /// Notifications of a shard that are kept with an [`Outgoing::number`] behind `after`, or from the first one on, in
    /// the order in which they were made. Numbers may be given again once the highest ones are settled.
    async fn notifications(&self, shard: Shard, after: Option<u64>, limit: usize) -> Result<Vec<Outgoing>, StoreError>;

    /// The numbers of all that are kept of a shard.
    async fn notification_numbers(&self, shard: Shard) -> Result<Vec<u64>, StoreError>;

    /// Replaces a notification that waits: it will be tried again, or goes another way. Nothing if it is settled; a
    /// [`ChangeError::Conflict`] if it was made from an older one than is kept ([`Outgoing::revision`], which is
    /// counted up).
    async fn put_back_notification(&self, outgoing: Outgoing) -> Result<(), ChangeError>;

    /// Forgets a notification that was sent or given up, by [`Outgoing::id`].
    async fn settle_notification(&self, id: Uuid) -> Result<(), StoreError>;

    /// What is still to be sent, in numbers.
    async fn count_waiting(&self) -> Result<Waiting, StoreError>;
}
