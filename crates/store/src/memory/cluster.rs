//! Nodes and leases. There is no task that renews them: see [`MemoryStore::renew`].

use async_trait::async_trait;

use super::MemoryStore;
use crate::cluster::{Cluster, Lease, Node, Profile, Roll};
use crate::error::StoreError;
use crate::shard::{NodeId, Tenure};

impl MemoryStore {
    /// Renews the leases of this process and its row among the nodes, as a process does that lives and reaches its
    /// store.
    pub fn renew(&self) {
        let mut state = self.state.lock();
        let leases = state.shards.iter_mut().map(|shard| &mut shard.lease);
        leases.filter(|lease| lease.owner == Some(self.node)).for_each(|lease| lease.beat += 1);
        if let Some(node) = state.nodes.get_mut(&self.node) {
            node.beat += 1;
        }
    }

    /// Gives all shards back and leaves the nodes, as at an orderly stop.
    pub fn leave(&self) {
        let mut state = self.state.lock();
        let leases = state.shards.iter_mut().map(|shard| &mut shard.lease);
        leases.filter(|lease| lease.owner == Some(self.node)).for_each(|lease| lease.owner = None);
        state.nodes.remove(&self.node);
    }
}

#[async_trait]
impl Cluster for MemoryStore {
    fn node(&self) -> NodeId {
        self.node
    }

    async fn roll(&self) -> Result<Roll, StoreError> {
        let state = self.state.lock();
        let leases = state.shards.iter().map(|shard| shard.lease).collect();
        Ok(Roll { nodes: state.nodes.values().cloned().collect(), leases })
    }

    async fn enter(&self, profile: &Profile) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let new = Node { id: self.node, beat: 0, profile: profile.clone() };
        state.nodes.entry(self.node).or_insert(new).profile.clone_from(profile);
        Ok(())
    }

    async fn take_if(&self, seen: &Lease) -> Result<Option<Tenure>, StoreError> {
        let mut state = self.state.lock();
        let shard = state.shard(seen.shard);
        let now = shard.lease;
        // It may have renewed its own lease since it looked.
        let has_same_beat = now.beat == seen.beat || now.owner == Some(self.node);
        let is_same = (now.owner, now.epoch) == (seen.owner, seen.epoch) && has_same_beat;
        Ok(is_same.then(|| shard.take(self.node)))
    }

    async fn give(&self, tenure: &Tenure) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if let Ok(shard) = state.owned(tenure) {
            shard.lease.owner = None;
        }
        Ok(())
    }
}
