//! Whether the store is writable, cached so that frequent checks cause no disk writes.

use std::path::Path;
use std::time::Duration;

use domain::outcome::Lack;
use parking_lot::Mutex;
use store::StoreError;
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::time::{Instant, timeout};

use crate::batch::{Batch, Call};
use crate::failure::Failure;
use crate::writer::{Request, Writer};

/// Validity of a result.
const FRESH: Duration = Duration::from_secs(1);
/// Timeout of a probe. A writer that doesn't reply within it cannot write: another program holds the database.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes written to check for free disk space after a failure.
const SAMPLE: u32 = 64 * 1024;

/// Bytes within the file that are enough for the next appends.
const SPARE: u64 = 4 << 20;

/// Result of the last writes.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Reason of the last failure; cleared by a successful write.
    failed: Mutex<Option<Lack>>,
    probe: AsyncMutex<Probe>,
}

#[derive(Debug, Default)]
struct Probe {
    made: Option<(Instant, Option<Lack>)>,
    /// A probe that the writer has not replied to.
    pending: Option<oneshot::Receiver<Result<(), Failed>>>,
}

/// Reason of a probe's failure.
#[derive(Clone, Copy, Debug)]
struct Failed(Lack);

impl From<StoreError> for Failed {
    fn from(_: StoreError) -> Failed {
        Failed(Lack::Store)
    }
}

impl Health {
    /// Records a failed write.
    pub(crate) fn has_failed(&self, lack: Lack) {
        *self.failed.lock() = Some(lack);
    }

    /// Records a successful write.
    pub(crate) fn works(&self) {
        *self.failed.lock() = None;
    }

    /// The missing resource, if any. The writer acquires and releases the database lock; it writes data only while
    /// writes are known to fail. `spare` returns the bytes of free pages and kept events, which make room on a nearly
    /// full disk.
    pub(crate) async fn lacks(
        &self,
        writer: &Writer,
        folder: &Path,
        min_free: u64,
        spare: impl FnOnce() -> Result<u64, Failure> + Send,
    ) -> Vec<Lack> {
        let mut lacks: Vec<Lack> = self.probe(writer).await.into_iter().collect();
        let free = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let is_low = free.is_ok_and(|free| free < min_free) && !spare().is_ok_and(|spare| spare >= SPARE);
        if is_low && !lacks.contains(&Lack::Disk) {
            lacks.push(Lack::Disk);
        }
        lacks
    }

    async fn probe(&self, writer: &Writer) -> Option<Lack> {
        let mut probe = self.probe.lock().await;
        if let Some((at, lack)) = probe.made
            && at.elapsed() < FRESH
        {
            return lack;
        }
        let lack = self.ask(&mut probe, writer).await;
        probe.made = Some((Instant::now(), lack));
        lack
    }

    async fn ask(&self, probe: &mut Probe, writer: &Writer) -> Option<Lack> {
        let mut answered = match probe.pending.take() {
            Some(pending) => pending,
            None => {
                let (answer, answered) = oneshot::channel();
                let write = self.failed.lock().is_some();
                let question =
                    Request::Job(Box::new(Call::new(move |batch: &mut Batch<'_>| try_it(batch, write), answer)));
                match timeout(PATIENCE, writer.send(question)).await {
                    Ok(Ok(())) => answered,
                    Ok(Err(_)) | Err(_) => return Some(Lack::Store),
                }
            }
        };
        match timeout(PATIENCE, &mut answered).await {
            Ok(Ok(Ok(()))) => {
                self.works();
                None
            }
            // The transaction's reason may be more precise than that of its part.
            Ok(Ok(Err(Failed(lack)))) => Some(self.failed.lock().unwrap_or(lack)),
            Ok(Err(_)) => Some(Lack::Store),
            Err(_) => {
                probe.pending = Some(answered);
                Some(Lack::Store)
            }
        }
    }
}

/// In a transaction that holds the database lock: checks whether there is room for a write, if in doubt.
fn try_it(batch: &mut Batch<'_>, write: bool) -> Result<(), Failed> {
    let written = || -> Result<(), Failure> {
        if write {
            batch.sql("INSERT INTO meta VALUES ('probe', zeroblob(?1))")?.execute([SAMPLE])?;
            batch.sql("DELETE FROM meta WHERE name = 'probe'")?.execute([])?;
        }
        Ok(())
    };
    written().map_err(|failure| Failed(failure.lack()))
}
