//! Worlds with a store behind connections that are lost, on a server with a standby that takes over.

use super::{MINUTE, Plan, SECOND};
use crate::random::Random;
use crate::storage::Health;

/// What happens to the connections to the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// Some are lost, with the calls under way on them.
    Connections,
    /// The server dies, and its standby takes over.
    Failover {
        /// For how long no commit has reached the standby by then.
        behind: u64,
        /// Whether such commits are seen by others although they are not acknowledged: their wait for the standby was
        /// cancelled, or the server started anew meanwhile.
        seen: bool,
        /// Time until the standby has taken over.
        away: u64,
    },
}

impl Plan {
    /// A world in which connections to the store are lost, often just when something is under way.
    pub fn losing(seed: u64) -> Plan {
        let mut plan = Plan::random(seed);
        let mut random = Random::new(seed, 15);
        let r = &mut random;
        let mut losses = Vec::new();
        for _ in 0..r.within(1, 8) {
            let near = plan.batches[r.within(0, plan.batches.len() as u64 - 1) as usize].0 + r.within(0, 4 * SECOND);
            let at = if r.percent(80) { near } else { r.within(0, plan.lasts) };
            let behind = r.one_of(&[SECOND / 5, 2 * SECOND, 7 * SECOND]);
            let away = r.one_of(&[SECOND / 2, 3 * SECOND, 11 * SECOND]);
            let at = at.min(plan.lasts - MINUTE);
            if r.percent(50) {
                losses.push((at, Loss::Connections));
                continue;
            }
            losses.push((at, Loss::Failover { behind, seen: r.percent(70), away }));
            // Events that may vanish, and others that may get their positions.
            for _ in 0..r.within(0, 3) {
                let pim = r.within(1, u64::from(plan.pims)) as u32;
                plan.batches.push((at + r.within(0, behind + away), pim, r.within(1, 4)));
            }
        }
        // Behind a network, and a standby: something is under way most of the time.
        if r.percent(50) {
            plan.storage = vec![(0, Health::Slow)];
        }
        Plan { losses, ..plan }
    }
}
