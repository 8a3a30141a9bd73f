//! Cache of names, each valid for a limited time.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Answer;

/// Maximum number of cached names.
const NAMES_KEPT: usize = 4_096;

/// Answers by name.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<Box<str>, (Instant, Answer)>>);

impl Known {
    pub(super) fn get(&self, name: &str) -> Option<Answer> {
        let mut names = self.0.lock();
        let (until, answer) = names.get(name)?;
        if Instant::now() < *until {
            return Some(answer.clone());
        }
        names.remove(name);
        None
    }

    /// Caches an answer. A full cache drops expired answers first, then those that expire soonest.
    pub(super) fn learn(&self, name: &str, answer: Answer, keep: Duration) {
        if keep.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut names = self.0.lock();
        if names.len() >= NAMES_KEPT {
            names.retain(|_, (until, _)| now < *until);
        }
        if names.len() >= NAMES_KEPT {
            let mut ends: Vec<Instant> = names.values().map(|(until, _)| *until).collect();
            // A sixteenth at once, so that a full table isn't searched for each name.
            let (_, last, _) = ends.select_nth_unstable(NAMES_KEPT / 16);
            let last = *last;
            names.retain(|_, (until, _)| last < *until);
        }
        names.insert(name.into(), (now + keep, answer));
    }

    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::LookupError;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_known_for_its_time() {
        let known = Known::default();
        known.learn("a", Err(LookupError::NoAddress), Duration::from_secs(10));
        known.learn("b", Err(LookupError::NoAddress), Duration::ZERO);
        assert_eq!((known.get("a"), known.get("b")), (Some(Err(LookupError::NoAddress)), None));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(known.get("a"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_are_good_for_long_outlast_many_others() {
        let known = Known::default();
        known.learn("long", Err(LookupError::NoAddress), Duration::from_secs(300));
        for number in 0..3 * NAMES_KEPT {
            known.learn(&number.to_string(), Err(LookupError::NoAddress), Duration::from_secs(30));
            assert!(known.0.lock().len() <= NAMES_KEPT);
        }
        assert!(known.get("long").is_some());
    }
}
