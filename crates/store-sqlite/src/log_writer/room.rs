//! Room for further events: the bounds of the log, and the disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use store::Backlog;
use store::room::Mib;

use crate::failure::Failure;

/// Validity of a check of free disk space.
const DISK_CHECK_EVERY: Duration = Duration::from_millis(500);

/// Room for further events.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    /// Including the additions of the open transaction.
    pub(super) backlog: Arc<Mutex<Backlog>>,
    pub(super) min_free_disk_bytes: u64,
    free: Option<(Instant, u64)>,
}

impl Room {
    /// In the data folder.
    pub(super) fn new(folder: PathBuf, backlog: Arc<Mutex<Backlog>>, min_free_disk_bytes: u64) -> Room {
        Room { folder, backlog, min_free_disk_bytes, free: None }
    }

    /// Free disk space.
    pub(super) fn free(&mut self) -> Result<u64, Failure> {
        if let Some((at, free)) = self.free
            && at.elapsed() < DISK_CHECK_EVERY
        {
            return Ok(free);
        }
        let free = rustix::fs::statvfs(&self.folder)
            .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
            .map_err(|error| Failure::Unavailable(format!("cannot determine the free disk space: {error}")))?;
        self.free = Some((Instant::now(), free));
        Ok(free)
    }

    /// The message of a nearly full disk.
    pub(super) fn disk_is_low(&mut self) -> Result<String, Failure> {
        Ok(format!(
            "the disk is nearly full: {} free, at least {} required (storage.min_free_disk)",
            Mib(self.free()?),
            Mib(self.min_free_disk_bytes)
        ))
    }
}
