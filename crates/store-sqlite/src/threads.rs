//! The threads of an open store. Each runs as long as the store unless it panics.

use std::thread::JoinHandle;

use tokio::sync::watch;

/// Starts the threads, and signals when the first of them has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads {
    ended: watch::Sender<bool>,
}

impl Threads {
    /// Starts a thread.
    pub(crate) fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        let ending = Ending(self.ended.clone());
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _ending = ending;
            work();
        })
    }

    /// Resolves when a thread has ended.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.subscribe();
        async move {
            // An error: the store and its threads were dropped.
            _ = ended.wait_for(|ended| *ended).await;
        }
    }
}

/// Dropped when a thread ends, even by a panic.
struct Ending(watch::Sender<bool>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_panics_is_noticed() {
        let threads = Threads::default();
        let (goes_on, waits) = std::sync::mpsc::channel::<()>();
        let kept = threads.start("kept", move || _ = waits.recv()).unwrap();
        let failing = threads.start("failing", || panic!("planted")).unwrap();
        threads.ended().await;
        assert!(failing.join().is_err());
        drop(goes_on);
        kept.join().unwrap();
    }
}
