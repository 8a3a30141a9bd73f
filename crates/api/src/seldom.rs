//! Causes of log lines that clients can trigger, each with its own [`Seldom`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::PimId;
use meter::Seldom;
use tokio::time::Instant;

/// The causes; those without authentication have one line per minute for all clients together.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    /// Events API requests without a valid signature.
    pub(crate) not_genuine: Seldom,
    /// Events API events that could not be stored.
    pub(crate) lost: Seldom,
    /// Requests for an unregistered PIM.
    pub(crate) unknown_pim: Seldom,
    /// Tokens that could not be checked with a PIM.
    pub(crate) pim_unavailable: Seldom,
    /// Requests to `/health/ready` while resources are missing.
    pub(crate) not_ready: Seldom,
    /// Rejected requests whose log entry could not be written.
    pub(crate) entry_not_written: Seldom,
    /// Removal events without a client; these need a key.
    pub(crate) nameless_removals: ByPim,
}

/// A cause limited to a PIM's own producers: one line per minute and PIM.
#[derive(Debug, Default)]
pub(crate) struct ByPim(Mutex<HashMap<PimId, Arc<Seldom>>>);

impl ByPim {
    /// Like [`Seldom::note`].
    pub(crate) fn note(&self, pim: PimId, times: u64) -> Option<u64> {
        let seldom = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(pim).or_default());
        seldom.note(now(), times)
    }
}

/// Time for [`Seldom`].
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
