//! The outbox in memory.

use async_trait::async_trait;
use domain::notification::{Notification, Outgoing};
use uuid::Uuid;

use super::{MemoryStore, State};
use crate::catalog::{Outbox, Waiting};
use crate::error::{ChangeError, StoreError};

#[async_trait]
impl Outbox for MemoryStore {
    async fn notification(&self, id: Uuid) -> Result<Option<Outgoing>, StoreError> {
        Ok(self.state.lock().notifications.iter().find(|one| one.id == id).cloned())
    }

    async fn notifications(&self, after: Option<u64>, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let state = self.state.lock();
        let behind = state.notifications.iter().filter(|one| after.is_none_or(|after| one.number > after));
        Ok(behind.take(limit).cloned().collect())
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

    async fn settle_notification(&self, id: Uuid) -> Result<(), StoreError> {
        self.state.lock().notifications.retain(|one| one.id != id);
        Ok(())
    }

    async fn count_waiting(&self) -> Result<Waiting, StoreError> {
        let state = self.state.lock();
        let waiting = || state.notifications.iter().filter(|one| one.sent_at.is_none());
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
            // Each is about a subscription, and no subscription is without its subscriber.
            if let Some(subscriber) = self.subscribers.get(&notification.subscriber_id) {
                for outgoing in Outgoing::to(subscriber, notification) {
                    let number = self.notifications.back().map_or(0, |last| last.number) + 1;
                    self.notifications.push_back(Outgoing { number, ..outgoing });
                }
            }
        }
    }
}
