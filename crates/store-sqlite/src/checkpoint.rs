//! Checkpoints on a separate thread: the write-ahead log is copied to the database while appends continue.
//!
//! The log can only restart once all of it is copied, and under load it keeps growing. The thread therefore copies
//! until little is left, and the writer copies that rest between two commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::threads::Threads;

/// Number of pages that the writer copies within a few milliseconds.
const LITTLE: u32 = 500;
/// Maximum number of rounds. If the disk cannot keep up with the appends, the writer has to copy more.
const ROUNDS: usize = 6;

#[derive(Debug, Default)]
struct Shared {
    /// Pages in the write-ahead log.
    pages: AtomicU32,
    /// The rest is left to the writer.
    handed_over: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Checkpoints {
    shared: Arc<Shared>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    every: u32,
}

impl Checkpoints {
    pub(crate) fn start(threads: &Threads, connection: Connection, every: u32) -> std::io::Result<Checkpoints> {
        let shared = Arc::new(Shared::default());
        let (wake, asked) = sync_channel::<()>(1);
        let of_thread = Arc::clone(&shared);
        let work = move || {
            while asked.recv().is_ok() {
                for _ in 0..ROUNDS {
                    let Some(copied) = copy(&connection) else { break };
                    if of_thread.pages.load(Ordering::Relaxed).saturating_sub(copied) <= LITTLE {
                        break;
                    }
                }
                of_thread.handed_over.store(true, Ordering::Relaxed);
            }
        };
        let thread = threads.start("store-checkpoint", work)?;
        Ok(Checkpoints { shared, wake: Some(wake), thread: Some(thread), every })
    }

    /// Called by the writer after a commit that left `pages` in the write-ahead log.
    pub(crate) fn after_commit(&self, writer: &Connection, pages: u32) {
        self.shared.pages.store(pages, Ordering::Relaxed);
        if self.shared.handed_over.swap(false, Ordering::Relaxed) {
            copy(writer);
        } else if pages >= self.every
            && let Some(wake) = &self.wake
        {
            // Full: a checkpoint is already running.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // The thread has reported a panic itself.
            let _ = thread.join();
        }
    }
}

/// Copies all pages that need no waiting, and returns the number of copied pages of the log.
fn copy(connection: &Connection) -> Option<u32> {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2));
    match copied {
        Ok(copied) => u32::try_from(copied).ok(),
        Err(error) => {
            tracing::warn!(%error, "a checkpoint failed; the write-ahead log keeps growing until one succeeds");
            None
        }
    }
}
