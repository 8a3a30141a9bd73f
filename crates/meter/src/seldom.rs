//! Log lines that others can cause: at most one per minute and cause, with a count.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Minimum interval between two lines. Short enough for an operator who watches the log while fixing the cause.
pub const QUIET: Duration = Duration::from_secs(60);

/// Time of a cause's last line, and the occurrences since then. One for all clients together, or one for each of a
/// bounded set, such as registered PIMs: never one for each value that a request can invent.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    unreported: u64,
}

impl Seldom {
    /// A cause without a line so far.
    pub const fn new() -> Seldom {
        Seldom(Mutex::new(State { last: None, unreported: 0 }))
    }

    /// Records `times` occurrences. If a line is due, returns the number it stands for.
    pub fn note(&self, now: Instant, times: u64) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.unreported = state.unreported.saturating_add(times);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < QUIET) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unreported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_for_all_since_the_one_before() {
        let (seldom, start) = (Seldom::new(), Instant::now());
        let note = |after: Duration, times| seldom.note(start + after, times);
        assert_eq!(note(Duration::ZERO, 2), Some(2));
        assert_eq!(note(Duration::ZERO, 3), None);
        assert_eq!(note(QUIET - Duration::from_millis(1), 5), None);
        assert_eq!(note(QUIET, 6), Some(14));
        assert_eq!(note(QUIET, 7), None);
        assert_eq!(note(3 * QUIET, 8), Some(15));
    }

    #[test]
    fn a_flood_is_a_line_a_minute() {
        let (seldom, start) = (Seldom::new(), Instant::now());
        let reported: Vec<u64> =
            (0..600_000).filter_map(|ms| seldom.note(start + Duration::from_millis(ms), 1)).collect();
        assert_eq!(reported, [1, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000]);
    }
}
