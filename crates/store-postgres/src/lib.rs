//! The backend on PostgreSQL: the ports of `store` over one database, shared by all nodes of a platform.
//!
//! Reading order: [`settings`], where the database is ([`target`]), a connection (`link`), connections by role and
//! transactions (`lines`), the schema ([`schema`] and `migrations/`), what all parts share (`inner`), appends
//! (`append`), what is new (`follow`, `poll`), ownership (`lease`, `cluster`), and the ports (`event_log`, `catalog`,
//! `ledger`, `snapshots`, `kept`, `replays`).

pub mod settings;
pub mod target;

mod args;
mod failure;
mod lines;
mod link;

pub mod schema;
mod sealed;

mod cluster;
mod effect;
mod health;
mod inner;
mod lease;

mod append;
mod follow;
mod hashes;
mod partitions;
mod poll;
mod reports;

mod catalog;
mod event_log;
mod kept;
mod ledger;
mod replays;
mod snapshots;

mod durability;
mod figures;
pub mod moving;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

use async_trait::async_trait;
use domain::Position;
use parking_lot::Mutex;
use store::figures::{Bounds, Meters};
use store::known::Keyed;
use store::tail::Memory;
use store::{Backlog, Changes, NodeId, Shard, Shards, Spread, StoreError, Tenure, TenureError};
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tokio::task::JoinSet;

pub use schema::OpenError;
pub use settings::Settings;
pub use target::{Target, TargetError};

use crate::args::{args, long, natural};
use crate::follow::Follower;
use crate::health::Health;
use crate::inner::{Inner, SPREAD, number};
use crate::lease::Leases;
use crate::lines::{Lines, Losses, Readers};

/// All ports over one database. Dropping it closes its connections.
pub struct PostgresStore {
    at: Arc<Inner>,
    queues: Vec<append::Queue>,
    /// Ended when it is dropped.
    _tasks: JoinSet<()>,
    /// Closed when a task has ended.
    running: watch::Sender<()>,
    name: String,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("database", &self.name).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store for a serving process, which may own shards, and creates the schema if there is none.
    pub async fn open_to_serve(settings: Settings) -> Result<PostgresStore, OpenError> {
        PostgresStore::open(settings, true, true).await
    }

    /// Opens the store alongside serving processes, as commands do. `create`: whether the schema may be created.
    pub async fn open_beside(settings: Settings, create: bool) -> Result<PostgresStore, OpenError> {
        PostgresStore::open(settings, false, create).await
    }

    async fn open(settings: Settings, serves: bool, create: bool) -> Result<PostgresStore, OpenError> {
        let Settings { target, patience, connections, .. } = &settings;
        let name = target.name().to_owned();
        let failed = |failure| OpenError::of(&name, failure);
        let losses = Losses::new();
        let lines = |count: usize| Lines::new(target, *patience, &losses, count);
        let changes = lines(connections.div_ceil(2));
        let link = changes.connect().await.map_err(failed)?;
        schema::prepare(&link, &name, create).await?;
        drop(link);
        let line = changes.line().await.map_err(failed)?;
        sealed::check(&line, &settings.vault, &name).await?;
        let platform = line.query("SELECT dedup_secret, arrived FROM platform", &[]).await.map_err(failed)?;
        if platform.first().is_some_and(|row| !row.get::<_, bool>(1)) {
            return Err(OpenError::Arriving(name));
        }
        let secret: Vec<u8> = platform.first().map(|row| row.get(0)).unwrap_or_default();
        drop(line);
        let inner = Inner {
            appends: lines(connections.div_ceil(2)),
            changes,
            readers: Readers::new(lines(*connections), *connections),
            leases: Leases::new(lines(1), settings.lease),
            followers: Vec::new(),
            news: SPREAD.shards().map(|_| Changes::default()).collect(),
            backlog: Mutex::new(Backlog::new(settings.max_log_bytes)),
            hour: AtomicU32::new(0),
            pims_version: AtomicU64::new(0),
            looked: AsyncMutex::new(None),
            vault: Arc::new(settings.vault),
            keyed: Keyed::new(secret),
            meters: Arc::new(Meters::default()),
            bounds: Bounds {
                max_log_bytes: settings.max_log_bytes,
                max_state_bytes: settings.max_state_bytes,
                max_entry_bytes: settings.max_entry_bytes,
                min_free_disk_bytes: 0,
                max_kept_bytes: if settings.keep.keep_any() { settings.keep.bytes } else { 0 },
            },
            keep: settings.keep,
            dedup_window: settings.dedup_window,
            part_bytes: settings.part_bytes,
            foreign: Mutex::default(),
            has_company: AtomicBool::new(true),
            vacancies: watch::Sender::new(0),
            trimmed: Mutex::default(),
            partitions: partitions::Due::default(),
            node: NodeId::generate(),
            health: Health::default(),
            losses,
            elsewhere: Arc::default(),
            nudged: Notify::new(),
            serves,
        };
        PostgresStore::start(inner, name, settings.tail_bytes).await
    }

    async fn start(mut inner: Inner, name: String, tail_bytes: usize) -> Result<PostgresStore, OpenError> {
        let heads = poll::heads(&inner).await.map_err(|failure| OpenError::of(&name, failure))?;
        inner.saw_hour(heads.hour);
        inner.saw_pims(heads.pims_version);
        for (shard, version) in SPREAD.shards().zip(&heads.versions) {
            inner.news(shard).commit(natural(*version));
        }
        let memory = Memory::new(tail_bytes, heads.positions.len());
        let follower = |(shard, head): (Shard, &i64)| Follower::new(shard, Position(natural(*head)), &memory);
        inner.followers = SPREAD.shards().zip(&heads.positions).map(follower).collect();
        let at = Arc::new(inner);
        let mut tasks = JoinSet::new();
        let running = watch::Sender::new(());
        let mut queues = Vec::new();
        if at.serves {
            queues.extend(SPREAD.shards().map(|shard| append::start(&at, shard)));
            let ending = running.clone();
            let (polling, leasing, reporting) = (Arc::clone(&at), Arc::clone(&at), Arc::clone(&at));
            tasks.spawn(ends(ending.clone(), poll::keep(polling)));
            tasks.spawn(ends(ending.clone(), reports::keep(reporting)));
            tasks.spawn(ends(ending, lease::keep(leasing)));
        }
        Ok(PostgresStore { at, queues, _tasks: tasks, running, name })
    }
}

/// Runs a task that never ends by itself; a panic drops the guard, which tells.
async fn ends(_guard: watch::Sender<()>, task: impl Future<Output = ()>) {
    task.await;
}

#[async_trait]
impl Shards for PostgresStore {
    fn spread(&self) -> Spread {
        SPREAD
    }

    async fn take(&self, shard: Shard) -> Result<Tenure, StoreError> {
        Ok(self.at.take(shard).await?)
    }

    fn committed(&self, shard: Shard) -> watch::Receiver<u64> {
        self.at.news(shard).committed()
    }

    async fn apply(&self, tenure: &Tenure, version: u64) -> Result<(), TenureError> {
        self.at.believes(tenure)?;
        let line = self.at.changes.line().await?;
        let sql = "UPDATE progress SET applied = greatest(applied, $4) WHERE shard = $1 AND owner = $2 AND epoch = $3";
        let (shard, owner, epoch) = (number(tenure.shard), tenure.node.uuid(), long(tenure.epoch.0));
        if line.execute(sql, args![shard, owner, epoch, long(version)]).await? == 0 {
            return Err(TenureError::Fenced);
        }
        self.at.news(tenure.shard).apply(version);
        Ok(())
    }

    async fn in_effect(&self, shard: Shard, version: u64, at_most: Duration) -> bool {
        effect::wait(&self.at, shard, version, at_most).await
    }
}
