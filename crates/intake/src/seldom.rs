//! Lines of the operator's log that a sender can cause: at most one per cause and PIM in a minute, with the number of what it
//! stands for.

use std::collections::HashMap;
use std::time::Duration;

use domain::PimId;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long the next line of the same cause waits.
const QUIET: Duration = Duration::from_secs(60);

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Cause {
    /// Events of which nothing can be told.
    Bad,
    /// Events with an unknown action.
    UnknownAction,
    /// Entities that cannot be compared.
    Uncompared,
    /// Deltas that no event may be as large as.
    TooLarge,
    /// Last states that cannot be read.
    Snapshot,
    /// Entities of the REST API of which nothing can be told.
    Entity,
}

/// When each line was last written, and what has happened since. Bounded by the number of registered PIMs.
#[derive(Default)]
pub(crate) struct Seldom(Mutex<HashMap<(PimId, Cause), Quiet>>);

struct Quiet {
    since: Instant,
    untold: usize,
}

impl Seldom {
    /// Takes note that something happened so many times. When it is time for a line: what that stands for.
    pub(crate) fn note(&self, pim: PimId, cause: Cause, times: usize) -> Option<usize> {
        if times == 0 {
            return None;
        }
        let now = Instant::now();
        let mut all = self.0.lock();
        let Some(quiet) = all.get_mut(&(pim, cause)) else {
            all.insert((pim, cause), Quiet { since: now, untold: 0 });
            return Some(times);
        };
        quiet.untold += times;
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
    async fn a_line_stands_for_all_of_its_cause_since_the_one_before() {
        let seldom = Seldom::default();
        assert_eq!(seldom.note(PimId(1), Cause::Bad, 0), None);
        assert_eq!(seldom.note(PimId(1), Cause::Bad, 2), Some(2));
        assert_eq!(seldom.note(PimId(1), Cause::Bad, 3), None);
        assert_eq!(seldom.note(PimId(1), Cause::Entity, 1), Some(1), "another cause");
        assert_eq!(seldom.note(PimId(2), Cause::Bad, 4), Some(4), "another PIM");
        tokio::time::advance(QUIET - Duration::from_millis(1)).await;
        assert_eq!(seldom.note(PimId(1), Cause::Bad, 5), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(seldom.note(PimId(1), Cause::Bad, 6), Some(14));
        assert_eq!(seldom.note(PimId(1), Cause::Bad, 7), None);
    }
}
