//! Sizes of the store, for metrics.

use std::path::Path;

use domain::Position;
use rusqlite::Connection;
use store::StoreError;
use store::figures::{COUNTED, Figures};

use crate::SqliteStore;
use crate::failure::Failure;
use crate::kept::keeping;
use crate::readers::PLATFORM;

impl SqliteStore {
    /// A few lookups on a reader thread, none of which grows with the stored data.
    pub(crate) async fn current_figures(&self) -> Result<Figures, StoreError> {
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
        file_bytes: Some(size(crate::database::DATABASE)),
        wal_bytes: Some(size(&format!("{}-wal", crate::database::DATABASE))),
        free_disk_bytes: Some(disk.f_bavail.saturating_mul(disk.f_frsize)),
        log_span: if first == 0 { 0 } else { head.0.saturating_sub(first) },
        waiting_notifications: number(&waiting)?,
    })
}
