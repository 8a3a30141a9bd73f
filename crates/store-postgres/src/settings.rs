//! Settings of the store.

use std::time::Duration;

use store::{KeepBounds, Vault};

use crate::target::Target;

/// Settings of a [`PostgresStore`](crate::PostgresStore).
#[derive(Debug)]
pub struct Settings {
    /// Where the database is.
    pub target: Target,
    /// Bytes of the newest events kept in memory for lanes that keep up.
    pub tail_bytes: usize,
    /// Bytes of undelivered events beyond which appends are rejected; those of a PIM are rejected beyond half of it.
    pub max_log_bytes: u64,
    /// Bytes of the snapshots of one PIM; those that don't fit are not stored.
    pub max_state_bytes: u64,
    /// Bytes of the log entries of one PIM, over all its clients; the oldest are deleted.
    pub max_entry_bytes: u64,
    /// Retention of ids, in hours of service (contract page 6: 24 h).
    pub dedup_window: Duration,
    /// Bounds of events kept after their delivery.
    pub keep: KeepBounds,
    /// Seals and opens secrets.
    pub vault: Vault,
    /// Connections for reads; there are half as many for appends and for changes, and one for leases.
    pub connections: usize,
    /// Time within which a statement must be answered.
    pub patience: Duration,
    /// How long a lease is valid without renewal.
    pub lease: Duration,
    /// Bytes of a partition of the log after which the next one begins, before its hour is over.
    pub part_bytes: u64,
}

impl Settings {
    /// Default settings.
    pub fn new(target: Target, vault: Vault) -> Settings {
        Settings {
            target,
            tail_bytes: 64 << 20,
            max_log_bytes: 20 << 30,
            max_state_bytes: 10 << 30,
            max_entry_bytes: 256 << 20,
            dedup_window: Duration::from_secs(24 * 60 * 60),
            keep: KeepBounds::CONTRACT,
            vault,
            connections: 8,
            patience: Duration::from_secs(10),
            lease: Duration::from_secs(10),
            part_bytes: 1 << 30,
        }
    }
}
