//! State kept by a sink for each subscription: connections, a producer, the constant parts of its requests. Each
//! belongs to one revision of the subscription's configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::SubscriptionId;
use parking_lot::RwLock;
use supervise::restart_on_panic;

/// Maximum interval between sweeps of idle entries.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// State kept for a subscription at a revision.
pub(crate) trait Keep {
    /// Called once it is no longer kept: attempts still using it leave nothing behind in it.
    fn retire(&self) {}
}

/// The kept state by subscription.
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
    /// The state of a subscription at a revision.
    pub(crate) fn get(&self, id: SubscriptionId, revision: u64) -> Option<Arc<T>> {
        let all = self.0.read();
        let found = all.get(&id).filter(|found| found.revision == revision)?;
        Some(Arc::clone(&found.kept))
    }

    /// Keeps new state for a subscription at a revision and returns it, or the existing state if there is one by now. A
    /// newer revision replaces an older one; state of an older one, from an attempt in flight meanwhile, is not kept.
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

    /// Drops the state of a subscription. Returns whether nothing is left for any other either.
    pub(crate) fn forget(&self, id: SubscriptionId) -> bool {
        let mut all = self.0.write();
        let (forgotten, is_empty) = (all.remove(&id), all.is_empty());
        drop(all);
        if let Some(forgotten) = forgotten {
            forgotten.kept.retire();
        }
        is_empty
    }

    /// Visits all kept state.
    pub(crate) fn each(&self, mut look: impl FnMut(&Arc<T>)) {
        self.0.read().values().for_each(|found| look(&found.kept));
    }

    /// Drops unused state for which `may_go` holds.
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
            // An attempt that acquired it meanwhile keeps it.
            if all.get(&id).is_some_and(|found| !found.is_used() && may_go(&found.kept)) {
                swept.extend(all.remove(&id));
            }
        }
        drop(all);
        swept.iter().for_each(|swept| swept.kept.retire());
    }

    /// Drops the first unused state by `order`, and returns it.
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
    /// Whether an attempt uses it. Only under the map's lock, where all other references come from.
    fn is_used(&self) -> bool {
        Arc::strong_count(&self.kept) > 1
    }
}

/// Calls `sweep` periodically, often enough for `idle_timeout`, during the sink's lifetime. Must be called within a
/// tokio runtime.
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
