//! Whether the store can be written, for those who ask often: the disk is not worn by the question.

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

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(1);
/// A writer that has not answered within this time cannot write: another program holds the database.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is written to see whether the disk has room again, after it had none.
const SAMPLE: u32 = 64 * 1024;

/// How the last writes went.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Why writing failed; nothing once it has worked again.
    failed: Mutex<Option<Lack>>,
    probe: AsyncMutex<Probe>,
}

#[derive(Debug, Default)]
struct Probe {
    made: Option<(Instant, Option<Lack>)>,
    /// A question that the writer has not answered.
    pending: Option<oneshot::Receiver<Result<(), Failed>>>,
}

/// Why a probe failed.
#[derive(Clone, Copy, Debug)]
struct Failed(Lack);

impl From<StoreError> for Failed {
    fn from(_: StoreError) -> Failed {
        Failed(Lack::Store)
    }
}

impl Health {
    /// Writing failed for this reason.
    pub(crate) fn has_failed(&self, lack: Lack) {
        *self.failed.lock() = Some(lack);
    }

    /// Something was written.
    pub(crate) fn works(&self) {
        *self.failed.lock() = None;
    }

    /// What is missing for writing. The writer takes the lock of the database and gives it back; it writes something
    /// only while writing is known to fail.
    pub(crate) async fn lacks(&self, writer: &Writer, folder: &Path, min_free: u64) -> Vec<Lack> {
        let mut lacks: Vec<Lack> = self.probe(writer).await.into_iter().collect();
        let free = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free.is_ok_and(|free| free < min_free) && !lacks.contains(&Lack::Disk) {
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
            // The transaction may know better than its part.
            Ok(Ok(Err(Failed(lack)))) => Some(self.failed.lock().unwrap_or(lack)),
            Ok(Err(_)) => Some(Lack::Store),
            Err(_) => {
                probe.pending = Some(answered);
                Some(Lack::Store)
            }
        }
    }
}

/// In a transaction that holds the lock of the database: whether there is room for a write, where that is in doubt.
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
