//! Lookups of single values without a reader thread: the version of the PIMs, which every request needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use crate::failure::Failure;

/// Maximum delay of other processes' changes (`postrider pim`). A look is a read transaction, which costs more than the
/// parsing of an event and contends with the writer.
const RECENT: Duration = Duration::from_millis(5);

/// A connection for such lookups, and the last result.
#[derive(Debug)]
pub(crate) struct Glance {
    connection: Mutex<Connection>,
    /// This process's transactions that may have changed the catalogue.
    changes: Arc<AtomicU64>,
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    version: u64,
    /// [`Glance::changes`] before it was read.
    changes: u64,
    at: Instant,
}

impl Glance {
    /// `changes` is incremented after each commit that may change the catalogue, before anyone learns of it.
    pub(crate) fn new(connection: Connection, changes: Arc<AtomicU64>) -> Glance {
        Glance { connection: Mutex::new(connection), changes, seen: Mutex::new(None) }
    }

    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }

    /// Number of changes of PIMs: including all of this process, and those of others until [`RECENT`] ago.
    pub(crate) fn pims_version(&self) -> Result<u64, Failure> {
        let changes = self.changes.load(Ordering::SeqCst);
        let mut seen = self.seen.lock();
        if let Some(seen) = *seen
            && seen.changes == changes
            && seen.at.elapsed() < RECENT
        {
            return Ok(seen.version);
        }
        let at = Instant::now();
        let sql = "SELECT value FROM meta WHERE name = 'pims_version'";
        let version = self.connection.lock().prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        *seen = Some(Seen { version, changes, at });
        Ok(version)
    }

    /// The next [`Glance::pims_version`] includes all changes until now.
    pub(crate) fn forget(&self) {
        *self.seen.lock() = None;
    }
}
