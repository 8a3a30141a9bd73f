//! The leases of a node as it counts them itself: from before each renewal was sent, and shorter than others do.

use std::collections::BTreeMap;
use std::time::Duration;

use store::{Epoch, Shard, Tenure};

/// How long a lease is valid for others.
pub(super) const VALID: Duration = Duration::from_secs(10);

/// The owner's leases.
#[derive(Debug)]
pub(super) struct Leases {
    /// Epoch of each shard taken, and the number of losses by then.
    taken: BTreeMap<Shard, (Epoch, u64)>,
    /// When the last renewal that succeeded was sent.
    renewed: Duration,
}

impl Leases {
    pub(super) fn new(now: Duration) -> Leases {
        Leases { taken: BTreeMap::new(), renewed: now }
    }

    pub(super) fn took(&mut self, tenure: &Tenure, losses: u64) {
        self.taken.insert(tenure.shard, (tenure.epoch, losses));
    }

    pub(super) fn gave(&mut self, tenure: &Tenure) {
        if self.taken.get(&tenure.shard).is_some_and(|(epoch, _)| *epoch == tenure.epoch) {
            self.taken.remove(&tenure.shard);
        }
    }

    /// Whether a tenure may still be current.
    pub(super) fn holds(&self, tenure: &Tenure, losses: u64, now: Duration) -> bool {
        self.taken.get(&tenure.shard) == Some(&(tenure.epoch, losses)) && self.is_valid(now)
    }

    /// Whether the process owns a shard.
    pub(super) fn owns(&self, shard: Shard, losses: u64, now: Duration) -> bool {
        self.taken.get(&shard).is_some_and(|(_, since)| *since == losses) && self.is_valid(now)
    }

    pub(super) fn is_valid(&self, now: Duration) -> bool {
        now.saturating_sub(self.renewed) < VALID - VALID / 5
    }

    /// What the process believed to own when it asked for a renewal.
    pub(super) fn taken(&self) -> BTreeMap<Shard, (Epoch, u64)> {
        self.taken.clone()
    }

    /// A renewal sent at `sent` succeeded. Shards that were taken over by somebody else are lost.
    pub(super) fn renewed(
        &mut self,
        sent: Duration,
        before: BTreeMap<Shard, (Epoch, u64)>,
        renewed: &[(Shard, Epoch)],
    ) {
        for (shard, tenure) in before {
            if !renewed.contains(&(shard, tenure.0)) && self.taken.get(&shard) == Some(&tenure) {
                self.taken.remove(&shard);
            }
        }
        self.renewed = self.renewed.max(sent);
    }
}
