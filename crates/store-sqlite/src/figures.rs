//! What the store counts, and how much it holds: for metrics.

use std::path::Path;
use std::sync::Arc;

use domain::Position;
use meter::{Counter, Histogram, SHORT};
use rusqlite::Connection;
use store::StoreError;

use crate::SqliteStore;
use crate::failure::Failure;
use crate::readers::PLATFORM;

/// Rows of one kind are counted up to this number.
pub const COUNTED: u64 = 10_000;

/// What is counted from the start of the process on.
#[derive(Debug)]
pub struct Meters {
    /// How long transactions took that were committed, the disk's sync included.
    pub commit_duration: Histogram,
    /// Requests that were done in them: appends, changes, saves.
    pub requests: Counter,
    /// Events that were written in them.
    pub events: Counter,
    /// Bytes of those events.
    pub event_bytes: Counter,
    /// Transactions that failed, of which nothing was kept.
    pub failed_commits: Counter,
    /// Entries that were added to the logs of subscribers.
    pub entries: Counter,
    /// Entries that were counted with an equal one before them.
    pub merged_entries: Counter,
    /// Notifications that went unsent because their PIM had too many.
    pub dropped_notifications: Counter,
    /// Snapshots that were not kept because those of their PIM take all that they may.
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

/// How much the store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// Bytes of the events in the log: what `max_log_bytes` bounds.
    pub backlog_bytes: u64,
    /// Bytes of the database in use.
    pub used_bytes: u64,
    /// Bytes of the database's file, free pages included.
    pub file_bytes: u64,
    /// Bytes of the write-ahead log's file.
    pub wal_bytes: u64,
    /// Bytes that the disk has free for the platform.
    pub free_disk_bytes: u64,
    /// The first position that the log still has; its head if it has none.
    pub first: Position,
    /// The position that the next event will get.
    pub head: Position,
    /// Notifications that wait to be sent, counted up to [`COUNTED`].
    pub waiting_notifications: u64,
}

/// Bounds of the store, as they are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// [`Settings::max_log_bytes`](crate::Settings::max_log_bytes)
    pub max_log_bytes: u64,
    /// [`Settings::max_state_bytes`](crate::Settings::max_state_bytes)
    pub max_state_bytes: u64,
    /// [`Settings::min_free_disk_bytes`](crate::Settings::min_free_disk_bytes)
    pub min_free_disk_bytes: u64,
}

impl SqliteStore {
    /// What is counted.
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// The bounds that appends are held to.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How much the store holds now: a few look-ups on a reading thread, none of which grows with what is stored.
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
    // Emails are kept for an hour after they were sent.
    let unsent = "json_extract(body, '$.sent_at') IS NULL";
    let waiting = format!("SELECT count(*) FROM (SELECT 1 FROM notifications WHERE {unsent} LIMIT {COUNTED})");
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    let disk = rustix::fs::statvfs(folder)
        .map_err(|error| Failure::Unavailable(format!("cannot determine the free disk space: {error}")))?;
    Ok(Figures {
        backlog_bytes,
        used_bytes: pages.saturating_sub(free_pages) * page,
        file_bytes: size(crate::database::DATABASE),
        wal_bytes: size(&format!("{}-wal", crate::database::DATABASE)),
        free_disk_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        first: if first == 0 { head } else { Position(first).min(head) },
        head,
        waiting_notifications: number(&waiting)?,
    })
}
