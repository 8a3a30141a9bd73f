//! A lane's state across restarts besides its cursor and waiting events: its rate, the success window and the start of
//! a topic's rejections, so that a failing destination does not benefit from our restart; and the accepted events of a
//! batch, so that only the rest is resent.
//!
//! All but the last belong to the destination they were learnt from and say nothing about another. Also the time of
//! the last warning about the success rate.
//!
//! Format 5, little endian: version (1 byte), number of the destination (`u64`), rate and limit (`f32` each, limit 0 =
//! none), the backoff (failures `u32`, the position behind the events that were tried `u64`, 0 = no backoff), a topic
//! that accepts nothing (microseconds since 1970 of the first failure `i64`, 0 = it does, microseconds of tries and of
//! those at the last entry `u64` each, attempts since that entry `u32`), the number of events settled ahead of the
//! cursor (`u32`) and their positions (`u64` each), then per minute with outcomes: minute since 1970 (`u32`),
//! delivered, failed (`u32` each), microseconds since 1970 of its first failure (`i64`, 0 = none). The last warning
//! (microseconds since 1970, `i64`, 0 = none) precedes the minutes; format 4 lacks it.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{Now, Position, Timestamp};

use crate::backoff::Backoff;
use crate::pace::Pace;
use crate::patience::Unfed;
use crate::settings::Settings;
use crate::window::{Bucket, Counts, Window};

const VERSION: u8 = 5;

/// The format without warnings.
const WITHOUT_WARNING: u8 = 4;

/// Restored state.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Destination that the next four were learnt from.
    pub(crate) destination: u64,
    pub(crate) pace: Pace,
    pub(crate) window: Window,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) unfed: Option<Unfed>,
    /// Settled events ahead of the cursor.
    pub(crate) ahead: BTreeSet<Position>,
    /// Time of the last warning.
    pub(crate) warned_at: Option<Timestamp>,
}

/// A lane's knowledge of its destination.
pub(crate) type Learnt<'a> = (&'a Pace, &'a Window, Option<&'a Backoff>, Option<&'a Unfed>);

/// Serialises the state, with times by the wall clock.
pub(crate) fn write(
    destination: u64,
    (pace, window, backoff, unfed): Learnt<'_>,
    ahead: &BTreeSet<Position>,
    warned_at: Option<Timestamp>,
    now: Now,
) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend(destination.to_le_bytes());
    out.extend((pace.rate() as f32).to_le_bytes());
    out.extend((pace.limit().unwrap_or(0.0) as f32).to_le_bytes());
    out.extend(backoff.map_or(0, |backoff| backoff.failures).to_le_bytes());
    out.extend(backoff.map_or(0, |backoff| backoff.tried_before.0).to_le_bytes());
    out.extend(unfed.map_or(0, |unfed| now.on_the_wall(unfed.since).as_micros()).to_le_bytes());
    out.extend(unfed.map_or(0, |unfed| micros(unfed.tried_for)).to_le_bytes());
    out.extend(unfed.map_or(0, |unfed| micros(unfed.reported_at)).to_le_bytes());
    out.extend(unfed.map_or(0, |unfed| unfed.unreported).to_le_bytes());
    out.extend((ahead.len() as u32).to_le_bytes());
    for position in ahead {
        out.extend(position.0.to_le_bytes());
    }
    out.extend(warned_at.map_or(0, |at| now.on_the_wall(at).as_micros()).to_le_bytes());
    for bucket in window.minutes(now) {
        out.extend(u32::try_from(bucket.minute).unwrap_or(0).to_le_bytes());
        out.extend(u32::try_from(bucket.counts.delivered).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(u32::try_from(bucket.counts.failed).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(bucket.first_failure.map_or(0, Timestamp::as_micros).to_le_bytes());
    }
    out
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Memory {
    /// Restores the state. Unreadable state counts as none: a lane can always start afresh.
    pub(crate) fn read(memory: &[u8], settings: &Settings) -> Option<Memory> {
        let mut rest = memory;
        let [version] = take(&mut rest)?;
        if ![VERSION, WITHOUT_WARNING].contains(&version) {
            return None;
        }
        let destination = u64::from_le_bytes(take(&mut rest)?);
        let rate = f64::from(f32::from_le_bytes(take(&mut rest)?));
        let limit = Some(f64::from(f32::from_le_bytes(take(&mut rest)?))).filter(|limit| *limit > 0.0);
        let failures = u32::from_le_bytes(take(&mut rest)?);
        let tried_before = Position(u64::from_le_bytes(take(&mut rest)?));
        let unfed = Unfed {
            since: Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?)),
            tried_for: Duration::from_micros(u64::from_le_bytes(take(&mut rest)?)),
            reported_at: Duration::from_micros(u64::from_le_bytes(take(&mut rest)?)),
            unreported: u32::from_le_bytes(take(&mut rest)?),
            last_tried: None,
        };
        let mut ahead = BTreeSet::new();
        for _ in 0..u32::from_le_bytes(take(&mut rest)?) {
            ahead.insert(Position(u64::from_le_bytes(take(&mut rest)?)));
        }
        let warned_at = match version {
            VERSION => Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?)),
            _ => Timestamp::EPOCH,
        };
        let mut minutes = Vec::new();
        while !rest.is_empty() {
            let minute = u32::from_le_bytes(take(&mut rest)?);
            let delivered = u32::from_le_bytes(take(&mut rest)?).into();
            let failed = u32::from_le_bytes(take(&mut rest)?).into();
            let first_failure = Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?));
            let first_failure = Some(first_failure).filter(|at| *at > Timestamp::EPOCH);
            minutes.push(Bucket::saved(i64::from(minute), Counts { delivered, failed }, first_failure));
        }
        // The pause itself is not saved: the first attempt after a restart is immediate.
        let backoff = Backoff { failures, uncounted: 0, until: Timestamp::EPOCH, tried_before, throttled: false };
        Some(Memory {
            destination,
            pace: Pace::at_rate(rate, limit, settings),
            window: Window::restore(minutes),
            backoff: (tried_before > Position(0)).then_some(backoff),
            unfed: (unfed.since > Timestamp::EPOCH).then_some(unfed),
            ahead,
            warned_at: (warned_at > Timestamp::EPOCH).then_some(warned_at),
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        let settings = Settings::default();
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let pace = Pace::at_rate(33.5, Some(40.25), &settings);
        let mut window = Window::default();
        window.failed(now);
        window.delivered(now);
        let backoff =
            Backoff { failures: 3, uncounted: 0, until: Timestamp::EPOCH, tried_before: Position(9), throttled: false };
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let unfed =
            Unfed { since: now, tried_for: minutes(90), reported_at: minutes(61), unreported: 27, last_tried: None };
        let ahead = BTreeSet::from([Position(4), Position(7)]);
        let learnt = (&pace, &window, Some(&backoff), Some(&unfed));
        let whole = write(7, learnt, &ahead, Some(now), now.into());
        let mut read = Memory::read(&whole, &settings).unwrap();
        assert_eq!(read.warned_at, Some(now));
        assert_eq!((read.destination, read.pace.rate(), read.pace.limit()), (7, 33.5, Some(40.25)));
        assert_eq!(read.window.counts(now), window.counts(now));
        assert_eq!(read.window.oldest_failure(now), Some(now));
        assert_eq!((read.backoff, read.unfed, read.ahead), (Some(backoff), Some(unfed), ahead));
        let read = Memory::read(&write(7, (&pace, &window, None, None), &BTreeSet::new(), None, now.into()), &settings)
            .unwrap();
        assert_eq!((read.backoff, read.unfed, read.ahead, read.warned_at), (None, None, BTreeSet::new(), None));
        // The format before differs by the warning alone.
        let mut before = whole.clone();
        let warned = 61 + 8 * 2;
        before.drain(warned..warned + 8);
        before[0] = WITHOUT_WARNING;
        let mut read = Memory::read(&before, &settings).unwrap();
        assert_eq!((read.warned_at, read.window.counts(now)), (None, window.counts(now)));
    }

    #[test]
    fn unreadable_memory_is_ignored() {
        let settings = Settings::default();
        let learnt = (&Pace::new(&settings), &Window::default(), None, None);
        let now = Now::from(Timestamp::from_micros(1_700_000_000_000_000));
        let whole = write(7, learnt, &BTreeSet::from([Position(4)]), None, now);
        for end in 0..whole.len() {
            assert!(Memory::read(&whole[..end], &settings).is_none(), "{end} bytes of it");
        }
        for memory in [&[9][..], &[3; 60], &[4; 60], &[5; 60], &[whole.as_slice(), &[0]].concat()] {
            assert!(Memory::read(memory, &settings).is_none(), "{memory:?}");
        }
    }
}
