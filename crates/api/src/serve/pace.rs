//! Minimum pace of response readers: a slow one must not hold its connection's slot indefinitely.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Counts the time during which a connection accepts nothing, and deducts accepted bytes. Nothing is counted, and no
/// timer runs, while the connection accepts all writes.
pub(super) struct Pace {
    grace: Duration,
    bytes_per_second: u32,
    owed: Duration,
    blocked: Option<Blocked>,
}

struct Blocked {
    since: Instant,
    until: Pin<Box<Sleep>>,
}

impl Pace {
    /// Requires `bytes_per_second`, with `grace` for a start or a pause.
    pub(super) fn new(bytes_per_second: u32, grace: Duration) -> Pace {
        Pace { grace, bytes_per_second: bytes_per_second.max(1), owed: Duration::ZERO, blocked: None }
    }

    /// Result of a write; [`io::ErrorKind::TimedOut`] if the reader is too slow.
    pub(super) fn watch(
        &mut self,
        write: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match write {
            Poll::Ready(Ok(written)) => {
                if let Some(blocked) = self.blocked.take() {
                    self.owed += blocked.since.elapsed();
                }
                if !self.owed.is_zero() {
                    let worth = Duration::from_secs_f64(written as f64 / f64::from(self.bytes_per_second));
                    self.owed = self.owed.saturating_sub(worth);
                }
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let (owed, grace) = (self.owed, self.grace);
                let blocked = self.blocked.get_or_insert_with(|| Blocked {
                    since: Instant::now(),
                    until: Box::pin(tokio::time::sleep(grace.saturating_sub(owed))),
                });
                match blocked.until.as_mut().poll(context) {
                    Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    /// Accepts `bytes` after each pause; returns how long this is tolerated, up to 1,000 pauses.
    async fn lasts(pause: Duration, bytes: usize) -> Option<Duration> {
        let (mut pace, start) = (Pace::new(1000, GRACE), Instant::now());
        for _ in 0..1000 {
            let mut free = Box::pin(tokio::time::sleep(pause));
            let write = |context: &mut Context<'_>| {
                let write = free.as_mut().poll(context).map(|()| Ok(bytes));
                pace.watch(write, context)
            };
            if let Err(error) = poll_fn(write).await {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return Some(start.elapsed());
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn slow_readers_are_disconnected() {
        assert_eq!(lasts(Duration::from_secs(3600), 1).await, Some(GRACE));
        // 1 byte per second instead of 1,000: almost all of each second is owed.
        let trickle = lasts(Duration::from_secs(1), 1).await.unwrap();
        assert!((GRACE..GRACE + Duration::from_secs(1)).contains(&trickle), "{trickle:?}");
        // Half the pace: half of the time is owed.
        let half = lasts(Duration::from_secs(1), 500).await.unwrap();
        assert!((2 * GRACE - Duration::from_secs(2)..=2 * GRACE).contains(&half), "{half:?}");
        assert_eq!(lasts(Duration::from_secs(1), 1000).await, None);
        assert_eq!(lasts(Duration::from_secs(9), 9000).await, None, "pauses are fine at a good pace");
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_anything_to_read_is_not_counted() {
        let mut pace = Pace::new(1000, GRACE);
        for _ in 0..100 {
            poll_fn(|context| pace.watch(Poll::Ready(Ok(1)), context)).await.unwrap();
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(pace.owed, Duration::ZERO);
    }
}
