//! Clients in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::subscriber::{Owner, SubscriberStatus};
use domain::{ClientId, PimId};

use super::MemoryStore;
use crate::catalog::{Client, Clients};
use crate::error::{ChangeError, StoreError};

#[async_trait]
impl Clients for MemoryStore {
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
}
