//! State of a topic's lane while its topic rejects events: the failed batch is resent unchanged, after growing pauses,
//! and no later event overtakes it.

use std::time::Duration;

use domain::{Position, Timestamp};

use crate::settings::Settings;

/// Each pause varies randomly by up to this share, so that lanes of one failed broker do not all return at the same
/// moment.
const JITTER: f64 = 0.2;

/// Consecutive failures without a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Backoff {
    /// Failures since the last delivery.
    pub(crate) failures: u32,
    /// Attempts since the last delivery or failure that say nothing about the topic.
    pub(crate) uncounted: u32,
    /// Time of the next attempt.
    pub(crate) until: Timestamp,
    /// Events before it have been sent before; later ones wait until these are settled.
    pub(crate) tried_before: Position,
    /// The topic only reported an exceeded quota.
    pub(crate) throttled: bool,
}

impl Backoff {
    /// The next pause after a failure. `lane`: a number that differs between lanes.
    pub(crate) fn pause(failures: u32, now: Timestamp, lane: u64, settings: &Settings) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let pause = settings.first_backoff.saturating_mul(1 << doublings).min(settings.longest_backoff);
        pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * fraction(lane ^ now.as_micros().cast_unsigned()))
    }
}

/// A pseudo-random number from 0 to 1, derived from `seed` (SplitMix64's mixer): the lane has no source of randomness,
/// so that simulations are repeatable.
fn fraction(seed: u64) -> f64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_second_to_a_minute_give_or_take_a_fifth() {
        let settings = Settings::default();
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        for (failures, seconds) in [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (8, 60.0), (u32::MAX, 60.0)] {
            for lane in 0..100 {
                let pause = Backoff::pause(failures, now, lane, &settings).as_secs_f64() / seconds;
                assert!((0.8..=1.2).contains(&pause), "{pause} of {seconds} s after {failures} failures");
            }
        }
    }

    #[test]
    fn lanes_that_fail_at_the_same_moment_come_back_at_different_ones() {
        let settings = Settings::default();
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let mut pauses: Vec<_> = (0..100).map(|lane| Backoff::pause(5, now, lane, &settings)).collect();
        pauses.sort();
        assert!(pauses[90] - pauses[10] > Duration::from_secs(4), "{:?} to {:?}", pauses[10], pauses[90]);
    }
}
