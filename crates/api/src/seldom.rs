//! The causes of log lines that clients can order, each with its own [`Seldom`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::PimId;
use meter::Seldom;
use tokio::time::Instant;

/// Causes; those that need no key have one line a minute for all clients together.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    /// Requests of the Events API without a valid signature.
    pub(crate) not_genuine: Seldom,
    /// Events of the Events API that could not be stored.
    pub(crate) lost: Seldom,
    /// Requests that name a PIM that is not registered.
    pub(crate) unknown_pim: Seldom,
    /// Tokens that a PIM could not be asked about.
    pub(crate) pim_unavailable: Seldom,
    /// Looks at `/health/ready` while something lacks.
    pub(crate) not_ready: Seldom,
    /// Refused requests whose log entry was not written.
    pub(crate) entry_not_written: Seldom,
    /// Removals that name no client: these need a key.
    pub(crate) nameless_removals: ByPim,
}

/// A cause that only a PIM's own producers have: one line a minute for each PIM.
#[derive(Debug, Default)]
pub(crate) struct ByPim(Mutex<HashMap<PimId, Arc<Seldom>>>);

impl ByPim {
    /// As [`Seldom::note`].
    pub(crate) fn note(&self, pim: PimId, times: u64) -> Option<u64> {
        let seldom = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(pim).or_default());
        seldom.note(now(), times)
    }
}

/// The time that [`Seldom`] is told.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use meter::QUIET;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_pim_has_its_own_line() {
        let causes = ByPim::default();
        assert_eq!(causes.note(PimId(1), 2), Some(2));
        assert_eq!(causes.note(PimId(1), 3), None);
        assert_eq!(causes.note(PimId(2), 4), Some(4));
        tokio::time::advance(QUIET).await;
        assert_eq!(causes.note(PimId(1), 5), Some(8));
    }
}
