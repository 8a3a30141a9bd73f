//! Clients in memory.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use domain::ClientId;
use domain::subscriber::{Owner, SubscriberStatus};

use super::{MemoryStore, State};
use crate::catalog::{ClientQuery, ClientRecord, Clients, Page, contains};
use crate::error::{ChangeError, StoreError};

#[async_trait]
impl Clients for MemoryStore {
    async fn client(&self, owner: &Owner) -> Result<ClientRecord, StoreError> {
        Ok(self.state.lock().clients.get(owner).cloned().unwrap_or_default())
    }

    async fn put_client(&self, owner: &Owner, mut client: ClientRecord) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        let known = state.clients.entry(owner.clone()).or_default();
        if known.revision != client.revision {
            return Err(ChangeError::Conflict);
        }
        client.revision += 1;
        *known = client;
        Ok(())
    }

    async fn clients(&self, query: &ClientQuery) -> Result<Page<(ClientId, ClientRecord)>, StoreError> {
        let state = self.state.lock();
        let is_asked_for = |owner: &&Owner| {
            owner.pim == query.pim
                && query.after.as_ref().is_none_or(|after| owner.client_id > *after)
                && contains(&owner.client_id.0, query.text.as_deref())
        };
        let names: BTreeSet<_> = state.owners().filter(is_asked_for).map(|owner| &owner.client_id).collect();
        let known = |client_id: &ClientId| {
            let known = state.clients.get(&Owner { pim: query.pim, client_id: client_id.clone() });
            (client_id.clone(), known.cloned().unwrap_or_default())
        };
        Ok(Page::of(names.into_iter().take(query.limit + 1).map(known).collect(), query.limit))
    }

    async fn count_clients(&self) -> Result<u64, StoreError> {
        let state = self.state.lock();
        let registered = state.owners().filter(|owner| state.pims.contains_key(&owner.pim));
        Ok(registered.collect::<HashSet<_>>().len() as u64)
    }
}

impl State {
    /// Clients with a record or with a subscriber that is not deleted; some of them twice.
    fn owners(&self) -> impl Iterator<Item = &Owner> {
        let with_subscribers = self.subscribers.values().filter(|one| one.status != SubscriberStatus::Deleted);
        with_subscribers.map(|one| &one.owner).chain(self.clients.keys())
    }
}
