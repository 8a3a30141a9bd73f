//! Replays in a plan.

use store::KeepBounds;

use super::{Plan, SECOND};
use crate::random::Random;

/// What somebody does about replays.
#[derive(Clone, Copy, Debug)]
pub struct ReplayPlan {
    /// The subscription; any if `None`.
    pub lane: Option<usize>,
    /// Whether a running replay is cancelled instead.
    pub cancel: bool,
}

impl Plan {
    /// The same world with replays, in most of them of events that are kept to the end.
    #[must_use]
    pub fn with_replays(self) -> Plan {
        let mut random = Random::new(self.seed, 12);
        let r = &mut random;
        let mut replays = Vec::new();
        for _ in 0..r.within(1, 8) {
            let near = self.batches[r.within(0, self.batches.len() as u64 - 1) as usize].0 + r.within(0, 10 * SECOND);
            let at = if r.percent(60) { near } else { r.within(0, self.lasts) };
            replays.push((at, ReplayPlan { lane: None, cancel: r.percent(15) }));
        }
        let hours = r.one_of(&[u32::MAX / 2, u32::MAX / 2, u32::MAX / 2, 24 * 60]);
        Plan { replays, keep: KeepBounds { hours, bytes: u64::MAX / 2 }, ..self }
    }
}
