//! Signals between the catalogue of a shard and its engine within one process: "committed" in one direction, "in
//! effect" in the other.

use std::time::Duration;

use tokio::sync::watch;

/// Versions of a shard's catalogue: the committed one, and the one applied by the engine.
///
/// **A backend announces a change before it pushes events of the same or a later commit to the tail.** A reader that
/// has seen an event in the tail and then checks [`Changes::committed`] therefore sees every change that applies to the
/// event.
///
/// An API response waits until its change is in effect (contract page 7, "Delivery and guard").
#[derive(Debug)]
pub struct Changes {
    committed: watch::Sender<u64>,
    applied: watch::Sender<u64>,
}

impl Default for Changes {
    fn default() -> Changes {
        Changes { committed: watch::Sender::new(0), applied: watch::Sender::new(0) }
    }
}

impl Changes {
    /// Called by the backend: this version is committed.
    pub fn commit(&self, version: u64) {
        self.committed.send_if_modified(|current| {
            let newer = version > *current;
            *current = version.max(*current);
            newer
        });
    }

    /// Called by the engine: this version is applied.
    pub fn apply(&self, version: u64) {
        self.applied.send_if_modified(|current| {
            let newer = version > *current;
            *current = version.max(*current);
            newer
        });
    }

    /// The newest committed version, as a watch channel.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Waits until the engine has applied `version`; `false` after `at_most`.
    pub async fn in_effect(&self, version: u64, at_most: Duration) -> bool {
        let mut applied = self.applied.subscribe();
        let waited = tokio::time::timeout(at_most, applied.wait_for(|current| *current >= version)).await;
        matches!(waited, Ok(Ok(_)))
    }
}
