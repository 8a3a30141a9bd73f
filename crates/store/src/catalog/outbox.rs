//! The port of the outbox: notifications that wait to be sent.

use async_trait::async_trait;
use domain::notification::Outgoing;

use crate::changes::News;
use crate::error::{ChangeError, StoreError};

/// Notifications that wait to be sent.
#[async_trait]
pub trait Outbox: News {
    /// Notifications that are kept with an [`Outgoing::number`] behind `after` (0 = all), in the order in which they were made. Numbers may be
    /// given again once the highest ones are settled.
    async fn notifications(&self, after: u64, limit: usize) -> Result<Vec<Outgoing>, StoreError>;

    /// Replaces a notification that waits: it will be tried again, or goes another way. Nothing if it is settled; a
    /// [`ChangeError::Conflict`] if it was made from an older one than is kept ([`Outgoing::revision`], which is
    /// counted up).
    async fn put_back_notification(&self, outgoing: Outgoing) -> Result<(), ChangeError>;

    /// Forgets a notification that was sent or given up, by [`Outgoing::id`].
    async fn settle_notification(&self, id: uuid::Uuid) -> Result<(), StoreError>;
}
