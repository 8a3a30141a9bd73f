//! A fair queue that tasks can wait on.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::queue::{Asked, Holder, Queue, Waiter};

/// Places that are shared fairly. Cheap to clone.
#[derive(Clone)]
pub struct Places {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    queue: Queue,
    tasks: HashMap<Waiter, oneshot::Sender<()>>,
}

impl Inner {
    /// Wakes those who have got their places.
    fn serve(&mut self) {
        while let Some(waiter) = self.queue.serve() {
            // A task that has gone away since gives back in `Waiting::drop`.
            if let Some(task) = self.tasks.remove(&waiter) {
                _ = task.send(());
            }
        }
    }
}

/// Places held; dropping it gives them back.
pub struct Permit {
    places: Places,
    holder: Holder,
    held: u64,
}

/// A task that waits; if it gives up, its request goes, or what it was granted meanwhile is given back.
struct Waiting<'a> {
    places: &'a Places,
    waiter: Waiter,
    holder: Holder,
    wanted: u64,
    done: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut inner = self.places.inner.lock();
        inner.tasks.remove(&self.waiter);
        if !inner.queue.withdraw(self.waiter) {
            inner.queue.give_back(self.holder, self.wanted);
        }
        inner.serve();
    }
}

impl Places {
    /// `capacity` places, at least one.
    pub fn new(capacity: u64) -> Places {
        Places { inner: Arc::new(Mutex::new(Inner { queue: Queue::new(capacity), tasks: HashMap::new() })) }
    }

    /// Waits for a place.
    pub async fn one(&self, holder: Holder) -> Permit {
        self.some(holder, 1).await
    }

    /// Waits for `wanted` places at once. Dropping the future gives the request up.
    pub async fn some(&self, holder: Holder, wanted: u64) -> Permit {
        let permit = || Permit { places: self.clone(), holder, held: wanted };
        let (waiter, granted) = {
            let mut inner = self.inner.lock();
            match inner.queue.ask(holder, wanted) {
                Asked::Granted => return permit(),
                Asked::Waits(waiter) => {
                    let (task, granted) = oneshot::channel();
                    inner.tasks.insert(waiter, task);
                    // A request may be before others that cannot be served yet.
                    inner.serve();
                    (waiter, granted)
                }
            }
        };
        let mut waiting = Waiting { places: self, waiter, holder, wanted, done: false };
        // The sender lies in `tasks` until the request is granted.
        _ = granted.await;
        waiting.done = true;
        permit()
    }

    /// `wanted` places if they are free for the holder now.
    pub fn try_some(&self, holder: Holder, wanted: u64) -> Option<Permit> {
        let mut inner = self.inner.lock();
        match inner.queue.ask(holder, wanted) {
            Asked::Granted => Some(Permit { places: self.clone(), holder, held: wanted }),
            Asked::Waits(waiter) => {
                inner.queue.withdraw(waiter);
                None
            }
        }
    }

    /// Places that are held.
    pub fn used(&self) -> u64 {
        self.inner.lock().queue.used()
    }

    /// Places that a PIM holds.
    pub fn used_by(&self, pim: u64) -> u64 {
        self.inner.lock().queue.used_by(pim)
    }

    /// Places that nobody holds.
    pub fn free(&self) -> u64 {
        self.inner.lock().queue.free()
    }

    /// How many places are a PIM's share while others want some.
    pub fn share(&self) -> u64 {
        self.inner.lock().queue.share()
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.inner.lock().queue.waiting()
    }
}

impl Permit {
    /// On whose behalf.
    pub fn holder(&self) -> Holder {
        self.holder
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inner = self.places.inner.lock();
        inner.queue.give_back(self.holder, self.held);
        inner.serve();
    }
}
