//! The nodes of the platform and the shards they own, for the operator.

use async_trait::async_trait;
use serde::Serialize;
use store::StoreError;

/// Knows the nodes.
#[async_trait]
pub trait Nodes: Send + Sync + 'static {
    /// All nodes and shards at one moment.
    async fn members(&self) -> Result<Members, StoreError>;

    /// The newest format of stored data that all live nodes read.
    async fn reads(&self) -> Result<u32, StoreError>;
}

/// All nodes and shards.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Members {
    /// Nodes that have started and not stopped. One that was killed is listed for up to an hour.
    pub nodes: Vec<Member>,
    /// Shards, by number.
    pub shards: Vec<ShardState>,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Member {
    /// Its id, another one after each start.
    pub id: String,
    /// Address at which other nodes call it.
    pub address: Option<String>,
    /// Version of the platform.
    pub version: String,
    /// Whether it has shown a sign of life within the time of a lease.
    pub live: bool,
    /// Whether it can deliver; `false` while it lacks something that others have.
    pub fit: bool,
    /// Whether it is the node that answers.
    pub this_node: bool,
    /// Number of shards that it owns.
    pub shards: usize,
}

/// A shard.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ShardState {
    /// Its number.
    pub number: u8,
    /// Id of the node that owns it; none between two owners.
    pub owner: Option<String>,
    /// Number of takeovers.
    pub epoch: u64,
    /// Accepted events that are not routed yet.
    pub lag: u64,
}
