//! The nodes and shards of the platform, as shown by the operator API and `postrider cluster`.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Member, Members, Nodes, ShardState};
use async_trait::async_trait;
use store::{Backend, NodeId, READS, Roll, Shard, StoreError};

use crate::owners::Owners;

/// Shows what this node sees.
pub(crate) struct View {
    pub(crate) store: Arc<dyn Backend>,
    pub(crate) owners: Arc<Owners>,
}

#[async_trait]
impl Nodes for View {
    async fn members(&self) -> Result<Members, StoreError> {
        let roll = self.owners.roll_now().await?;
        let lags = self.store.lags().await?;
        Ok(members(&roll, &lags, Some(self.owners.node()), |node| self.owners.is_live(node)))
    }

    async fn reads(&self) -> Result<u32, StoreError> {
        let roll = self.owners.roll().await?;
        Ok(reads(&roll, |node| self.owners.is_live(node)))
    }
}

/// What the oldest live node reads.
fn reads(roll: &Roll, is_live: impl Fn(NodeId) -> bool) -> u32 {
    let live = roll.nodes.iter().filter(|node| is_live(node.id));
    live.map(|node| node.profile.reads).fold(READS, u32::min)
}

/// What a roll says. `this`: the node that shows it.
pub(crate) fn members(
    roll: &Roll,
    lags: &BTreeMap<Shard, u64>,
    this: Option<NodeId>,
    is_live: impl Fn(NodeId) -> bool,
) -> Members {
    let owned = |id| roll.leases.iter().filter(|lease| lease.owner == Some(id)).count();
    let nodes = roll.nodes.iter().map(|node| Member {
        id: node.id.to_string(),
        address: node.profile.address.clone(),
        version: node.profile.version.clone(),
        live: is_live(node.id),
        fit: node.profile.is_fit,
        this_node: Some(node.id) == this,
        shards: owned(node.id),
    });
    let shards = roll.leases.iter().map(|lease| ShardState {
        number: lease.shard.number(),
        owner: lease.owner.map(|owner| owner.to_string()),
        epoch: lease.epoch.0,
        lag: lags.get(&lease.shard).copied().unwrap_or_default(),
    });
    Members { nodes: nodes.collect(), shards: shards.collect() }
}

#[cfg(test)]
mod tests {
    use store::{Node, Profile};

    use super::*;

    fn node(reads: u32) -> Node {
        let profile = Profile { address: None, version: "1.0.0".to_owned(), reads, is_fit: true };
        Node { id: NodeId::generate(), beat: 0, profile }
    }

    #[test]
    fn the_oldest_live_node_decides_what_can_be_stored() {
        let roll = |nodes: &[&Node]| Roll { nodes: nodes.iter().map(|node| (*node).clone()).collect(), leases: vec![] };
        let (new, old, newer) = (node(READS), node(READS - 1), node(READS + 1));
        assert_eq!(reads(&roll(&[&new, &old, &newer]), |_| true), READS - 1);
        assert_eq!(reads(&roll(&[&new, &old, &newer]), |id| id != old.id), READS);
        assert_eq!(reads(&roll(&[]), |_| true), READS);
    }
}
