//! Replays in memory.

use async_trait::async_trait;
use domain::log_entry::LogEntry;
use domain::replay::{Replay, ReplayStatus};
use domain::subscription::Subscription;
use domain::{ReplayId, SubscriptionId};

use super::{MemoryStore, State};
use crate::condition::Condition;
use crate::error::{ChangeError, StoreError};
use crate::replays::{CANCELLED, REMEMBERED, ReplaySave, Replays};
use crate::shard::Shard;
use crate::stamp;

/// A replay, and the version of the catalogue in which it was started or ended.
#[derive(Clone, Debug)]
pub(super) struct StoredReplay {
    version: u64,
    replay: Replay,
}

#[async_trait]
impl Replays for MemoryStore {
    async fn start_replay(
        &self,
        replay: Replay,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError> {
        let mut state = self.state.lock();
        if !state.hold(&conditions) {
            return Err(ChangeError::Outdated);
        }
        let subscription = state.subscriptions.get(&replay.subscription).map(|(_, stored)| stored);
        let subscription = subscription.ok_or(ChangeError::Missing("subscription"))?;
        let (id, pim, is_active) = (subscription.id, subscription.pim, subscription.status.is_active());
        let runs = state.replays_of(id).any(|one| one.replay.status == ReplayStatus::Running);
        if !is_active || runs {
            return Err(ChangeError::Conflict);
        }
        let shard = state.spread.shard_of(pim);
        state.shard(shard).version += 1;
        let version = state.shard(shard).version;
        state.replays.push(StoredReplay { version, replay });
        let forgotten = state.replays_of(id).count().saturating_sub(REMEMBERED);
        let forgotten: Vec<_> = state.replays_of(id).take(forgotten).map(|one| one.replay.id).collect();
        state.replays.retain(|one| !forgotten.contains(&one.replay.id));
        state.add(entry);
        state.announce(shard);
        Ok(version)
    }

    async fn cancel_replay(
        &self,
        subscription: SubscriptionId,
        id: ReplayId,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError> {
        let mut state = self.state.lock();
        if !state.hold(&conditions) {
            return Err(ChangeError::Outdated);
        }
        let found = state.replays_of(subscription).find(|one| one.replay.id == id);
        let found = found.ok_or(ChangeError::Missing("replay"))?;
        if found.replay.status != ReplayStatus::Running {
            return Err(ChangeError::Conflict);
        }
        let shard = state.spread.shard_of(found.replay.owner.pim);
        state.shard(shard).version += 1;
        let version = state.shard(shard).version;
        state.end_replay(subscription, version, ReplayStatus::Cancelled, CANCELLED.to_owned());
        state.add(entry);
        state.announce(shard);
        Ok(version)
    }

    async fn replay(&self, subscription: SubscriptionId, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        let state = self.state.lock();
        Ok(state.replays_of(subscription).find(|one| one.replay.id == id).map(|one| one.replay.clone()))
    }

    async fn replays(&self, subscription: SubscriptionId) -> Result<Vec<Replay>, StoreError> {
        let state = self.state.lock();
        Ok(state.replays_of(subscription).rev().map(|one| one.replay.clone()).collect())
    }

    async fn replays_since(&self, shard: Shard, version: Option<u64>) -> Result<Vec<Replay>, StoreError> {
        let state = self.state.lock();
        let of_shard = state.replays.iter().filter(|one| state.spread.shard_of(one.replay.owner.pim) == shard);
        let asked_for = of_shard.filter(|one| match version {
            None => one.replay.status == ReplayStatus::Running,
            Some(version) => one.version > version,
        });
        Ok(asked_for.map(|one| one.replay.clone()).collect())
    }
}

impl State {
    /// Replays of a subscription, oldest first.
    fn replays_of(&self, subscription: SubscriptionId) -> impl DoubleEndedIterator<Item = &StoredReplay> {
        self.replays.iter().filter(move |one| one.replay.subscription == subscription)
    }

    /// Ends the running replay of a subscription, if there is one.
    fn end_replay(&mut self, of: SubscriptionId, version: u64, status: ReplayStatus, reason: String) {
        let is_running =
            |one: &&mut StoredReplay| one.replay.subscription == of && one.replay.status == ReplayStatus::Running;
        if let Some(running) = self.replays.iter_mut().find(is_running) {
            running.version = version;
            running.replay.status = status;
            running.replay.reason = Some(reason);
        }
    }

    /// Ends the running replay of a changed subscription if its status requires it.
    pub(super) fn end_replay_of(&mut self, subscription: &Subscription, version: u64) {
        if let Some((status, reason)) = stamp::replay_end(subscription.status) {
            self.end_replay(subscription.id, version, status, reason);
        }
    }

    pub(super) fn save_replay(&mut self, shard: Shard, save: ReplaySave) {
        let spread = self.spread;
        let found = self.replays.iter_mut().map(|one| &mut one.replay).find(|replay| replay.id == save.id);
        let Some(replay) = found.filter(|replay| spread.shard_of(replay.owner.pim) == shard) else { return };
        replay.progress = save.progress;
        if let (ReplayStatus::Running, Some((status, reason))) = (replay.status, save.end) {
            (replay.status, replay.reason) = (status, reason);
        }
    }

    /// Deletes replays of deleted subscriptions.
    pub(super) fn prune_replays(&mut self) {
        let State { replays, subscriptions, .. } = self;
        replays.retain(|one| subscriptions.contains_key(&one.replay.subscription));
    }
}
