//! What a sink keeps for each subscription: connections, a producer, what is the same for all of its requests. Each
//! belongs to one revision of the subscription's configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::SubscriptionId;
use parking_lot::RwLock;
use supervise::restart_on_panic;

/// How often what rested for too long is looked for, at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Something kept for a subscription at a revision.
pub(crate) trait Keep {
    /// It is not kept any more: attempts that still use it leave nothing behind in it.
    fn retire(&self) {}
}

/// What is kept, by subscription.
pub(crate) struct Kept<T>(RwLock<HashMap<SubscriptionId, Revised<T>>>);

struct Revised<T> {
    revision: u64,
    kept: Arc<T>,
}

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept(RwLock::default())
    }
}

impl<T: Keep> Kept<T> {
    /// What is kept for a subscription at a revision.
    pub(crate) fn get(&self, id: SubscriptionId, revision: u64) -> Option<Arc<T>> {
        let all = self.0.read();
        let found = all.get(&id).filter(|found| found.revision == revision)?;
        Some(Arc::clone(&found.kept))
    }

    /// Keeps what was made for a subscription at a revision, and gives it; if there is one by now, that. A newer
    /// revision replaces an older one; for an older one, of an attempt that was on its way meanwhile, nothing is kept.
    pub(crate) fn put(&self, id: SubscriptionId, revision: u64, made: T) -> Arc<T> {
        let made = Arc::new(made);
        let mut all = self.0.write();
        let retired = match all.get(&id) {
            Some(found) if found.revision == revision => return Arc::clone(&found.kept),
            Some(found) if found.revision > revision => Some(Arc::clone(&made)),
            Some(_) | None => {
                let replaced = all.insert(id, Revised { revision, kept: Arc::clone(&made) });
                replaced.map(|replaced| replaced.kept)
            }
        };
        drop(all);
        if let Some(retired) = retired {
            retired.retire();
        }
        made
    }

    /// Keeps nothing for a subscription any more. Whether nothing is kept for any other either.
    pub(crate) fn forget(&self, id: SubscriptionId) -> bool {
        let mut all = self.0.write();
        let (forgotten, is_empty) = (all.remove(&id), all.is_empty());
        drop(all);
        if let Some(forgotten) = forgotten {
            forgotten.kept.retire();
        }
        is_empty
    }

    /// Looks at everything that is kept.
    pub(crate) fn each(&self, mut look: impl FnMut(&Arc<T>)) {
        self.0.read().values().for_each(|found| look(&found.kept));
    }

    /// Keeps no longer what is not in use and may go.
    pub(crate) fn sweep(&self, may_go: impl Fn(&T) -> bool) {
        let all = self.0.read();
        let unused: Vec<_> = all.iter().filter(|(_, found)| may_go(&found.kept)).map(|(id, _)| *id).collect();
        drop(all);
        if unused.is_empty() {
            return;
        }
        let mut all = self.0.write();
        let mut swept = Vec::new();
        for id in unused {
            // Who got hold of it meanwhile keeps it.
            if all.get(&id).is_some_and(|found| !found.is_used() && may_go(&found.kept)) {
                swept.extend(all.remove(&id));
            }
        }
        drop(all);
        swept.iter().for_each(|swept| swept.kept.retire());
    }

    /// Keeps no longer the first by `order` of what is not in use, and gives it.
    pub(crate) fn take_unused<K: Ord>(&self, order: impl Fn(&T) -> K) -> Option<Arc<T>> {
        let mut all = self.0.write();
        let unused = all.iter().filter(|(_, found)| !found.is_used());
        let id = *unused.min_by_key(|(_, found)| order(&found.kept))?.0;
        let taken = all.remove(&id)?.kept;
        drop(all);
        taken.retire();
        Some(taken)
    }
}

impl<T> Revised<T> {
    /// Whether an attempt uses it. Only under the lock of all, for that is where others come from.
    fn is_used(&self) -> bool {
        Arc::strong_count(&self.kept) > 1
    }
}

/// Calls `sweep` now and then, often enough for what is closed after `idle_timeout`, for as long as the sink is there.
/// Must be called within a tokio runtime.
pub(crate) fn sweep_often<S: Send + Sync + 'static>(sink: &Arc<S>, idle_timeout: Duration, sweep: fn(&S)) {
    let sink = Arc::downgrade(sink);
    let interval = (idle_timeout / 4).clamp(Duration::from_millis(10), SWEEP_INTERVAL);
    tokio::spawn(restart_on_panic("closing of idle connections", move || {
        let sink = sink.clone();
        async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(sink) = sink.upgrade() else { return };
                sweep(&sink);
            }
        }
    }));
}

#[cfg(test)]
mod tests;
