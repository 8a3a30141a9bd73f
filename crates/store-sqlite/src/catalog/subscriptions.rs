//! Subscribers and subscriptions: each method is one transaction or one read. The rows are in `rows`, a change in
//! `change`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::Subscription;
use domain::{ServiceHour, SubscriberId, SubscriptionId};
use store::{Change, ChangeError, Made, StoreError, Subscriptions};

use super::{change, rows, version};
use crate::SqliteStore;
use crate::readers::{PLATFORM, of_client};

/// So many changed subscriptions at once are a start, not a change.
const MANY_CHANGES: usize = 1_000;

#[async_trait]
impl Subscriptions for SqliteStore {
    async fn subscriber(&self, id: SubscriberId) -> Result<Option<Subscriber>, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| rows::subscriber(connection, &vault, id)).await
    }

    async fn subscribers(&self, owner: &Owner) -> Result<Vec<Subscriber>, StoreError> {
        let (vault, owner) = (Arc::clone(&self.vault), owner.clone());
        self.read(of_client(&owner), move |connection| {
            let which = "pim = ?1 AND client_id = ?2 AND status <> 'deleted' ORDER BY created_at, id";
            rows::subscribers(connection, &vault, which, (owner.pim.0, owner.client_id.0))
        })
        .await
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| rows::subscription(connection, &vault, id)).await
    }

    async fn subscriptions(&self, of: SubscriberId) -> Result<Vec<Subscription>, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| {
            let which = "subscriber_id = ?1 AND status <> 'deleted' ORDER BY created_at, id";
            rows::subscriptions(connection, &vault, which, (of.0.as_bytes(),))
        })
        .await
    }

    async fn change(&self, change: Change) -> Result<Made, ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| change::make(batch, &vault, &change)).await
    }

    async fn changed_since(&self, since: u64) -> Result<(u64, Vec<Subscription>), StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| {
            // One snapshot.
            let transaction = connection.unchecked_transaction()?;
            let changed = rows::subscriptions(&transaction, &vault, "version > ?1 ORDER BY id", (since,))?;
            let version = version(&transaction)?;
            drop(transaction);
            if changed.len() > MANY_CHANGES {
                // A start: nobody reads all of the catalogue again.
                connection.execute_batch("PRAGMA shrink_memory")?;
            }
            Ok((version, changed))
        })
        .await
    }

    async fn prune_deleted(&self, before: ServiceHour) -> Result<u64, StoreError> {
        self.write(move |batch| Ok(rows::prune(batch.connection(), before)?)).await
    }
}
