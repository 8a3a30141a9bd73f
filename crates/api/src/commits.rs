//! Work that completes in a task of its own, whether or not the client is still connected.

use std::future::Future;

use tokio::sync::watch;

use crate::refusal::{Refusal, because};

/// Work that outlives its connection. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Commits(watch::Sender<()>);

impl Default for Commits {
    fn default() -> Commits {
        Commits(watch::Sender::new(()))
    }
}

impl Commits {
    /// Completes `work` even if the client disconnects, which drops this future.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let under_way = self.0.subscribe();
        let task = tokio::spawn(async move {
            let done = work.await;
            drop(under_way);
            done
        });
        match task.await {
            Ok(done) => done,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Refusal::new(because::STOPPING, "the platform is stopping")),
            },
        }
    }

    /// Waits until no work is pending.
    pub(crate) async fn ended(&self) {
        self.0.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_started_commit_finishes_after_its_client_disconnects() {
        let (commits, done) = (Commits::default(), Arc::new(AtomicBool::new(false)));
        let sets = Arc::clone(&done);
        let work = commits.run(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            sets.store(true, Ordering::SeqCst);
            Ok(())
        });
        let left = tokio::time::timeout(Duration::from_secs(1), work).await;
        assert!(left.is_err() && !done.load(Ordering::SeqCst));
        commits.ended().await;
        assert!(done.load(Ordering::SeqCst));
    }
}
