//! How the catalogue of a shard and its engine tell each other of changes within one process: the one says "committed",
//! the other "in effect".

use std::time::Duration;

use tokio::sync::watch;

/// Versions of a shard's catalogue: committed ones, and those that the engine works by.
///
/// **A backend announces a change before it pushes events of the same or a later commit to the tail.** So whoever has seen an
/// event in the tail and then looks at [`Changes::committed`] knows of every change that the event is judged by.
///
/// An answer of the API waits until its change is in effect (contract page 7, "Delivery and guard").
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
    /// The backend says: this version is committed.
    pub fn commit(&self, version: u64) {
        self.committed.send_if_modified(|current| {
            let newer = version > *current;
            *current = version.max(*current);
            newer
        });
    }

    /// The engine says: I work by this version.
    pub fn apply(&self, version: u64) {
        self.applied.send_if_modified(|current| {
            let newer = version > *current;
            *current = version.max(*current);
            newer
        });
    }

    /// The newest committed version, and a way to wait for the next.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Waits until the engine works by `version`; `false` if that takes longer than `at_most`.
    pub async fn in_effect(&self, version: u64, at_most: Duration) -> bool {
        let mut applied = self.applied.subscribe();
        let waited = tokio::time::timeout(at_most, applied.wait_for(|current| *current >= version)).await;
        matches!(waited, Ok(Ok(_)))
    }
}
