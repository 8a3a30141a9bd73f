//! Log lines that a sender can cause: at most one per minute for each cause and PIM, with the number of occurrences
//! that it stands for.

use std::collections::HashMap;

use domain::PimId;
use meter::Seldom;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Cause of a line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Cause {
    /// Unrecognisable events.
    Bad,
    /// Events with an unknown action.
    UnknownAction,
    /// Entities that cannot be compared.
    Uncompared,
    /// Deltas beyond the limit of an event.
    TooLarge,
    /// Unreadable last states.
    Snapshot,
    /// Unrecognisable entities of the REST API.
    Entity,
}

/// The lines of each PIM and cause. Bounded by the number of registered PIMs.
#[derive(Default)]
pub(crate) struct Lines(Mutex<HashMap<(PimId, Cause), Seldom>>);

impl Lines {
    /// Counts `times` occurrences. When a line is due: the number of occurrences that it stands for.
    pub(crate) fn note(&self, pim: PimId, cause: Cause, times: usize) -> Option<u64> {
        if times == 0 {
            return None;
        }
        self.0.lock().entry((pim, cause)).or_default().note(Instant::now().into_std(), times as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use meter::QUIET;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_stands_for_all_of_its_cause_since_the_one_before() {
        let seldom = Lines::default();
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
