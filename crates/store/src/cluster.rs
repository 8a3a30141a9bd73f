//! Several processes on one store. Each enters a row about itself, and all see the same roll of nodes and leases, from
//! which each decides what to take over and what to give back.

use async_trait::async_trait;
use domain::destination::DestinationType;

use crate::error::StoreError;
use crate::frame;
use crate::shard::{Epoch, NodeId, Shard, Shards, Tenure};

/// What a node tells the others about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Address of its listener for other nodes, as `host:port`; `None` if it has none.
    pub address: Option<String>,
    /// Version of the platform.
    pub version: String,
    /// The newest format of stored data that it reads ([`READS`]).
    pub reads: u32,
    /// Whether it can deliver; `false` while the node itself lacks something, such as its network.
    pub is_fit: bool,
}

/// The newest format of stored data that this version reads. Frames and types of destinations are numbered together:
/// whatever older versions cannot read gets the next number.
pub const READS: u32 = {
    let (mut newest, mut index) = (frame::NEWEST, 0);
    while index < DestinationType::ALL.len() {
        let format = DestinationType::ALL[index].descriptor().format;
        if format > newest {
            newest = format;
        }
        index += 1;
    }
    newest
};

/// A serving process, as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// The process.
    pub id: NodeId,
    /// Rises with each renewal: it lives as long as this moves.
    pub beat: u64,
    /// What it says about itself.
    pub profile: Profile,
}

/// The lease of a shard, as stored. For an observer it has run out once epoch and beat have not changed for the time of
/// a lease, by the observer's own clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The shard.
    pub shard: Shard,
    /// Its owner; `None` if it was given back, or never taken.
    pub owner: Option<NodeId>,
    /// Number of takeovers.
    pub epoch: Epoch,
    /// Rises with each renewal.
    pub beat: u64,
}

/// All nodes and leases at one moment. Leases are ordered by shard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roll {
    /// Nodes that have entered and not left. A process that was killed stays on the roll for a while.
    pub nodes: Vec<Node>,
    /// One lease per shard.
    pub leases: Vec<Lease>,
}

/// The processes that share a store, and which of them owns which shard.
#[async_trait]
pub trait Cluster: Shards {
    /// This process.
    fn node(&self) -> NodeId;

    /// Nodes and leases, in one read.
    async fn roll(&self) -> Result<Roll, StoreError>;

    /// Enters this process among the nodes, or replaces its profile. From then on, renewals of its leases move its beat
    /// as well, even if it has none.
    async fn enter(&self, profile: &Profile) -> Result<(), StoreError>;

    /// Takes over a shard for this process if its lease is still as it was seen; `None` if not. The beat of an own
    /// lease may have moved. When this returns a tenure, the former owner is fenced.
    async fn take_if(&self, seen: &Lease) -> Result<Option<Tenure>, StoreError>;

    /// Gives a shard back, so that nobody waits until its lease has run out. The tenure is fenced. An outdated one
    /// changes nothing.
    async fn give(&self, tenure: &Tenure) -> Result<(), StoreError>;
}
