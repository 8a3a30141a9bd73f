//! Processor work that would block the threads of the runtime.

use std::thread::available_parallelism;

use crate::places::Places;
use crate::queue::Holder;

/// Runs work of more than a few milliseconds on separate threads: as many at a time as there are processors, shared
/// fairly. Cheap to clone.
#[derive(Clone)]
pub struct Aside {
    places: Places,
    inline: usize,
}

/// The platform is stopping: the work was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopping;

impl Aside {
    /// Work on fewer bytes than `inline` runs immediately, in place.
    pub fn new(inline: usize) -> Aside {
        let processors = available_parallelism().map_or(1, |count| count.get() as u64);
        Aside { places: Places::new(processors), inline }
    }

    /// Number of waiting jobs.
    pub fn waiting(&self) -> usize {
        self.places.waiting()
    }

    /// Does work on this many bytes for the holder, waiting for its turn if necessary. A panic propagates to the
    /// caller.
    pub async fn run<T: Send + 'static>(
        &self,
        holder: Holder,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stopping> {
        if bytes < self.inline {
            return Ok(work());
        }
        let place = self.places.one(holder).await;
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work, which continues after its caller has given up.
            let _place = place;
            work()
        });
        match done.await {
            Ok(done) => Ok(done),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Stopping),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::current;
    use std::time::Duration;

    use super::*;

    const HOLDER: Holder = Holder { pim: 1, part: 0 };

    #[tokio::test]
    async fn small_work_is_done_on_the_spot_and_large_work_elsewhere() {
        let aside = Aside::new(1000);
        let here = current().id();
        assert_eq!(aside.run(HOLDER, 999, || current().id()).await, Ok(here));
        assert_ne!(aside.run(HOLDER, 1000, || current().id()).await, Ok(here));
    }

    #[tokio::test]
    async fn no_more_at_a_time_than_there_are_processors() {
        let aside = Aside::new(0);
        let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for pim in 0..50 {
            let (aside, busy, most) = (aside.clone(), Arc::clone(&busy), Arc::clone(&most));
            tasks.spawn(async move {
                let work = move || {
                    most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                    busy.fetch_sub(1, Ordering::SeqCst);
                };
                aside.run(Holder { pim, part: 0 }, 1, work).await
            });
        }
        while let Some(done) = tasks.join_next().await {
            assert_eq!(done.map_err(|error| error.is_panic()), Ok(Ok(())));
        }
        let processors = available_parallelism().map_or(1, |count| count.get());
        assert!(most.load(Ordering::SeqCst) <= processors);
        assert_eq!(aside.places.used(), 0);
    }
}
