//! Shards: parts of the platform that share nothing. Each has its own log positions, ledger, and catalogue version. A
//! PIM belongs to one of them, with all of its data.
//!
//! **Permissions.** Any process may append and change the catalogue. Only a shard's *owner* routes its events, saves
//! their outcomes, trims and prunes. An owner presents its [`Tenure`] with every write. After a takeover the old owner
//! is *fenced*: its writes are rejected ([`TenureError::Fenced`]), whatever it still believes. Delivery attempts in
//! flight cannot be fenced: they are the duplicates that at-least-once allows.
//!
//! The embedded store is one shard, always owned by the serving process.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use domain::PimId;
use tokio::sync::watch;
use uuid::Uuid;

use crate::error::{StoreError, TenureError};

/// The number of a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Shard(u8);

impl Shard {
    /// The shard that every store has. Its owner performs the tasks of the store as a whole.
    pub const FIRST: Shard = Shard(0);

    /// Its number, from 0.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Distribution of PIMs over the shards of a store. It never changes, because positions and saved progress belong to a
/// shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    shards: u8,
}

impl Spread {
    /// One shard, as in the embedded store.
    pub const ONE: Spread = Spread { shards: 1 };
    /// The shards of a cluster.
    pub const CLUSTER: Spread = Spread { shards: 64 };

    /// This many shards, for tests.
    #[cfg(any(test, feature = "conformance"))]
    pub fn of(shards: u8) -> Spread {
        Spread { shards: shards.max(1) }
    }

    /// The shard of a PIM.
    pub fn shard_of(self, pim: PimId) -> Shard {
        // The remainder is below the number of shards.
        Shard((pim.0 % u32::from(self.shards)) as u8)
    }

    /// The shard with this number, if there is one.
    pub fn shard(self, number: u8) -> Option<Shard> {
        (number < self.shards).then_some(Shard(number))
    }

    /// Number of shards.
    pub fn count(self) -> u8 {
        self.shards
    }

    /// All shards.
    pub fn shards(self) -> impl Iterator<Item = Shard> {
        (0..self.shards).map(Shard)
    }
}

/// A serving process, from start to end: a restart makes another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(Uuid);

impl NodeId {
    /// A new id, for a process that starts.
    pub fn generate() -> NodeId {
        NodeId(Uuid::now_v7())
    }

    /// Its number, as stored by backends that several processes share.
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The process with this number.
    pub fn from_uuid(number: Uuid) -> NodeId {
        NodeId(number)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of takeovers of a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Epoch(pub u64);

/// The ownership of a shard, from its takeover to the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tenure {
    /// The shard.
    pub shard: Shard,
    /// The owner.
    pub node: NodeId,
    /// The epoch.
    pub epoch: Epoch,
}

impl fmt::Display for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} in epoch {}", self.shard, self.epoch.0)
    }
}

/// Common base of the ports that work by shard.
#[async_trait]
pub trait Shards: Send + Sync + 'static {
    /// Distribution of PIMs over shards.
    fn spread(&self) -> Spread;

    /// The shard of a PIM.
    fn shard_of(&self, pim: PimId) -> Shard {
        self.spread().shard_of(pim)
    }

    /// Takes over a shard for this process, whoever owns it. When this returns the former owner is fenced, even if it
    /// was this process. For tests and single processes; one of several uses
    /// [`Cluster::take_if`](crate::Cluster::take_if).
    async fn take(&self, shard: Shard) -> Result<Tenure, StoreError>;

    /// The newest committed version of a shard's catalogue known to this process, as a watch channel. The owner sees it
    /// before events of the same or a later commit enter the tail; other processes may see it late.
    fn committed(&self, shard: Shard) -> watch::Receiver<u64>;

    /// Called by the owner: this version of the catalogue is applied.
    async fn apply(&self, tenure: &Tenure, version: u64) -> Result<(), TenureError>;

    /// Waits until the owner of a shard has applied this version; `false` after `at_most`.
    async fn in_effect(&self, shard: Shard, version: u64, at_most: Duration) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pim_has_one_shard_and_neighbours_have_different_ones() {
        let cluster: Vec<_> = (0..130).map(|pim| Spread::CLUSTER.shard_of(PimId(pim)).number()).collect();
        assert_eq!(cluster[..64], (0..64).collect::<Vec<_>>());
        assert_eq!(cluster[64..128], cluster[..64]);
        assert_eq!(Spread::CLUSTER.shards().count(), 64);
        assert!((0..130).all(|pim| Spread::ONE.shard_of(PimId(pim)) == Shard::FIRST));
        assert_eq!(Spread::ONE.shards().collect::<Vec<_>>(), [Shard::FIRST]);
    }
}
