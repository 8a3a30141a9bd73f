//! Subscribers and subscriptions: each method is one transaction or one read. Rows are in `rows`, changes in `change`.

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
use crate::PostgresStore;
use crate::args::{args, int};
use crate::lines::{PLATFORM, of_client, of_pim};

#[async_trait]
impl Subscriptions for PostgresStore {
    async fn subscriber(&self, id: SubscriberId) -> Result<Option<Subscriber>, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        Ok(rows::subscribers(&line, &self.at.vault, "id = $1", args![id.0]).await?.pop())
    }

    async fn subscribers(&self, owner: &Owner) -> Result<Vec<Subscriber>, StoreError> {
        let line = self.at.readers.line(of_client(owner)).await?;
        let which = "pim = $1 AND client_id = $2 AND status <> 'deleted' ORDER BY created_at, id";
        let pim = int(owner.pim.0);
        Ok(rows::subscribers(&line, &self.at.vault, which, args![pim, owner.client_id.0]).await?)
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        Ok(rows::subscriptions(&line, &self.at.vault, "id = $1", args![id.0]).await?.pop())
    }

    async fn subscriptions(&self, of: SubscriberId) -> Result<Vec<Subscription>, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let which = "subscriber_id = $1 AND status <> 'deleted' ORDER BY created_at, id";
        Ok(rows::subscriptions(&line, &self.at.vault, which, args![of.0]).await?)
    }

    async fn subscriber_page(&self, query: &SubscriberQuery) -> Result<Page<Subscriber>, StoreError> {
        let line = self.at.readers.line(holder(&query.of)).await?;
        Ok(pages::subscribers(&line, &self.at.vault, query).await?)
    }

    async fn subscription_page(&self, query: &SubscriptionQuery) -> Result<Page<Subscription>, StoreError> {
        let line = self.at.readers.line(holder(&query.of)).await?;
        Ok(pages::subscriptions(&line, &self.at.vault, query).await?)
    }

    async fn count_subscriptions(&self) -> Result<SubscriptionCounts, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        Ok(pages::count(&line).await?)
    }

    async fn change(&self, change: Change) -> Result<Made, ChangeError> {
        if let Some(fence) = &change.fence {
            self.at.believes(fence)?;
        }
        let tx = self.at.changes.begin().await?;
        let made = change::make(&tx, &self.at, &change).await;
        let made = tx.end(made).await?;
        self.at.wrote(made.shard, made.version);
        Ok(made)
    }

    async fn changed_page(&self, shard: Shard, since: Option<u64>, at_most: usize) -> Result<ChangedPage, StoreError> {
        let tx = self.at.readers.snapshot(PLATFORM).await?;
        let page = pages::changed(&tx, &self.at.vault, shard, since, at_most).await;
        Ok(tx.end(page).await?)
    }

    async fn prune_deleted(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError> {
        self.at.believes(tenure)?;
        self.forget_clients().await?;
        let mut pruned = 0;
        for table in [rows::SUBSCRIPTIONS, rows::SUBSCRIBERS] {
            loop {
                let tx = self.at.begin_owned(tenure).await?;
                let slice = rows::prune(&tx, table, tenure.shard, before).await;
                match tx.end(slice).await? {
                    0 => break,
                    slice => pruned += slice,
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
