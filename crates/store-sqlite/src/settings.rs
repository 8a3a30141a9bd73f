//! Settings of the store.

use std::time::Duration;

use store::{KeepBounds, Vault};

/// Settings of a [`SqliteStore`](crate::SqliteStore).
#[derive(Debug)]
pub struct Settings {
    /// Bytes of the newest events kept in memory for lanes that keep up.
    pub tail_bytes: usize,
    /// Bytes of events in the log beyond which appends are rejected; those of a PIM are rejected beyond half of it. Log
    /// entries, snapshots and notifications don't count.
    pub max_log_bytes: u64,
    /// Bytes of the snapshots of one PIM; those that don't fit are not stored.
    pub max_state_bytes: u64,
    /// Bytes of the log entries of one PIM, over all its clients; the oldest are deleted.
    pub max_entry_bytes: u64,
    /// Bytes of free disk space below which appends are rejected.
    pub min_free_disk_bytes: u64,
    /// Retention of ids, in hours of service (contract page 6: 24 h).
    pub dedup_window: Duration,
    /// Bounds of events kept after their delivery.
    pub keep: KeepBounds,
    /// Seals and opens secrets.
    pub vault: Vault,
    /// Number of reader threads, with a connection each.
    pub readers: usize,
    /// Number of ids kept in memory before they are written to disk as a sorted run; about 40 bytes each.
    pub dedup_recent: usize,
    /// Memory for the filters of the runs on disk, 10 bits per id; runs beyond it are searched without a filter.
    pub dedup_filter_bytes: usize,
    /// Pages in the write-ahead log that trigger a checkpoint.
    pub checkpoint_pages: u32,
}

impl Settings {
    /// Default settings.
    pub fn new(vault: Vault) -> Settings {
        Settings {
            tail_bytes: 64 << 20,
            max_log_bytes: 20 << 30,
            max_state_bytes: 10 << 30,
            max_entry_bytes: 256 << 20,
            min_free_disk_bytes: 1 << 30,
            dedup_window: Duration::from_secs(24 * 60 * 60),
            keep: KeepBounds::CONTRACT,
            vault,
            readers: 4,
            dedup_recent: 1 << 17,
            dedup_filter_bytes: 128 << 20,
            // 64 MiB: with fewer pages, the disk syncs of checkpoints affect the latency of appends.
            checkpoint_pages: 8_000,
        }
    }
}
