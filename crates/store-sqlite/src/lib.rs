//! The embedded backend: the ports of `store` over one SQLite file, with nothing to install.
//!
//! One thread writes: [`SqliteStore`] sends it requests and waits, and it commits once for all pending requests. A few
//! threads read, one makes checkpoints. Reading order: [`settings`], the file ([`database`]), the writer (`writer`,
//! `batch`, `log_writer`, `dedup`), the ports (`event_log`, `catalog`, `ledger`), and backups ([`mod@backup`]).

pub mod settings;

pub mod backup;
pub mod database;
mod failure;
mod health;
pub mod moving;

mod batch;
mod checkpoint;
mod dedup;
mod log_writer;
mod private;
mod readers;
mod threads;
mod writer;

mod catalog;
mod cluster;
mod event_log;
mod kept;
mod ledger;
mod replays;
mod sealed;
mod snapshots;

mod figures;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use async_trait::async_trait;
use domain::Position;
use fair::Holder;
use parking_lot::Mutex;
use rusqlite::Connection;
use store::figures::{Bounds, Ended, Figures, Meters};
use store::known::Keyed;
use store::{
    Backend, Backlog, Changes, Epoch, KeepBounds, NodeId, Profile, Shard, Shards, Spread, StoreError, Tail, Tenure,
    TenureError, Vault,
};
use tokio::sync::{oneshot, watch};

pub use backup::{BackupError, backup};
pub use database::{OpenError, database, has_database, make_folder};
pub use settings::Settings;

use crate::batch::{Batch, Call};
use crate::catalog::Glance;
use crate::checkpoint::Checkpoints;
use crate::database::Folder;
use crate::failure::Failure;
use crate::health::Health;
use crate::kept::indexer::{Indexer, Signal};
use crate::log_writer::{LogWriter, not_serving};
use crate::readers::{PLATFORM, Readers};
use crate::threads::Threads;
use crate::writer::{Request, Worker, Writer};

/// All ports over one SQLite file. Dropping it waits for pending writes.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped in this order: the indexer writes through the writer; the last connection must be a writing one, because
    // it copies the write-ahead log into the database and removes it; the lock is released after the last write.
    /// Runs if events are kept.
    _indexer: Option<Indexer>,
    readers: Readers,
    glance: Glance,
    writer: Writer,
    tail: Arc<Tail>,
    changes: Arc<Changes>,
    hour: Arc<AtomicU32>,
    backlog: Arc<Mutex<Backlog>>,
    vault: Arc<Vault>,
    keyed: Keyed,
    meters: Arc<Meters>,
    bounds: Bounds,
    keep: KeepBounds,
    health: Arc<Health>,
    folder: PathBuf,
    lock: Option<File>,
    /// Ownership of the only shard while the lock is held.
    tenure: Tenure,
    /// What this process says about itself.
    profile: Mutex<Option<Profile>>,
    threads: Threads,
}

impl SqliteStore {
    /// Opens the store of a data folder for the serving process, and creates it if it doesn't exist.
    pub fn open_exclusive(folder: &Path, settings: Settings) -> Result<SqliteStore, OpenError> {
        let folder = Folder::open(folder)?;
        let lock = folder.lock()?;
        SqliteStore::start(&folder, settings, Some(lock))
    }

    /// Opens the store alongside the serving process, as commands do. The catalogue can be read and changed, and the
    /// log read; appends, trimming and saves of lanes are rejected. Announcements of the other process are not seen.
    pub fn open(folder: &Path, settings: Settings) -> Result<SqliteStore, OpenError> {
        let folder = Folder::open(folder)?;
        SqliteStore::start(&folder, settings, None)
    }

    fn start(folder: &Folder, settings: Settings, lock: Option<File>) -> Result<SqliteStore, OpenError> {
        let connection = folder.writer()?;
        folder.must_be_here(&connection)?;
        let problem = |failure: Failure| folder.problem(StoreError::from(failure));
        sealed::check_all(&connection, &settings.vault).map_err(problem)??;
        catalog::fill_in_types(&connection, &settings.vault).map_err(problem)?;
        catalog::begin_histories(&connection, &settings.vault).map_err(problem)?;
        // The whole catalogue was read, and this connection won't read it again.
        connection.execute_batch("PRAGMA shrink_memory").map_err(|error| folder.problem(error))?;
        let head = log_writer::stored_head(&connection).map_err(problem)?;
        let version = catalog::version(&connection).map_err(problem)?;
        let hour = log_writer::stored_hour(&connection).map_err(problem)?;
        let hour = Arc::new(AtomicU32::new(hour.0));
        let backlog = log_writer::stored_backlog(&connection, settings.max_log_bytes).map_err(problem)?;
        let backlog = Arc::new(Mutex::new(backlog));
        let keyed = dedup::keyed(&connection).map_err(problem)?;
        let log = match lock {
            Some(_) => {
                let folder = folder.path().to_owned();
                LogWriter::owned(&connection, &settings, folder, Arc::clone(&backlog)).map_err(problem)?
            }
            None => LogWriter::shared(),
        };
        let tail = Arc::new(Tail::new(head, settings.tail_bytes));
        let changes = Arc::new(Changes::default());
        changes.commit(version);
        let readers = (0..settings.readers.max(1)).map(|_| folder.reader()).collect::<Result<Vec<_>, _>>()?;
        let thread = |source| OpenError::Io { path: folder.path().to_owned(), source };
        let meters = Arc::new(Meters::default());
        let bounds = Bounds {
            max_log_bytes: settings.max_log_bytes,
            max_state_bytes: settings.max_state_bytes,
            max_entry_bytes: settings.max_entry_bytes,
            min_free_disk_bytes: settings.min_free_disk_bytes,
            max_kept_bytes: if settings.keep.keep_any() { settings.keep.bytes } else { 0 },
        };
        let threads = Threads::default();
        let checkpoints =
            Checkpoints::start(&threads, folder.checkpointer()?, settings.checkpoint_pages).map_err(thread)?;
        let (tail_of_worker, changes_of_worker) = (Arc::clone(&tail), Arc::clone(&changes));
        let health = Arc::new(Health::default());
        let indexed = Arc::new(Signal::default());
        let changed = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            connection,
            log,
            tail: tail_of_worker,
            changes: changes_of_worker,
            hour: Arc::clone(&hour),
            checkpoints,
            meters: Arc::clone(&meters),
            bounds,
            health: Arc::clone(&health),
            indexed: Arc::clone(&indexed),
            changed: Arc::clone(&changed),
        };
        let writer = Writer::start(&threads, worker).map_err(thread)?;
        let indexer = match writer.queue().filter(|_| lock.is_some() && settings.keep.keep_any()) {
            Some(queue) => {
                let (reader, tail) = (folder.reader()?, Arc::clone(&tail));
                Some(Indexer::start(&threads, indexed, reader, tail, queue).map_err(thread)?)
            }
            None => None,
        };
        Ok(SqliteStore {
            _indexer: indexer,
            writer,
            readers: Readers::start(&threads, readers).map_err(thread)?,
            glance: Glance::new(folder.glance()?, changed),
            tail,
            changes,
            hour,
            backlog,
            vault: Arc::new(settings.vault),
            keyed,
            meters,
            bounds,
            keep: settings.keep,
            health,
            folder: folder.path().to_owned(),
            lock,
            tenure: Tenure { shard: Shard::FIRST, node: NodeId::generate(), epoch: Epoch(1) },
            profile: Mutex::new(None),
            threads,
        })
    }

    /// Whether this process holds the lock of the data folder.
    fn serves(&self) -> bool {
        self.lock.is_some()
    }

    /// Checks that this process serves and the tenure is that of its store.
    fn owns(&self, tenure: &Tenure) -> Result<(), TenureError> {
        if !self.serves() {
            return Err(not_serving().into());
        }
        if *tenure == self.tenure { Ok(()) } else { Err(TenureError::Fenced) }
    }

    /// Runs work in the writer's next transaction, all or nothing, and waits for the commit.
    async fn write<T, E>(&self, work: impl FnOnce(&mut Batch<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.writer.send(Request::Job(Box::new(Call::new(work, answer)))).await.map_err(E::from)?;
        answered.await.map_err(|_| E::from(StoreError::Unavailable("the store is closed".to_owned())))?
    }

    /// Reads on one of the reader threads, on behalf of the holder.
    async fn read<T: Send + 'static>(
        &self,
        holder: Holder,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.read(holder, work).await
    }
}

#[async_trait]
impl Backend for SqliteStore {
    fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    async fn figures(&self) -> Result<Figures, StoreError> {
        self.current_figures().await
    }

    async fn reseal(&self) -> Result<u64, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| Ok(sealed::reseal_all(batch.connection(), &vault)?)).await
    }

    async fn lags(&self) -> Result<BTreeMap<Shard, u64>, StoreError> {
        let mark = self.read(PLATFORM, ledger::mark).await?;
        let lag = self.tail.head().0.saturating_sub(mark.max(Position::FIRST).0);
        Ok(BTreeMap::from([(Shard::FIRST, lag)]))
    }

    fn ended(&self) -> Ended {
        Box::pin(self.threads.ended())
    }
}

#[async_trait]
impl Shards for SqliteStore {
    fn spread(&self) -> Spread {
        Spread::ONE
    }

    /// The serving process owns the only shard while it holds the lock of the data folder; there is no takeover.
    async fn take(&self, _: Shard) -> Result<Tenure, StoreError> {
        if self.serves() { Ok(self.tenure) } else { Err(not_serving()) }
    }

    fn committed(&self, _: Shard) -> watch::Receiver<u64> {
        self.changes.committed()
    }

    async fn apply(&self, tenure: &Tenure, version: u64) -> Result<(), TenureError> {
        self.owns(tenure)?;
        self.changes.apply(version);
        Ok(())
    }

    async fn in_effect(&self, _: Shard, version: u64, at_most: Duration) -> bool {
        self.changes.in_effect(version, at_most).await
    }
}
