//! Shards: parts of the platform that share nothing. Each has a log with positions of its own, a ledger, and a version
//! of its catalogue; a PIM falls to one of them, with all that it has.
//!
//! **Who may do what.** Anybody appends, and changes the catalogue. A shard's *owner* alone works through it: routes
//! its events, saves what became of them, trims and prunes. An owner shows its [`Tenure`] with everything that it
//! writes; once somebody else has taken the shard over, the old owner is *fenced*: what it writes is refused
//! ([`TenureError::Fenced`]), whatever it still believes. Delivery attempts that are under way cannot be fenced: they
//! are the duplicates that at-least-once allows.
//!
//! The embedded store is one shard that the process that serves always owns.

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
    /// The one that every store has. Its owner does what concerns the store as a whole.
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

/// How a store spreads PIMs over its shards. It never changes: positions and saved progress are those of a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    shards: u8,
}

impl Spread {
    /// One shard, as the embedded store has.
    pub const ONE: Spread = Spread { shards: 1 };
    /// Those that the nodes of a cluster share.
    pub const CLUSTER: Spread = Spread { shards: 64 };

    /// The shard of a PIM.
    pub fn shard_of(self, pim: PimId) -> Shard {
        // The remainder is below the number of shards.
        Shard((pim.0 % u32::from(self.shards)) as u8)
    }

    /// All shards.
    pub fn shards(self) -> impl Iterator<Item = Shard> {
        (0..self.shards).map(Shard)
    }
}

/// A process that serves, from its start to its end: one that starts again is another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NodeId(Uuid);

impl NodeId {
    /// That of a process that starts.
    pub fn generate() -> NodeId {
        NodeId(Uuid::now_v7())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts how often a shard was taken over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Epoch(pub u64);

/// The ownership of a shard, from its takeover to the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tenure {
    /// Which shard.
    pub shard: Shard,
    /// Who owns it.
    pub node: NodeId,
    /// In which epoch.
    pub epoch: Epoch,
}

impl fmt::Display for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} in epoch {}", self.shard, self.epoch.0)
    }
}

/// What the ports that work by shard have in common.
#[async_trait]
pub trait Shards: Send + Sync + 'static {
    /// How PIMs are spread over shards.
    fn spread(&self) -> Spread;

    /// The shard of a PIM.
    fn shard_of(&self, pim: PimId) -> Shard {
        self.spread().shard_of(pim)
    }

    /// Takes a shard over for this process. Whoever owned it until then is fenced when this answers, also where that
    /// was this process itself.
    async fn take(&self, shard: Shard) -> Result<Tenure, StoreError>;

    /// News of a shard's catalogue: the newest committed version that this process knows, and a way to wait for the
    /// next. To the owner it is announced before events of the same or a later commit enter the tail; elsewhere it may
    /// come late.
    fn committed(&self, shard: Shard) -> watch::Receiver<u64>;

    /// The owner says: I work by this version of the catalogue.
    async fn apply(&self, tenure: &Tenure, version: u64) -> Result<(), TenureError>;

    /// Waits until the owner of a shard works by this version; `false` if that takes longer than `at_most`.
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
