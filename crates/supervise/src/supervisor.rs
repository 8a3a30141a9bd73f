//! The background tasks of a whole program.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::restart::restart;

/// The background tasks of a platform.
#[derive(Debug, Default)]
pub struct Supervisor {
    stopping: watch::Sender<bool>,
    failed: Arc<watch::Sender<Option<&'static str>>>,
    kept: JoinSet<()>,
}

impl Supervisor {
    /// A supervisor without tasks.
    pub fn new() -> Supervisor {
        Supervisor::default()
    }

    /// Runs a task until the platform stops. If it returns or panics, it is restarted after a pause.
    pub fn keep<F>(&mut self, name: &'static str, start: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        self.kept.spawn(async move { restart(name, start).await });
    }

    /// Runs a task that the platform cannot do without. If it panics, or returns before the platform stops, the
    /// platform fails.
    pub fn need(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let (stopping, failed) = (self.stopping.subscribe(), Arc::clone(&self.failed));
        tokio::spawn(async move {
            let panicked = AssertUnwindSafe(task).catch_unwind().await.is_err();
            if panicked || !*stopping.borrow() {
                tracing::error!(task = name, panicked, "an essential task ended; the platform is stopping");
                failed.send_replace(Some(name));
            }
        })
    }

    /// Becomes true when the platform stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Resolves when a needed task has failed, with its name.
    pub async fn failed(&self) -> &'static str {
        let mut failed = self.failed.subscribe();
        // The supervisor itself holds the sender.
        match failed.wait_for(Option::is_some).await.map(|name| *name) {
            Ok(Some(name)) => name,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Announces the stop: from now on, essential tasks may return.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Aborts the tasks that never return by themselves.
    pub async fn end_kept(&mut self) {
        self.kept.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    async fn pass(seconds: u64) {
        // In steps, so that each timer fires at its own time.
        for _ in 0..seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// A supervisor with a kept task that panics after `lasts`, and the number of its starts.
    fn failing(lasts: Duration) -> (Supervisor, Arc<AtomicUsize>) {
        let mut supervisor = Supervisor::new();
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&starts);
        supervisor.keep("failing", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(lasts).await;
                panic!("planted");
            }
        });
        (supervisor, starts)
    }

    /// The failed task, if one fails within a minute.
    async fn failure(supervisor: &Supervisor) -> Option<&'static str> {
        tokio::time::timeout(Duration::from_secs(60), supervisor.failed()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again_ever_less_often() {
        let (_supervisor, starts) = failing(Duration::ZERO);
        // After 1, 2, 4, 8, 16, 32 and 60 s.
        for (after, expect) in [(0, 1), (2, 2), (2, 3), (4, 4), (8, 5), (16, 6), (32, 7), (60, 8)] {
            pass(after).await;
            tokio::task::yield_now().await;
            assert_eq!(starts.load(Ordering::Relaxed), expect);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ran_for_long_is_started_again_soon() {
        let (_supervisor, starts) = failing(Duration::from_secs(100));
        pass(450).await;
        assert_eq!(starts.load(Ordering::Relaxed), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn kept_tasks_end_with_the_platform() {
        let (mut supervisor, starts) = failing(Duration::ZERO);
        pass(1).await;
        supervisor.stop();
        supervisor.end_kept().await;
        let before = starts.load(Ordering::Relaxed);
        pass(600).await;
        assert_eq!(starts.load(Ordering::Relaxed), before);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_needed_task_is_a_failure() {
        let supervisor = Supervisor::new();
        supervisor.need("quiet", std::future::pending());
        supervisor.need("ended", async {});
        assert_eq!(failure(&supervisor).await, Some("ended"));
        let supervisor = Supervisor::new();
        supervisor.need("panicked", async { panic!("planted") });
        assert_eq!(failure(&supervisor).await, Some("panicked"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_needed_task_may_end_once_the_platform_stops() {
        let supervisor = Supervisor::new();
        let mut stopping = supervisor.stopping();
        let ends = supervisor.need("orderly", async move {
            _ = stopping.wait_for(|stopping| *stopping).await;
        });
        supervisor.stop();
        ends.await.unwrap();
        assert_eq!(failure(&supervisor).await, None, "a graceful end counted as a failure");
    }
}
