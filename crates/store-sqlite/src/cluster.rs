//! The embedded store has one node, which always owns the only shard.

use async_trait::async_trait;
use store::{Cluster, Lease, Node, NodeId, Profile, Roll, Shard, StoreError, Tenure};

use crate::SqliteStore;
use crate::log_writer::not_serving;

#[async_trait]
impl Cluster for SqliteStore {
    fn node(&self) -> NodeId {
        self.tenure.node
    }

    async fn roll(&self) -> Result<Roll, StoreError> {
        let Tenure { node, epoch, .. } = self.tenure;
        let owner = self.serves().then_some(node);
        let entered = self.profile.lock().clone().map(|profile| Node { id: node, beat: 0, profile });
        Ok(Roll {
            nodes: entered.into_iter().collect(),
            leases: vec![Lease { shard: Shard::FIRST, owner, epoch, beat: 0 }],
        })
    }

    async fn enter(&self, profile: &Profile) -> Result<(), StoreError> {
        *self.profile.lock() = Some(profile.clone());
        Ok(())
    }

    /// There is no takeover: the lease is always this process's own.
    async fn take_if(&self, _: &Lease) -> Result<Option<Tenure>, StoreError> {
        if self.serves() { Ok(Some(self.tenure)) } else { Err(not_serving()) }
    }

    /// Nobody could take it.
    async fn give(&self, _: &Tenure) -> Result<(), StoreError> {
        Ok(())
    }
}
