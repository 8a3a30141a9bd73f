//! A fair queue for waiting tasks.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::queue::{Asked, Holder, Queue, Waiter};

/// Fairly shared slots. Cheap to clone.
#[derive(Clone)]
pub struct Places {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    queue: Queue,
    tasks: HashMap<Waiter, oneshot::Sender<()>>,
}

impl Inner {
    /// Wakes tasks that have got their slots.
    fn serve(&mut self) {
        while let Some(waiter) = self.queue.serve() {
            // A task that is gone by now gives its slots back in `Waiting::drop`.
            if let Some(task) = self.tasks.remove(&waiter) {
                _ = task.send(());
            }
        }
    }
}

/// Held slots; dropping it gives them back.
pub struct Permit {
    places: Places,
    holder: Holder,
    held: u64,
}

/// A waiting task; if dropped, its request is withdrawn, or slots granted meanwhile are given back.
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
    /// Creates `capacity` slots, at least one.
    pub fn new(capacity: u64) -> Places {
        Places { inner: Arc::new(Mutex::new(Inner { queue: Queue::new(capacity), tasks: HashMap::new() })) }
    }

    /// Waits for a slot.
    pub async fn one(&self, holder: Holder) -> Permit {
        self.some(holder, 1).await
    }

    /// Waits for `wanted` slots at once. Dropping the future withdraws the request.
    pub async fn some(&self, holder: Holder, wanted: u64) -> Permit {
        let permit = || Permit { places: self.clone(), holder, held: wanted };
        let (waiter, granted) = {
            let mut inner = self.inner.lock();
            match inner.queue.ask(holder, wanted) {
                Asked::Granted => return permit(),
                Asked::Waits(waiter) => {
                    let (task, granted) = oneshot::channel();
                    inner.tasks.insert(waiter, task);
                    // An earlier request may block others that cannot be served yet.
                    inner.serve();
                    (waiter, granted)
                }
            }
        };
        let mut waiting = Waiting { places: self, waiter, holder, wanted, done: false };
        // The sender stays in `tasks` until the request is granted.
        _ = granted.await;
        waiting.done = true;
        permit()
    }

    /// Takes `wanted` slots if they are available now.
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

    /// Number of held slots.
    pub fn used(&self) -> u64 {
        self.inner.lock().queue.used()
    }

    /// Number of slots held by a PIM.
    pub fn used_by(&self, pim: u64) -> u64 {
        self.inner.lock().queue.used_by(pim)
    }

    /// Number of free slots.
    pub fn free(&self) -> u64 {
        self.inner.lock().queue.free()
    }

    /// A PIM's share in slots while others want some.
    pub fn share(&self) -> u64 {
        self.inner.lock().queue.share()
    }

    /// Number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.inner.lock().queue.waiting()
    }
}

impl Permit {
    /// The holder.
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
