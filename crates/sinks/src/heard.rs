//! Whether anything out there answers: when a host was last heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The last sign of life from any host: destinations, PIMs, the mail server, the trace collector. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Heard {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    since: Instant,
    /// Microseconds after `since`, plus one; 0 = never.
    last: AtomicU64,
}

impl Default for Heard {
    fn default() -> Heard {
        Heard { inner: Arc::new(Inner { since: Instant::now(), last: AtomicU64::new(0) }) }
    }
}

impl Heard {
    /// A host has answered: with a status, a refusal, a reset, anything that only it can have sent.
    pub fn note(&self) {
        let micros = u64::try_from(self.inner.since.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
        self.inner.last.fetch_max(micros + 1, Ordering::Relaxed);
    }

    /// How long ago that was; `None` = never.
    pub fn ago(&self) -> Option<Duration> {
        let last = self.inner.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.inner.since.elapsed().saturating_sub(Duration::from_micros(last)))
    }
}
