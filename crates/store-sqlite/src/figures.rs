//! Counters and sizes of the store, for metrics.

use std::path::Path;
use std::sync::Arc;

use domain::Position;
use meter::{Counter, Histogram, SHORT};
use rusqlite::Connection;
use store::StoreError;

use crate::SqliteStore;
use crate::failure::Failure;
use crate::kept::keeping;
use crate::readers::PLATFORM;

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
    /// Bytes of the events in the log, bounded by `max_log_bytes`.
    pub backlog_bytes: u64,
    /// Bytes of events kept after their delivery, and of the records about them.
    pub kept_bytes: u64,
    /// Used bytes of the database.
    pub used_bytes: u64,
    /// Bytes of the database file, including free pages.
    pub file_bytes: u64,
    /// Bytes of the write-ahead log file.
    pub wal_bytes: u64,
    /// Bytes of free disk space available to the platform.
    pub free_disk_bytes: u64,
    /// First position still in the log; its head if it is empty.
    pub first: Position,
    /// Position of the next event.
    pub head: Position,
    /// Unsent notifications, counted up to [`COUNTED`].
    pub waiting_notifications: u64,
}

/// Configured bounds of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// [`Settings::max_log_bytes`](crate::Settings::max_log_bytes)
    pub max_log_bytes: u64,
    /// [`Settings::max_state_bytes`](crate::Settings::max_state_bytes)
    pub max_state_bytes: u64,
    /// [`Settings::max_entry_bytes`](crate::Settings::max_entry_bytes)
    pub max_entry_bytes: u64,
    /// [`Settings::min_free_disk_bytes`](crate::Settings::min_free_disk_bytes)
    pub min_free_disk_bytes: u64,
    /// Bytes of [`Settings::keep`](crate::Settings::keep)
    pub max_kept_bytes: u64,
}

impl SqliteStore {
    /// Counters of the store.
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Bounds of appends.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Current sizes: a few lookups on a reader thread, none of which grows with the stored data.
    pub async fn figures(&self) -> Result<Figures, StoreError> {
        let head = self.tail.head();
        let folder = self.folder.clone();
        let backlog_bytes = self.backlog.lock().total();
        self.readers.read(PLATFORM, move |connection| figures(connection, &folder, head, backlog_bytes)).await
    }
}

fn figures(connection: &Connection, folder: &Path, head: Position, backlog_bytes: u64) -> Result<Figures, Failure> {
    let number =
        |sql: &str| -> Result<u64, Failure> { Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?) };
    let page = number("PRAGMA page_size")?;
    let pages = number("PRAGMA page_count")?;
    let free_pages = number("PRAGMA freelist_count")?;
    let first = number("SELECT coalesce((SELECT pos FROM frames ORDER BY pos LIMIT 1), 0)")?;
    // Emails are retained for an hour after they were sent.
    let unsent = "json_extract(body, '$.sent_at') IS NULL";
    let waiting = format!("SELECT count(*) FROM (SELECT 1 FROM notifications WHERE {unsent} LIMIT {COUNTED})");
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    let disk = rustix::fs::statvfs(folder)
        .map_err(|error| Failure::Unavailable(format!("cannot determine the free disk space: {error}")))?;
    Ok(Figures {
        backlog_bytes,
        kept_bytes: keeping::total(connection)?,
        used_bytes: pages.saturating_sub(free_pages) * page,
        file_bytes: size(crate::database::DATABASE),
        wal_bytes: size(&format!("{}-wal", crate::database::DATABASE)),
        free_disk_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        first: if first == 0 { head } else { Position(first).min(head) },
        head,
        waiting_notifications: number(&waiting)?,
    })
}
