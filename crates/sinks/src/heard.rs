//! The last response from any host.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The last sign of life from any host: destinations, PIMs, the mail server, the trace collector. Cheap to clone;
/// clones share their state.
#[derive(Clone, Debug)]
pub struct Heard {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    since: Instant,
    /// Microseconds after `since`, plus one; 0 = never.
    last: AtomicU64,
    /// The same, of the last unanswered attempt.
    missed: AtomicU64,
    silence: Notify,
}

impl Default for Heard {
    fn default() -> Heard {
        let (last, missed) = (AtomicU64::new(0), AtomicU64::new(0));
        Heard { inner: Arc::new(Inner { since: Instant::now(), last, missed, silence: Notify::new() }) }
    }
}

impl Heard {
    /// Records a host's response: a status, a refusal, a reset, anything that only the host can have sent.
    pub fn note(&self) {
        self.inner.last.fetch_max(self.now(), Ordering::Relaxed);
    }

    /// Time since the last response; `None` = never.
    pub fn ago(&self) -> Option<Duration> {
        let last = self.inner.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.inner.since.elapsed().saturating_sub(Duration::from_micros(last)))
    }

    /// Records an attempt that ended without a sign of life.
    pub fn note_silence(&self) {
        self.inner.missed.fetch_max(self.now(), Ordering::Relaxed);
        self.inner.silence.notify_one();
    }

    /// Whether the last attempt ended without a sign of life, and none was seen since.
    pub fn is_silent(&self) -> bool {
        self.inner.missed.load(Ordering::Relaxed) > self.inner.last.load(Ordering::Relaxed)
    }

    /// Waits for silence. For one task at a time.
    pub async fn silence(&self) {
        while !self.is_silent() {
            self.inner.silence.notified().await;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.inner.since.elapsed().as_micros()).unwrap_or(u64::MAX - 1) + 1
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn silence_lasts_until_a_host_is_heard() {
        let heard = Heard::default();
        let clone = heard.clone();
        assert_eq!((heard.ago(), heard.is_silent()), (None, false));
        assert!(heard.silence().now_or_never().is_none());
        clone.note_silence();
        assert!(heard.silence().now_or_never().is_some());
        std::thread::sleep(Duration::from_micros(10));
        clone.note();
        assert!(heard.ago().is_some() && !heard.is_silent());
        assert!(heard.silence().now_or_never().is_none());
    }
}
