//! Subscribers and subscriptions in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::subscriber::{Owner, Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{ServiceHour, SubscriberId, SubscriptionId};
use uuid::Uuid;

use super::{MemoryStore, State};
use crate::catalog::{
    Change, ChangedPage, Made, Page, Put, SubscriberQuery, SubscriptionCounts, SubscriptionQuery, Subscriptions,
};
use crate::error::{ChangeError, StoreError, TenureError};
use crate::shard::{Shard, Shards, Tenure};
use crate::stamp;

#[async_trait]
impl Subscriptions for MemoryStore {
    async fn subscriber(&self, id: SubscriberId) -> Result<Option<Subscriber>, StoreError> {
        Ok(self.state.lock().subscribers.get(&id).cloned())
    }

    async fn subscribers(&self, owner: &Owner) -> Result<Vec<Subscriber>, StoreError> {
        let state = self.state.lock();
        let of_owner = state.subscribers.values().filter(|one| one.owner == *owner);
        let mut found: Vec<_> = of_owner.filter(|one| one.status != SubscriberStatus::Deleted).cloned().collect();
        found.sort_by_key(|one| (one.created_at, one.id));
        Ok(found)
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        Ok(self.state.lock().subscriptions.get(&id).map(|(_, stored)| stored.clone()))
    }

    async fn subscriptions(&self, of: SubscriberId) -> Result<Vec<Subscription>, StoreError> {
        let state = self.state.lock();
        let of_subscriber = state.subscriptions.values().map(|(_, one)| one).filter(|one| one.subscriber_id == of);
        let mut found: Vec<_> =
            of_subscriber.filter(|one| one.status != SubscriptionStatus::Deleted).cloned().collect();
        found.sort_by_key(|one| (one.created_at, one.id));
        Ok(found)
    }

    async fn subscriber_page(&self, query: &SubscriberQuery) -> Result<Page<Subscriber>, StoreError> {
        let state = self.state.lock();
        let behind = state.subscribers.values().filter(|one| query.after.is_none_or(|after| one.id > after));
        let found = behind.filter(|one| query.asks_for(one));
        Ok(Page::of(found.take(query.limit + 1).cloned().collect(), query.limit))
    }

    async fn subscription_page(&self, query: &SubscriptionQuery) -> Result<Page<Subscription>, StoreError> {
        let state = self.state.lock();
        let name = |id| state.subscribers.get(&id).map_or("", |subscriber| subscriber.name.as_str());
        let all = state.subscriptions.values().map(|(_, one)| one);
        let behind = all.filter(|one| query.after.is_none_or(|after| one.id > after));
        let found = behind.filter(|one| query.asks_for(one, name(one.subscriber_id)));
        Ok(Page::of(found.take(query.limit + 1).cloned().collect(), query.limit))
    }

    async fn count_subscriptions(&self) -> Result<SubscriptionCounts, StoreError> {
        let mut counts = SubscriptionCounts::default();
        for (_, one) in self.state.lock().subscriptions.values() {
            match one.status {
                SubscriptionStatus::Active => counts.active += 1,
                SubscriptionStatus::Suspended(_) => counts.suspended += 1,
                SubscriptionStatus::Revoked => counts.revoked += 1,
                SubscriptionStatus::Deleted => {}
            }
        }
        Ok(counts)
    }

    async fn change(&self, change: Change) -> Result<Made, ChangeError> {
        let mut state = self.state.lock();
        let shard = change.pim().map_or(Shard::FIRST, |pim| self.shard_of(pim));
        if let Some(fence) = &change.fence {
            state.owned(fence)?;
        }
        if !state.hold(&change.conditions) {
            return Err(ChangeError::Outdated);
        }
        state.check(&change)?;
        // Nothing fails from here on: all or nothing without an undo.
        if let Some(put) = &change.subscriber {
            let stored = state.subscribers.get(&put.value().id);
            let subscriber = stamp::stamp_subscriber(stored, put)?;
            state.put_subscriber(subscriber);
        }
        if !change.subscriptions.is_empty() {
            state.shard(shard).version += 1;
        }
        let mut subscriptions = Vec::new();
        for put in &change.subscriptions {
            subscriptions.push(state.put(put)?);
        }
        for entry in change.entries {
            state.add(entry);
        }
        state.notify(&change.notifications);
        if let (Some(put), Some(question)) = (change.subscriber, change.question) {
            state.put_out(&put.value().owner, [question]);
        }
        state.announce(shard);
        let state = state.shard(shard);
        Ok(Made { shard, version: state.version, head: state.head(), subscriptions })
    }

    async fn changed_page(&self, shard: Shard, since: Option<u64>, at_most: usize) -> Result<ChangedPage, StoreError> {
        let mut state = self.state.lock();
        let newest = state.shard(shard).version;
        let of_shard = state.subscriptions.values().filter(|(_, one)| state.spread.shard_of(one.pim) == shard);
        let mut changed: Vec<_> = of_shard.filter(|(changed, _)| since.is_none_or(|since| *changed > since)).collect();
        changed.sort_by_key(|(changed, one)| (*changed, one.id));
        let version = changed.get(at_most.saturating_sub(1)).map_or(newest, |(changed, _)| *changed);
        let subscriptions = changed.into_iter().take_while(|(changed, _)| *changed <= version);
        let subscriptions = subscriptions.map(|(_, stored)| stored.clone()).collect();
        Ok(ChangedPage { version, subscriptions, more: version < newest })
    }

    async fn prune_deleted(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError> {
        let mut state = self.state.lock();
        state.owned(tenure)?;
        let State { spread, pims, subscribers, subscriptions, changed, .. } = &mut *state;
        let there = subscribers.len() + subscriptions.len();
        let is_old = |id: Uuid| changed.get(&id).is_none_or(|hour| *hour < before);
        let is_ours = |pim| spread.shard_of(pim) == tenure.shard;
        subscriptions.retain(|id, (_, one)| {
            let ended = one.status == SubscriptionStatus::Deleted
                || (one.status == SubscriptionStatus::Revoked && !pims.contains_key(&one.pim));
            !ended || !is_old(id.0) || !is_ours(one.pim)
        });
        let with_subscriptions: BTreeSet<_> = subscriptions.values().map(|(_, one)| one.subscriber_id).collect();
        subscribers.retain(|id, one| {
            let ended = one.status == SubscriberStatus::Deleted
                || (one.status == SubscriberStatus::Revoked && !pims.contains_key(&one.owner.pim));
            !ended || !is_old(id.0) || !is_ours(one.owner.pim) || with_subscriptions.contains(id)
        });
        let pruned = there - subscribers.len() - subscriptions.len();
        changed.retain(|id, _| {
            subscribers.contains_key(&SubscriberId(*id)) || subscriptions.contains_key(&SubscriptionId(*id))
        });
        state.prune_replays();
        Ok(pruned as u64)
    }
}

impl State {
    /// Checks that all of a change can be made.
    fn check(&mut self, change: &Change) -> Result<(), ChangeError> {
        let mut subscribers = self.subscribers.clone();
        if let Some(put) = &change.subscriber {
            let subscriber = stamp::stamp_subscriber(subscribers.get(&put.value().id), put)?;
            let pim = subscriber.owner.pim;
            subscribers.insert(subscriber.id, subscriber);
            let active = |one: &&Subscriber| one.owner.pim == pim && one.status == SubscriberStatus::Active;
            let over = subscribers.values().filter(active).count() > change.subscriber_limit;
            if over && matches!(put, Put::New(_)) {
                return Err(ChangeError::LimitReached { limit: change.subscriber_limit });
            }
        }
        let mut subscriptions = self.subscriptions.clone();
        for put in &change.subscriptions {
            let id = put.value().id;
            let stored = subscriptions.get(&id).map(|(_, stored)| stored);
            let shard = self.shard_of(put.value().pim);
            let stamped = stamp::stamp(stored, put, shard.head(), shard.ledger.cursor(id))?;
            subscriptions.insert(id, (0, stamped.subscription));
        }
        let counting = |of: SubscriberId| {
            let of_subscriber = subscriptions.values().filter(|(_, one)| one.subscriber_id == of);
            of_subscriber.filter(|(_, one)| one.status.counts()).count()
        };
        for put in &change.subscriptions {
            if let Put::New(new) = put {
                let subscriber = subscribers.get(&new.subscriber_id).ok_or(ChangeError::Missing("subscriber"))?;
                if new.status.counts() && subscriber.status != SubscriberStatus::Active {
                    return Err(ChangeError::Conflict);
                }
                if counting(new.subscriber_id) > change.subscription_limit {
                    return Err(ChangeError::LimitReached { limit: change.subscription_limit });
                }
            }
        }
        match &change.subscriber {
            Some(put) if put.value().status != SubscriberStatus::Active && counting(put.value().id) > 0 => {
                Err(ChangeError::Conflict)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn put_subscriber(&mut self, subscriber: Subscriber) {
        self.changed.insert(subscriber.id.0, self.hour);
        self.subscribers.insert(subscriber.id, subscriber);
    }

    /// Stamps and stores a subscription.
    pub(super) fn put(&mut self, put: &Put<Subscription>) -> Result<Subscription, ChangeError> {
        let id = put.value().id;
        let stored = self.subscriptions.get(&id).map(|(_, stored)| stored.clone());
        let shard = self.shard_of(put.value().pim);
        let (head, version) = (shard.head(), shard.version);
        let stamped = stamp::stamp(stored.as_ref(), put, head, shard.ledger.cursor(id))?;
        self.remember(&stamped, head);
        self.end_replay_of(&stamped.subscription, version);
        let shard = self.shard_of(put.value().pim);
        shard.ledger.affect(id, stamped.subscription.generation, stamped.lane, head);
        self.changed.insert(id.0, self.hour);
        self.subscriptions.insert(id, (version, stamped.subscription.clone()));
        Ok(stamped.subscription)
    }
}
