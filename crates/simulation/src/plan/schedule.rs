//! What happens when: receivers, storage, batches of events.

use super::{MINUTE, SECOND};
use crate::random::Random;
use crate::receiver::Behaviour;
use crate::storage::Health;

/// Behaviour of a receiver over time.
pub(super) fn schedule(r: &mut Random, lasts: u64) -> Vec<(u64, Behaviour)> {
    let mut at = 0;
    let mut schedule = Vec::new();
    while at < lasts {
        let behaviour = match r.within(0, 99) {
            0..25 => Behaviour::Good(r.one_of(&[1, 30, 400, 3000])),
            25..50 => Behaviour::Flaky(r.one_of(&[10, 30, 60, 90, 300])),
            50..58 => Behaviour::Hanging,
            58..75 => Behaviour::Throttling(r.one_of(&[0, 1, 3, 12, 40])),
            75..88 => Behaviour::Lying,
            88..94 => Behaviour::Answering(r.one_of(&[404, 301, 308, 401, 410, 500, 503, 425])),
            _ => Behaviour::Away,
        };
        schedule.push((at, behaviour));
        at += r.one_of(&[5 * SECOND, MINUTE, 7 * MINUTE, 30 * MINUTE]) + r.within(0, MINUTE);
    }
    schedule
}

/// Health of the storage over time.
pub(super) fn storage_schedule(r: &mut Random, lasts: u64) -> Vec<(u64, Health)> {
    let mut at = 0;
    let mut schedule = Vec::new();
    while at < lasts {
        at += r.within(0, lasts / 3);
        schedule.push((at, r.one_of(&[Health::Slow, Health::Flaky(30), Health::Flaky(10), Health::Failing])));
        at += r.one_of(&[SECOND, 20 * SECOND, 3 * MINUTE]);
        schedule.push((at, Health::Good));
    }
    schedule
}

/// Batches of events: time, PIM, number of events.
pub(super) fn batches(r: &mut Random, pims: u32, lasts: u64) -> Vec<(u64, u32, u64)> {
    let rounds = r.within(4, 30);
    let mut batches = Vec::new();
    for _ in 0..rounds {
        let at = r.within(0, lasts - MINUTE);
        let pim = r.within(1, u64::from(pims)) as u32;
        match r.within(0, 9) {
            0..5 => batches.push((at, pim, r.within(1, 3))),
            5..9 => batches.push((at, pim, r.within(5, 30))),
            // A burst that no lane can take at once.
            _ => batches.push((at, pim, r.within(60, 160))),
        }
        // Some more soon after.
        for _ in 0..r.within(0, 6) {
            batches.push((at + r.within(0, 5 * SECOND), pim, r.within(1, 2)));
        }
    }
    batches
}
