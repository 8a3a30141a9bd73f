//! Random moments, repeatable by seed.

use std::time::Duration;

use domain::Clock;

/// A small random number generator (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    /// The generator of this run, with its printed seed: `POSTRIDER_SEED`, or a new one.
    pub(crate) fn of_this_run() -> (u64, Random) {
        let seed = std::env::var("POSTRIDER_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| Clock::system().wall().as_micros() as u64);
        println!("seed {seed}; POSTRIDER_SEED={seed} repeats it");
        (seed, Random(seed))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// From `least` milliseconds to less than `least + more`.
    pub(crate) fn moment(&mut self, least: u64, more: u64) -> Duration {
        Duration::from_millis(least + self.below(more))
    }
}
