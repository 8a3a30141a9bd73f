//! Counters and sizes of a store, for metrics, and what the composition needs of a backend beyond its ports.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meter::{Counter, Histogram, SHORT};
use tokio::sync::watch;

use crate::Store;
use crate::elsewhere::Elsewhere;
use crate::error::StoreError;
use crate::shard::Shard;

/// Maximum count of rows of one kind.
pub const COUNTED: u64 = 10_000;

/// Counters since the start of the process.
#[derive(Debug)]
pub struct Meters {
    /// Duration of committed transactions, including the disk's sync.
    pub commit_duration: Histogram,
    /// Requests in them: appends, changes, saves.
    pub requests: Counter,
    /// Events written in them.
    pub events: Counter,
    /// Bytes of those events.
    pub event_bytes: Counter,
    /// Failed transactions, of which nothing was stored.
    pub failed_commits: Counter,
    /// Entries added to the logs of subscribers.
    pub entries: Counter,
    /// Entries merged with an equal earlier one.
    pub merged_entries: Counter,
    /// Notifications dropped because their PIM had too many.
    pub dropped_notifications: Counter,
    /// Snapshots not stored because their PIM's snapshots have reached the bound.
    pub dropped_snapshots: Counter,
}

impl Default for Meters {
    fn default() -> Meters {
        Meters {
            commit_duration: Histogram::new(SHORT),
            requests: Counter::default(),
            events: Counter::default(),
            event_bytes: Counter::default(),
            failed_commits: Counter::default(),
            entries: Counter::default(),
            merged_entries: Counter::default(),
            dropped_notifications: Counter::default(),
            dropped_snapshots: Counter::default(),
        }
    }
}

/// Sizes of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// Bytes of the events in the log, bounded by [`Bounds::max_log_bytes`].
    pub backlog_bytes: u64,
    /// Bytes of events kept after their delivery, and of the records about them.
    pub kept_bytes: u64,
    /// Used bytes of the database.
    pub used_bytes: u64,
    /// Bytes of the database file, including free pages, where there is a file.
    pub file_bytes: Option<u64>,
    /// Bytes of the write-ahead log file, likewise.
    pub wal_bytes: Option<u64>,
    /// Bytes of free disk space available to the platform, likewise.
    pub free_disk_bytes: Option<u64>,
    /// Positions from the first one still in the log to its head, over all shards.
    pub log_span: u64,
    /// Unsent notifications, counted up to [`COUNTED`].
    pub waiting_notifications: u64,
}

/// Configured bounds of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Bytes of the backlog beyond which appends are rejected.
    pub max_log_bytes: u64,
    /// Bytes of the snapshots of one PIM.
    pub max_state_bytes: u64,
    /// Bytes of the log entries of one PIM.
    pub max_entry_bytes: u64,
    /// Bytes of free disk space below which appends are rejected; 0 if the disk is not ours to watch.
    pub min_free_disk_bytes: u64,
    /// Bytes of kept events.
    pub max_kept_bytes: u64,
}

/// Resolves at the end of something; independent of the store's lifetime.
pub type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A backend as the composition sees it.
#[async_trait]
pub trait Backend: Store {
    /// Counters.
    fn meters(&self) -> &Arc<Meters>;

    /// Bounds.
    fn bounds(&self) -> Bounds;

    /// Current sizes.
    async fn figures(&self) -> Result<Figures, StoreError>;

    /// Reseals all secrets sealed with an older master key, so that it can be removed. Returns their number. New
    /// secrets are always sealed with the current key.
    async fn reseal(&self) -> Result<u64, StoreError>;

    /// Time for which leases are valid.
    fn lease(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// Number of shards without an owner, as seen at the latest look for news.
    fn vacancies(&self) -> watch::Receiver<usize> {
        watch::Sender::new(0).subscribe()
    }

    /// Whether this process owns a shard at this moment, as far as it can know by itself. Asked right before each
    /// attempt to deliver.
    fn owns(&self, _shard: Shard) -> bool {
        true
    }

    /// Shards of other owners in which this process has committed something; `None` if it owns all there are.
    fn elsewhere(&self) -> Option<&Arc<Elsewhere>> {
        None
    }

    /// Looks at once for what other processes have committed in the shards of this one.
    fn nudge(&self) {}

    /// Events of each shard that were accepted but not routed yet, as far as saved progress shows.
    async fn lags(&self) -> Result<BTreeMap<Shard, u64>, StoreError>;

    /// Counts interruptions. After each, nothing that was learned before is trusted, and all shards are to be dropped
    /// and taken anew.
    fn interruptions(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    /// What acknowledged events may be lost by, and what to do about it; `None` if nothing is known.
    async fn durability(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// Gives back what this process still owns, and leaves the nodes, at an orderly stop.
    async fn release(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Resolves when a background task of the store has ended, which is a fault while the store is open.
    fn ended(&self) -> Ended;
}
