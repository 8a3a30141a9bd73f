//! The outbox in memory.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::PimId;
use domain::notification::{Notification, Outgoing};
use domain::subscriber::Owner;
use uuid::Uuid;

use super::{MemoryStore, State};
use crate::catalog::{MOST_NOTIFICATIONS, Outbox, Waiting};
use crate::error::{ChangeError, StoreError};
use crate::shard::Shard;

#[async_trait]
impl Outbox for MemoryStore {
    async fn notification(&self, id: Uuid) -> Result<Option<Outgoing>, StoreError> {
        Ok(self.state.lock().notifications.iter().map(|(_, one)| one).find(|one| one.id == id).cloned())
    }

    async fn notifications(&self, shard: Shard, after: Option<u64>, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let state = self.state.lock();
        let of_shard = state.notifications.iter().filter(|(owner, _)| state.spread.shard_of(owner.pim) == shard);
        let kept = of_shard.map(|(_, one)| one).filter(|one| after.is_none_or(|after| one.number > after));
        Ok(kept.take(limit).cloned().collect())
    }

    async fn notification_numbers(&self, shard: Shard) -> Result<Vec<u64>, StoreError> {
        let state = self.state.lock();
        let of_shard = state.notifications.iter().filter(|(owner, _)| state.spread.shard_of(owner.pim) == shard);
        Ok(of_shard.map(|(_, one)| one.number).collect())
    }

    async fn put_back_notification(&self, mut outgoing: Outgoing) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        if let Some((_, stored)) = state.notifications.iter_mut().find(|(_, one)| one.id == outgoing.id) {
            if stored.revision != outgoing.revision {
                return Err(ChangeError::Conflict);
            }
            outgoing.revision += 1;
            *stored = outgoing;
        }
        Ok(())
    }

    async fn settle_notification(&self, id: Uuid) -> Result<(), StoreError> {
        self.state.lock().notifications.retain(|(_, one)| one.id != id);
        Ok(())
    }

    async fn count_waiting(&self) -> Result<Waiting, StoreError> {
        let state = self.state.lock();
        let waiting = || state.notifications.iter().map(|(_, one)| one).filter(|one| one.sent_at.is_none());
        Ok(Waiting {
            count: waiting().count() as u64,
            oldest: waiting().map(|one| one.notification.timestamp).min(),
            tried: waiting().filter(|one| one.attempts > 0).count() as u64,
        })
    }
}

impl State {
    pub(super) fn notify(&mut self, notifications: &[Notification]) {
        for notification in notifications {
            // Each concerns a subscription, and no subscription is without its subscriber.
            let Some(subscriber) = self.subscribers.get(&notification.subscriber_id).cloned() else { continue };
            self.put_out(&subscriber.owner, Outgoing::to(&subscriber, notification));
        }
    }

    pub(super) fn put_out(&mut self, owner: &Owner, outgoing: impl IntoIterator<Item = Outgoing>) {
        for outgoing in outgoing {
            let number = self.notifications.back().map_or(0, |(_, last)| last.number) + 1;
            self.notifications.push_back((owner.clone(), Outgoing { number, ..outgoing }));
        }
        self.bound_notifications(owner.pim);
    }

    /// Drops the oldest notifications of the client with the most, down to the PIM's bound.
    fn bound_notifications(&mut self, pim: PimId) {
        let mut count = self.notifications.iter().filter(|(owner, _)| owner.pim == pim).count();
        while count > MOST_NOTIFICATIONS {
            let mut of_clients: HashMap<&Owner, (usize, u64)> = HashMap::new();
            for (owner, one) in self.notifications.iter().filter(|(owner, _)| owner.pim == pim) {
                of_clients.entry(owner).or_insert((0, one.number)).0 += 1;
            }
            let most = of_clients.values().max_by_key(|(count, oldest)| (*count, std::cmp::Reverse(*oldest)));
            let Some((_, oldest)) = most.copied() else { return };
            self.notifications.retain(|(_, one)| one.number != oldest);
            count -= 1;
        }
    }
}
