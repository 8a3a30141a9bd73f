//! Which shards a node takes over, and which it gives back, decided without IO from what it sees of the others.
//!
//! **A lease has run out for an observer** that has seen the same epoch and beat for the time of a lease, by its own
//! clock. No two clocks are compared. The owner counts from before its renewal, and stops earlier.
//!
//! **Allotment.** All nodes compute the same allotment from the same roll. Shards stay with their owner up to its
//! quota; the others go to the nodes below theirs, in the order of ids. It is a proposal, not a lock: nodes may see
//! different rolls, and [`store::Cluster::take_if`] decides between them.

mod allotment;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use store::{Epoch, Lease, NodeId, Roll, Shard};

use crate::beats::{Beats, Seen, see};
use allotment::allot;

/// Shards given back at the same time for balance.
const GIVEN_AT_ONCE: usize = 4;

/// Time for which a shard without an owner waits for the node that it is allotted to; afterwards anyone takes it.
const RESERVED: Duration = Duration::from_secs(1);

/// What to do now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Decision {
    /// Leases to be taken, by [`store::Cluster::take_if`].
    pub take: Vec<Lease>,
    /// Shards to be given back once all their work is saved.
    pub give: Vec<Shard>,
}

/// A node's view of all leases and nodes, from one look to the next.
#[derive(Debug)]
pub struct Tenancy {
    node: NodeId,
    valid: Duration,
    looked: Option<Duration>,
    leases: HashMap<Shard, Seen<(Option<NodeId>, Epoch, u64)>>,
    beats: Beats,
    /// Since when a shard has no owner.
    open: HashMap<Shard, Duration>,
    giving: HashSet<Shard>,
}

impl Tenancy {
    /// For a node, with the time for which leases are valid.
    pub fn new(node: NodeId, valid: Duration) -> Tenancy {
        Tenancy {
            node,
            valid,
            looked: None,
            leases: HashMap::new(),
            beats: Beats::new(valid),
            open: HashMap::new(),
            giving: HashSet::new(),
        }
    }

    /// Decides after a look at the roll. `now` is the node's own time, which counts while the machine sleeps; `held`
    /// are the shards that it runs, takes or gives back at this moment.
    pub fn decide(&mut self, now: Duration, roll: &Roll, held: &[Shard]) -> Decision {
        self.observe(now, roll);
        let held: HashSet<Shard> = held.iter().copied().collect();
        self.giving.retain(|shard| held.contains(shard));
        let candidates = self.candidates(now, roll);
        let allotted = allot(&candidates, &roll.leases, |lease| self.open.contains_key(&lease.shard));
        let is_mine = |shard: Shard| allotted.get(&shard) == Some(&self.node);
        // A node that is not fit leaves the rest to those that are.
        let may_help = candidates.is_empty() || candidates.contains(&self.node);
        let waits = |since: &Duration| may_help && now.saturating_sub(*since) > RESERVED;
        let take = |lease: &&Lease| {
            // An own lease that it doesn't run: its connection was lost.
            lease.owner == Some(self.node)
                || self.open.get(&lease.shard).is_some_and(|since| is_mine(lease.shard) || waits(since))
        };
        let not_held = roll.leases.iter().filter(|lease| !held.contains(&lease.shard));
        let take: Vec<Lease> = not_held.filter(take).copied().collect();
        let mut give = Vec::new();
        // First, all shards have an owner.
        if self.open.is_empty() && !candidates.is_empty() {
            let own = roll.leases.iter().filter(|lease| lease.owner == Some(self.node)).map(|lease| lease.shard);
            let surplus = own.filter(|shard| held.contains(shard) && !is_mine(*shard) && !self.giving.contains(shard));
            give = surplus.take(GIVEN_AT_ONCE.saturating_sub(self.giving.len())).collect();
        }
        self.giving.extend(&give);
        Decision { take, give }
    }

    /// Whether a node that was on the latest roll lives: its beat has moved within the time of a lease.
    pub fn is_live(&self, node: NodeId) -> bool {
        node == self.node || self.beats.is_live(self.looked.unwrap_or_default(), node)
    }

    fn observe(&mut self, now: Duration, roll: &Roll) {
        // It didn't look for a while, because it was stopped or the store was away: perhaps the others could not renew
        // their leases either.
        if self.looked.is_some_and(|looked| now.saturating_sub(looked) > self.valid / 2) {
            self.leases.clear();
            self.beats = Beats::new(self.valid);
            self.open.clear();
        }
        self.looked = Some(now);
        let leases = roll.leases.iter().map(|lease| (lease.shard, (lease.owner, lease.epoch, lease.beat)));
        see(&mut self.leases, now, leases);
        self.beats.hear(now, roll);
        for lease in &roll.leases {
            let age = self.leases.get(&lease.shard).map_or(Duration::ZERO, |seen| now.saturating_sub(seen.since));
            // Its own leases are renewed by itself.
            let has_run_out = lease.owner != Some(self.node) && age >= self.valid;
            if lease.owner.is_none() || has_run_out {
                self.open.entry(lease.shard).or_insert(now);
            } else {
                self.open.remove(&lease.shard);
            }
        }
    }

    /// Nodes among which the shards are divided, in the order of ids: live ones, and only fit ones if there are any.
    fn candidates(&self, now: Duration, roll: &Roll) -> Vec<NodeId> {
        debug_assert_eq!(self.looked, Some(now));
        let live = || roll.nodes.iter().filter(|node| self.is_live(node.id));
        let any_fit = live().any(|node| node.profile.is_fit);
        let mut ids: Vec<NodeId> = live().filter(|node| node.profile.is_fit || !any_fit).map(|node| node.id).collect();
        ids.sort_unstable();
        ids
    }
}
