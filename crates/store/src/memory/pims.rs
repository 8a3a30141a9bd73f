//! Registrations of PIMs in memory.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{PimId, Timestamp};

use super::{MemoryStore, State};
use crate::catalog::{Page, PimQuery, Pims, contains};
use crate::error::{ChangeError, StoreError};
use crate::shard::Shards;
use crate::stamp;

#[async_trait]
impl Pims for MemoryStore {
    async fn pim(&self, id: PimId) -> Result<Option<Pim>, StoreError> {
        Ok(self.state.lock().pims.get(&id).cloned())
    }

    async fn pim_named(&self, name: &str) -> Result<Option<Pim>, StoreError> {
        Ok(self.state.lock().pims.values().find(|pim| pim.name == name).cloned())
    }

    async fn pim_names(&self, of: Vec<PimId>) -> Result<HashMap<PimId, String>, StoreError> {
        let state = self.state.lock();
        Ok(of.into_iter().filter_map(|id| Some((id, state.pims.get(&id)?.name.clone()))).collect())
    }

    async fn pims(&self, query: &PimQuery) -> Result<Page<Pim>, StoreError> {
        let text = query.text.as_deref();
        let state = self.state.lock();
        let behind = state.pims.values().filter(|pim| query.after.is_none_or(|after| pim.id > after));
        let found = behind.filter(|pim| contains(&pim.name, text) || contains(&pim.url_key, text));
        Ok(Page::of(found.take(query.limit + 1).cloned().collect(), query.limit))
    }

    async fn count_pims(&self) -> Result<u64, StoreError> {
        Ok(self.state.lock().pims.len() as u64)
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
        state.shard_of(id).version += 1;
        for put in &end.subscriptions {
            state.put(put)?;
        }
        for entry in end.entries {
            state.add(entry);
        }
        state.notify(&end.notifications);
        state.clients.retain(|owner, _| owner.pim != id);
        state.announce(self.shard_of(id));
        Ok(())
    }
}

impl State {
    fn is_free(&self, pim: &Pim) -> Result<(), ChangeError> {
        stamp::must_be_free(self.pims.values(), pim)
    }
}
