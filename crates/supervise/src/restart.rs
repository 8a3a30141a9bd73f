//! Restarts of tasks.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

/// Pause before a restart. It doubles with each further failure, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause. After a run longer than this, the next pause is [`FIRST_PAUSE`] again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs a task until it returns; after a panic it is restarted with a pause.
pub async fn restart_on_panic<F>(name: &'static str, mut start: impl FnMut() -> F)
where
    F: Future<Output = ()>,
{
    let mut pause = FIRST_PAUSE;
    while let Err(ran) = ended(start()).await {
        pause = again(name, "panicked", pause, ran).await;
    }
}

/// Runs a task that should never return; if it returns or panics, it is restarted after a pause.
pub(crate) async fn restart<F>(name: &'static str, mut start: impl FnMut() -> F)
where
    F: Future<Output = ()>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let (how, ran) = match ended(start()).await {
            Ok(()) => ("ended", started.elapsed()),
            Err(ran) => ("panicked", ran),
        };
        pause = again(name, how, pause, ran).await;
    }
}

/// Runs a task once; the error is a panic, with the time that the task ran.
async fn ended(task: impl Future<Output = ()>) -> Result<(), Duration> {
    let started = Instant::now();
    AssertUnwindSafe(task).catch_unwind().await.map_err(|_| started.elapsed())
}

/// Waits before the next start; returns the pause after it.
async fn again(name: &'static str, how: &'static str, pause: Duration, ran: Duration) -> Duration {
    let pause = if ran > LONGEST_PAUSE { FIRST_PAUSE } else { pause };
    tracing::error!(task = name, "a background task {how}; restarting it in {pause:?}");
    tokio::time::sleep(pause).await;
    (2 * pause).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_orderly_end_is_an_end() {
        let starts = AtomicUsize::new(0);
        restart_on_panic("twice", || async {
            assert!(starts.fetch_add(1, Ordering::Relaxed) > 0, "planted");
        })
        .await;
        assert_eq!(starts.load(Ordering::Relaxed), 2);
    }
}
