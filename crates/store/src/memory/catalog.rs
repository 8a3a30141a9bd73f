//! The catalogue in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::log_entry::{LogEntry, LogOrder, LogQuery};
use domain::notification::{Notification, Outgoing};
use domain::pim::Pim;
use domain::subscriber::{Owner, Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{ClientId, PimId, ServiceHour, SubscriberId, SubscriptionId, Timestamp};
use uuid::Uuid;

use super::{KeptEntry, MemoryStore, State};
use crate::catalog::{Catalog, Change, Client, LogPage, Made, Put};
use crate::changes::Changes;
use crate::error::{ChangeError, StoreError};
use crate::{merge, stamp};

#[async_trait]
impl Catalog for MemoryStore {
    fn changes(&self) -> &Changes {
        &self.changes
    }

    async fn pims(&self) -> Result<Vec<Pim>, StoreError> {
        Ok(self.state.lock().pims.values().cloned().collect())
    }

    fn pims_version(&self) -> Result<u64, StoreError> {
        Ok(self.state.lock().pims_version)
    }

    async fn add_pim(&self, mut pim: Pim) -> Result<Pim, ChangeError> {
        let mut state = self.state.lock();
        pim.id = PimId(state.last_pim + 1);
        pim.revision = 0;
        state.is_free(&pim)?;
        state.last_pim += 1;
        state.pims_version += 1;
        state.pims.insert(pim.id, pim.clone());
        Ok(pim)
    }

    async fn update_pim(&self, mut pim: Pim) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        let stored = state.pims.get(&pim.id).ok_or(ChangeError::Missing("PIM"))?;
        if stored.revision != pim.revision {
            return Err(ChangeError::Conflict);
        }
        state.is_free(&pim)?;
        pim.revision += 1;
        state.pims_version += 1;
        state.pims.insert(pim.id, pim);
        Ok(())
    }

    async fn remove_pim(&self, id: PimId, now: Timestamp) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        let pim = state.pims.remove(&id).ok_or(ChangeError::Missing("PIM"))?;
        state.pims_version += 1;
        let subscribers: Vec<_> = state.subscribers.values().filter(|one| one.owner.pim == id).cloned().collect();
        for (revoked, entry) in subscribers.iter().filter_map(|one| stamp::revoke_subscriber(one, now)) {
            state.put_subscriber(revoked);
            state.add(entry);
        }
        let subscriptions = state.subscriptions.values().map(|(_, one)| one).filter(|one| one.pim == id);
        let end = stamp::revoke_subscriptions(subscriptions, &pim.url, now);
        state.version += 1;
        for put in &end.subscriptions {
            state.put(put)?;
        }
        for entry in end.entries {
            state.add(entry);
        }
        state.notify(&end.notifications);
        state.clients.retain(|owner, _| owner.pim != id);
        self.changes.commit(state.version);
        Ok(())
    }

    async fn client(&self, owner: &Owner) -> Result<Client, StoreError> {
        Ok(self.state.lock().clients.get(owner).cloned().unwrap_or_default())
    }

    async fn put_client(&self, owner: &Owner, mut client: Client) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        let known = state.clients.entry(owner.clone()).or_default();
        if known.revision != client.revision {
            return Err(ChangeError::Conflict);
        }
        client.revision += 1;
        *known = client;
        Ok(())
    }

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

    async fn change(&self, change: Change) -> Result<Made, ChangeError> {
        let mut state = self.state.lock();
        if !state.hold(&change.conditions) {
            return Err(ChangeError::Outdated);
        }
        state.check(&change)?;
        // From here on nothing fails: all or nothing without an undo.
        if let Some(put) = &change.subscriber {
            let stored = state.subscribers.get(&put.value().id);
            let subscriber = stamp::stamp_subscriber(stored, put)?;
            state.put_subscriber(subscriber);
        }
        if !change.subscriptions.is_empty() {
            state.version += 1;
        }
        let mut subscriptions = Vec::new();
        for put in &change.subscriptions {
            subscriptions.push(state.put(put)?);
        }
        for entry in change.entries {
            state.add(entry);
        }
        state.notify(&change.notifications);
        self.changes.commit(state.version);
        Ok(Made { version: state.version, head: state.head(), subscriptions })
    }

    async fn changed_since(&self, version: u64) -> Result<(u64, Vec<Subscription>), StoreError> {
        let state = self.state.lock();
        let changed = state.subscriptions.values().filter(|(changed, _)| *changed > version);
        Ok((state.version, changed.map(|(_, stored)| stored.clone()).collect()))
    }

    async fn add_entry(&self, entry: LogEntry) -> Result<(), StoreError> {
        self.state.lock().add(entry);
        Ok(())
    }

    async fn entries(&self, owner: &Owner, query: &LogQuery) -> Result<LogPage, StoreError> {
        let state = self.state.lock();
        let ascending = query.order == LogOrder::Ascending;
        let is_behind = |entry: &&LogEntry| match query.after {
            None => true,
            Some(after) if ascending => entry.id > after,
            Some(after) => entry.id < after,
        };
        let wanted = |entry: &&LogEntry| entry.owner == *owner && merge::matches(query, entry) && is_behind(entry);
        let found = state.entries.values().map(|kept| &kept.entry).filter(wanted);
        let take = query.limit.saturating_add(1);
        let mut entries: Vec<LogEntry> = if ascending {
            found.skip(query.skip).take(take).cloned().collect()
        } else {
            found.rev().skip(query.skip).take(take).cloned().collect()
        };
        let more = entries.len() > query.limit;
        entries.truncate(query.limit);
        Ok(LogPage { entries, more })
    }

    async fn prune_entries(&self, before: ServiceHour) -> Result<u64, StoreError> {
        let mut state = self.state.lock();
        let there = state.entries.len();
        state.entries.retain(|_, kept| kept.hour >= before);
        let State { entries, latest_errors, .. } = &mut *state;
        latest_errors.retain(|_, id| entries.contains_key(id));
        Ok((there - state.entries.len()) as u64)
    }

    async fn prune_deleted(&self, before: ServiceHour) -> Result<u64, StoreError> {
        let mut state = self.state.lock();
        let State { pims, subscribers, subscriptions, changed, .. } = &mut *state;
        let there = subscribers.len() + subscriptions.len();
        let is_old = |id: Uuid| changed.get(&id).is_none_or(|hour| *hour < before);
        subscriptions.retain(|id, (_, one)| {
            let ended = one.status == SubscriptionStatus::Deleted
                || (one.status == SubscriptionStatus::Revoked && !pims.contains_key(&one.pim));
            !ended || !is_old(id.0)
        });
        let with_subscriptions: BTreeSet<_> = subscriptions.values().map(|(_, one)| one.subscriber_id).collect();
        subscribers.retain(|id, one| {
            let ended = one.status == SubscriberStatus::Deleted
                || (one.status == SubscriberStatus::Revoked && !pims.contains_key(&one.owner.pim));
            !ended || !is_old(id.0) || with_subscriptions.contains(id)
        });
        let pruned = there - subscribers.len() - subscriptions.len();
        changed.retain(|id, _| {
            subscribers.contains_key(&SubscriberId(*id)) || subscriptions.contains_key(&SubscriptionId(*id))
        });
        Ok(pruned as u64)
    }

    async fn notifications(&self, after: u64, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let state = self.state.lock();
        Ok(state.notifications.iter().filter(|one| one.number > after).take(limit).cloned().collect())
    }

    async fn put_back_notification(&self, mut outgoing: Outgoing) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        if let Some(stored) = state.notifications.iter_mut().find(|one| one.id == outgoing.id) {
            if stored.revision != outgoing.revision {
                return Err(ChangeError::Conflict);
            }
            outgoing.revision += 1;
            *stored = outgoing;
        }
        Ok(())
    }

    async fn clients(&self, pim: PimId) -> Result<Vec<(ClientId, Client)>, StoreError> {
        let state = self.state.lock();
        let with_subscribers = state.subscribers.values().filter(|one| one.status != SubscriberStatus::Deleted);
        let owners = with_subscribers.map(|one| &one.owner).chain(state.clients.keys());
        let names: BTreeSet<_> = owners.filter(|owner| owner.pim == pim).map(|owner| &owner.client_id).collect();
        let known = |client_id: &ClientId| {
            let known = state.clients.get(&Owner { pim, client_id: client_id.clone() });
            (client_id.clone(), known.cloned().unwrap_or_default())
        };
        Ok(names.into_iter().map(known).collect())
    }

    async fn settle_notification(&self, id: Uuid) -> Result<(), StoreError> {
        self.state.lock().notifications.retain(|one| one.id != id);
        Ok(())
    }
}

impl State {
    fn is_free(&self, pim: &Pim) -> Result<(), ChangeError> {
        stamp::must_be_free(self.pims.values(), pim)
    }

    /// Whether all of a change can be made.
    fn check(&self, change: &Change) -> Result<(), ChangeError> {
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
            let stamped = stamp::stamp(stored, put, self.head(), self.cursor(id))?;
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

    fn put_subscriber(&mut self, subscriber: Subscriber) {
        self.changed.insert(subscriber.id.0, self.hour);
        self.subscribers.insert(subscriber.id, subscriber);
    }

    /// Stamps and stores a subscription.
    fn put(&mut self, put: &Put<Subscription>) -> Result<Subscription, ChangeError> {
        let id = put.value().id;
        let stored = self.subscriptions.get(&id).map(|(_, stored)| stored);
        let stamped = stamp::stamp(stored, put, self.head(), self.cursor(id))?;
        self.affect(id, stamped.subscription.generation, stamped.lane);
        self.changed.insert(id.0, self.hour);
        self.subscriptions.insert(id, (self.version, stamped.subscription.clone()));
        Ok(stamped.subscription)
    }

    fn notify(&mut self, notifications: &[Notification]) {
        for notification in notifications {
            // Each is about a subscription, and no subscription is without its subscriber.
            if let Some(subscriber) = self.subscribers.get(&notification.subscriber_id) {
                for outgoing in Outgoing::to(subscriber, notification) {
                    let number = self.notifications.back().map_or(0, |last| last.number) + 1;
                    self.notifications.push_back(Outgoing { number, ..outgoing });
                }
            }
        }
    }

    /// Adds a log entry, or counts it with the one that it equals.
    pub(super) fn add(&mut self, entry: LogEntry) {
        let owner = entry.owner.clone();
        self.add_or_merge(entry);
        self.bound_entries(&owner);
    }

    fn add_or_merge(&mut self, entry: LogEntry) {
        let hour = self.hour;
        if let Some(key) = merge::ErrorKey::of(&entry.body) {
            let parts = key.parts().map(str::to_owned);
            let key = (entry.owner.clone(), entry.subscriber_id, entry.subscription_id, parts);
            let latest = self.latest_errors.get(&key).and_then(|id| self.entries.get_mut(id));
            if let Some(latest) = latest.filter(|latest| merge::is_near(&latest.entry, &entry)) {
                let mut merged = latest.entry.clone();
                merge::merge(&mut merged, &entry);
                *latest = KeptEntry::new(merged, hour);
                return;
            }
            self.latest_errors.insert(key, entry.id);
        }
        self.entries.insert(entry.id, KeptEntry::new(entry, hour));
    }

    /// Lets the oldest entries of an owner go beyond the bounds.
    fn bound_entries(&mut self, owner: &Owner) {
        let of_owner = self.entries.iter().filter(|(_, kept)| kept.entry.owner == *owner);
        let mut of_owner: Vec<_> = of_owner.map(|(id, kept)| (*id, kept.bytes)).collect();
        let mut bytes: u64 = of_owner.iter().map(|(_, bytes)| bytes).sum();
        let mut count = of_owner.len() as u64;
        for (id, size) in of_owner.drain(..) {
            if count <= merge::MOST_ENTRIES && bytes <= merge::MOST_ENTRY_BYTES {
                return;
            }
            (count, bytes) = (count - 1, bytes - size);
            self.entries.remove(&id);
        }
    }
}
