//! What a lane wants to know after a restart besides its cursor and its waiting events: its rate, and the success window, so that a failing
//! endpoint does not get away by our restart.
//!
//! It belongs to the destination that it was learnt from: under another one it says nothing.
//!
//! Format 1, little endian: version (1 byte), number of the destination (`u64`), rate and limit (`f32` each, limit 0 = none), then per minute
//! with outcomes: minute since 1970 (`u32`), delivered, failed (`u32` each).

use crate::pace::Pace;
use crate::settings::Settings;
use crate::window::{Counts, Window};

const VERSION: u8 = 1;

/// Writes what is to be kept.
pub(crate) fn write(destination: u64, pace: &Pace, window: &Window) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend(destination.to_le_bytes());
    out.extend((pace.rate() as f32).to_le_bytes());
    out.extend((pace.limit().unwrap_or(0.0) as f32).to_le_bytes());
    for (minute, counts) in window.minutes() {
        out.extend(u32::try_from(minute).unwrap_or(0).to_le_bytes());
        out.extend(u32::try_from(counts.delivered).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(u32::try_from(counts.failed).unwrap_or(u32::MAX).to_le_bytes());
    }
    out
}

/// Reads it back. What cannot be read, or was learnt from another destination, is as if there were nothing: a lane can always start afresh.
pub(crate) fn read(memory: &[u8], destination: u64, settings: &Settings) -> Option<(Pace, Window)> {
    let (version, rest) = memory.split_first()?;
    let (learnt_from, rest) = rest.split_first_chunk::<8>()?;
    if *version != VERSION || u64::from_le_bytes(*learnt_from) != destination {
        return None;
    }
    let (rate, rest) = rest.split_first_chunk::<4>()?;
    let (limit, rest) = rest.split_first_chunk::<4>()?;
    let limit = Some(f64::from(f32::from_le_bytes(*limit))).filter(|limit| *limit > 0.0);
    let pace = Pace::at_rate(f64::from(f32::from_le_bytes(*rate)), limit, settings);
    let (records, torn) = rest.as_chunks::<12>();
    if !torn.is_empty() {
        return None;
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte));
    let window = Window::restore(records.iter().map(|record| {
        let counts = Counts { delivered: number(&record[4..8]).into(), failed: number(&record[8..]).into() };
        (i64::from(number(&record[..4])), counts)
    }));
    Some((pace, window))
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        let settings = Settings::default();
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let pace = Pace::at_rate(33.5, Some(40.25), &settings);
        let mut window = Window::default();
        window.failed(now);
        window.delivered(now);
        let (read_pace, mut read_window) = read(&write(7, &pace, &window), 7, &settings).unwrap();
        assert_eq!((read_pace.rate(), read_pace.limit()), (33.5, Some(40.25)));
        assert_eq!(read_window.counts(now), window.counts(now));
    }

    #[test]
    fn what_was_learnt_from_another_destination_is_nothing() {
        let settings = Settings::default();
        let memory = write(7, &Pace::new(&settings), &Window::default());
        assert!(read(&memory, 7, &settings).is_some());
        assert!(read(&memory, 8, &settings).is_none());
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let settings = Settings::default();
        for memory in [&[][..], &[9], &[1, 0, 0], &[1; 12], &[1; 18]] {
            assert!(read(memory, u64::from_le_bytes([1; 8]), &settings).is_none(), "{memory:?}");
        }
    }
}
