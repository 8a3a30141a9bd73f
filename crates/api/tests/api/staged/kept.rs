//! Kept events and replays, with the pause before changes.

use std::ops::Range;

use async_trait::async_trait;
use domain::fate::{DroppedBacklog, OutcomeCounts};
use domain::log_entry::LogEntry;
use domain::replay::Replay;
use domain::subscriber::Owner;
use domain::{PimId, Position, ReplayId, SubscriptionId, Timestamp};
use store::{
    ChangeError, Condition, History, Kept, KeptPage, KeptQuery, Recorded, Replays, Shard, StoreError, Undelivered,
};

use super::Staged;

#[async_trait]
impl Kept for Staged {
    async fn kept_from(&self, pim: PimId) -> Result<Position, StoreError> {
        self.0.kept_from(pim).await
    }

    async fn oldest_kept(&self, pim: PimId) -> Result<Option<Timestamp>, StoreError> {
        self.0.oldest_kept(pim).await
    }

    async fn find(&self, pim: PimId, query: &KeptQuery) -> Result<KeptPage, StoreError> {
        self.works()?;
        self.0.find(pim, query).await
    }

    async fn positions(&self, pim: PimId, accepted: Range<Timestamp>) -> Result<Range<Position>, StoreError> {
        self.0.positions(pim, accepted).await
    }

    async fn history(&self, subscription: SubscriptionId) -> Result<Option<History>, StoreError> {
        self.0.history(subscription).await
    }

    async fn histories(&self, owner: &Owner) -> Result<Vec<History>, StoreError> {
        self.0.histories(owner).await
    }

    async fn recorded(&self, subscription: SubscriptionId, position: Position) -> Result<Recorded, StoreError> {
        self.0.recorded(subscription, position).await
    }

    async fn undelivered(
        &self,
        subscription: SubscriptionId,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Undelivered>, StoreError> {
        self.0.undelivered(subscription, before, limit).await
    }

    async fn exceptional(
        &self,
        subscription: SubscriptionId,
        positions: Range<Position>,
    ) -> Result<(Vec<Position>, Vec<DroppedBacklog>), StoreError> {
        self.0.exceptional(subscription, positions).await
    }

    async fn outcome_counts(
        &self,
        owner: &Owner,
        of: &[SubscriptionId],
        from: Timestamp,
    ) -> Result<Vec<OutcomeCounts>, StoreError> {
        self.0.outcome_counts(owner, of, from).await
    }

    async fn given_up(&self, owner: &Owner, of: &[SubscriptionId], at_most: u32) -> Result<Vec<u32>, StoreError> {
        self.0.given_up(owner, of, at_most).await
    }

    async fn kept_bytes(&self) -> Result<u64, StoreError> {
        self.0.kept_bytes().await
    }
}

#[async_trait]
impl Replays for Staged {
    async fn start_replay(
        &self,
        replay: Replay,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError> {
        self.works()?;
        self.2.pass().await;
        self.0.start_replay(replay, conditions, entry).await
    }

    async fn cancel_replay(
        &self,
        subscription: SubscriptionId,
        id: ReplayId,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError> {
        self.works()?;
        self.2.pass().await;
        self.0.cancel_replay(subscription, id, conditions, entry).await
    }

    async fn replay(&self, subscription: SubscriptionId, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        self.0.replay(subscription, id).await
    }

    async fn replays(&self, subscription: SubscriptionId) -> Result<Vec<Replay>, StoreError> {
        self.0.replays(subscription).await
    }

    async fn replays_since(&self, shard: Shard, version: Option<u64>) -> Result<Vec<Replay>, StoreError> {
        self.0.replays_since(shard, version).await
    }
}
