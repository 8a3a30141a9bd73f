//! Subscribers and subscriptions: each method is one transaction or one read. Rows are in `rows`, changes in `change`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::Subscription;
use domain::{ServiceHour, SubscriberId, SubscriptionId};
use fair::Holder;
use store::{
    Change, ChangeError, ChangedPage, Made, Page, Shard, StoreError, SubscriberQuery, SubscriptionCounts,
    SubscriptionQuery, Subscriptions, Tenure, TenureError, Whose,
};

use super::{change, pages, rows};
use crate::SqliteStore;
use crate::readers::{PLATFORM, of_client, of_pim};

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

    async fn subscriber_page(&self, query: &SubscriberQuery) -> Result<Page<Subscriber>, StoreError> {
        let (vault, query) = (Arc::clone(&self.vault), query.clone());
        self.read(holder(&query.of), move |connection| pages::subscribers(connection, &vault, &query)).await
    }

    async fn subscription_page(&self, query: &SubscriptionQuery) -> Result<Page<Subscription>, StoreError> {
        let (vault, query) = (Arc::clone(&self.vault), query.clone());
        self.read(holder(&query.of), move |connection| pages::subscriptions(connection, &vault, &query)).await
    }

    async fn count_subscriptions(&self) -> Result<SubscriptionCounts, StoreError> {
        self.read(PLATFORM, pages::count).await
    }

    async fn change(&self, change: Change) -> Result<Made, ChangeError> {
        if let Some(fence) = &change.fence {
            self.owns(fence)?;
        }
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| change::make(batch, &vault, &change)).await
    }

    async fn changed_page(&self, _: Shard, since: Option<u64>, at_most: usize) -> Result<ChangedPage, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| pages::changed(connection, &vault, since, at_most)).await
    }

    async fn prune_deleted(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError> {
        self.owns(tenure)?;
        self.forget_clients().await?;
        let mut pruned = 0;
        for table in [rows::SUBSCRIPTIONS, rows::SUBSCRIBERS] {
            loop {
                let slice = self.write(move |batch| Ok::<_, StoreError>(rows::prune(batch, table, before)?)).await?;
                pruned += slice;
                if slice == 0 {
                    break;
                }
            }
        }
        Ok(pruned)
    }
}

/// Holder on whose behalf a page is read.
fn holder(of: &Whose) -> Holder {
    match (of.pim, &of.client_id) {
        (Some(pim), Some(client_id)) => of_client(&Owner { pim, client_id: client_id.clone() }),
        (Some(pim), None) => of_pim(pim),
        (None, _) => PLATFORM,
    }
}
