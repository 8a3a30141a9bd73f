//! What can be set about the store.

use std::time::Duration;

use store::Vault;

/// Settings of a [`SqliteStore`](crate::SqliteStore).
#[derive(Debug)]
pub struct Settings {
    /// How much of the newest events is kept in memory for lanes that keep up.
    pub tail_bytes: usize,
    /// Appends are refused when the events in the log would take more than this, and those of a PIM when its own would
    /// take more than half of it. Log entries, snapshots and notifications do not count.
    pub max_log_bytes: u64,
    /// What the snapshots of one PIM may take; what does not fit is not kept.
    pub max_state_bytes: u64,
    /// Appends are refused when the disk has less free space than this.
    pub min_free_disk_bytes: u64,
    /// How long an id is remembered, in hours of service (contract page 6: 24 h).
    pub dedup_window: Duration,
    /// Seals and opens secrets.
    pub vault: Vault,
    /// Threads that read, each with a connection of its own.
    pub readers: usize,
    /// So many ids are kept in memory before they go to disk as a sorted run; about 40 bytes each.
    pub dedup_recent: usize,
    /// Memory for the filters in front of the runs on disk, 10 bits an id; runs beyond it are searched without a filter.
    pub dedup_filter_bytes: usize,
    /// A checkpoint is made when the write-ahead log has so many pages.
    pub checkpoint_pages: u32,
}

impl Settings {
    /// The usual settings.
    pub fn new(vault: Vault) -> Settings {
        Settings {
            tail_bytes: 64 << 20,
            max_log_bytes: 20 << 30,
            max_state_bytes: 10 << 30,
            min_free_disk_bytes: 1 << 30,
            dedup_window: Duration::from_secs(24 * 60 * 60),
            vault,
            readers: 4,
            dedup_recent: 1 << 17,
            dedup_filter_bytes: 128 << 20,
            // 64 MiB: with fewer, the disk syncs of checkpoints show in the latency of appends.
            checkpoint_pages: 8_000,
        }
    }
}
