//! Work that is completed whether or not the client is still connected.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::watch;

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
    pub(crate) fn run<W: Future<Output: Send> + Send + 'static>(&self, work: W) -> Completed<W> {
        Completed { work: Some((Box::pin(work), self.0.subscribe())) }
    }

    /// Waits until no work is pending.
    pub(crate) async fn ended(&self) {
        self.0.closed().await;
    }
}

/// Work done in the task of its connection, which saves the wake-ups of a task of its own. Once that task is gone, it
/// gets one.
pub(crate) struct Completed<W: Future<Output: Send> + Send + 'static> {
    /// The work, and its sign that it is pending; `None` once it is done.
    work: Option<(Pin<Box<W>>, watch::Receiver<()>)>,
}

impl<W: Future<Output: Send> + Send + 'static> Future for Completed<W> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<W::Output> {
        // Taken while it is polled: work that panics must not be polled again.
        let (mut work, pending) = self.work.take().expect("polled after its end");
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some((work, pending));
        }
        polled
    }
}

impl<W: Future<Output: Send> + Send + 'static> Drop for Completed<W> {
    fn drop(&mut self) {
        // Without a runtime the process is ending.
        if let Some((work, pending)) = self.work.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                work.await;
                drop(pending);
            });
        }
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
        });
        let left = tokio::time::timeout(Duration::from_secs(1), work).await;
        assert!(left.is_err() && !done.load(Ordering::SeqCst));
        commits.ended().await;
        assert!(done.load(Ordering::SeqCst));
    }
}
