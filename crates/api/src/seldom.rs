//! Lines of the operator's log that come for a PIM at most once in a while: what a producer does wrong with every event must
//! not become a line an event.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::PimId;
use tokio::time::Instant;

/// How long a PIM's next line waits. Short enough for somebody who watches the log while he repairs his producer.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

/// When each PIM had its last line, and what has happened since. Bounded by the number of registered PIMs.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<HashMap<PimId, Quiet>>);

#[derive(Debug)]
struct Quiet {
    since: Instant,
    untold: usize,
}

impl Seldom {
    /// Takes note of `events`. When it is time for a line: the number of events that it stands for.
    pub(crate) fn note(&self, pim: PimId, events: usize) -> Option<usize> {
        let now = Instant::now();
        let mut pims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(quiet) = pims.get_mut(&pim) else {
            pims.insert(pim, Quiet { since: now, untold: 0 });
            return Some(events);
        };
        quiet.untold += events;
        if now.duration_since(quiet.since) < QUIET {
            return None;
        }
        quiet.since = now;
        Some(std::mem::take(&mut quiet.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_stands_for_all_since_the_one_before() {
        let seldom = Seldom::default();
        assert_eq!(seldom.note(PimId(1), 2), Some(2));
        assert_eq!(seldom.note(PimId(1), 3), None);
        assert_eq!(seldom.note(PimId(2), 4), Some(4), "each PIM has its own");
        tokio::time::advance(QUIET - Duration::from_millis(1)).await;
        assert_eq!(seldom.note(PimId(1), 5), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(seldom.note(PimId(1), 6), Some(14));
        assert_eq!(seldom.note(PimId(1), 7), None);
        tokio::time::advance(QUIET).await;
        assert_eq!(seldom.note(PimId(1), 8), Some(15));
    }
}
