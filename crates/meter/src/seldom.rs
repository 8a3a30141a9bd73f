//! Log lines that others can cause: at most one a minute for each cause, with the number that it stands for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Minimum interval between two lines. Short enough for somebody who watches the log while they repair what causes
/// them.
pub const QUIET: Duration = Duration::from_secs(60);

/// When one cause had its last line, and how often it has occurred since. One for all clients together, or one for each
/// of a bounded set, such as registered PIMs: never one for each of what a request may make up.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    untold: u64,
}

impl Seldom {
    /// A cause that has had no line.
    pub const fn new() -> Seldom {
        Seldom(Mutex::new(State { last: None, untold: 0 }))
    }

    /// It has occurred `times` times. When a line is due: the number of occurrences that it stands for.
    pub fn note(&self, now: Instant, times: u64) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold = state.untold.saturating_add(times);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < QUIET) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.untold))
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
        let told: Vec<u64> = (0..600_000).filter_map(|ms| seldom.note(start + Duration::from_millis(ms), 1)).collect();
        assert_eq!(told, [1, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000]);
    }
}
