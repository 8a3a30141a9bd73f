//! What the ports, the tasks and the followers share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use domain::{PimId, ServiceHour};
use parking_lot::Mutex;
use store::figures::{Bounds, Meters};
use store::known::Keyed;
use store::{
    Backlog, Changes, Elsewhere, Epoch, KeepBounds, NodeId, Shard, Spread, StoreError, Tenure, TenureError, Vault,
};
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tokio::time::Instant;
use tokio_postgres::Row;

use crate::args::{args, natural, unsigned};
use crate::event_log::Idle;
use crate::failure::Failure;
use crate::follow::Follower;
use crate::health::Health;
use crate::lease::Leases;
use crate::lines::{Lines, Losses, PLATFORM, Readers, Tx};
use crate::partitions;
use crate::reports::Appends;

/// The distribution of PIMs: that of every installation, with one node or many.
pub(crate) const SPREAD: Spread = Spread::CLUSTER;

pub(crate) struct Inner {
    pub(crate) appends: Lines,
    pub(crate) changes: Lines,
    pub(crate) readers: Readers,
    pub(crate) losses: Losses,
    pub(crate) leases: Leases,
    pub(crate) followers: Vec<Follower>,
    pub(crate) news: Vec<Changes>,
    pub(crate) backlog: Mutex<Backlog>,
    /// What this process has appended to shards of other owners.
    pub(crate) foreign: Mutex<Appends>,
    /// Whether other nodes are on the roll.
    pub(crate) has_company: AtomicBool,
    /// Number of shards without an owner.
    pub(crate) vacancies: watch::Sender<usize>,
    /// Trims of own shards that found nothing to do.
    pub(crate) trimmed: Mutex<HashMap<Shard, (Idle, Instant)>>,
    pub(crate) hour: AtomicU32,
    pub(crate) pims_version: AtomicU64,
    /// When the last look at it began.
    pub(crate) looked: AsyncMutex<Option<Instant>>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) keyed: Keyed,
    pub(crate) meters: Arc<Meters>,
    pub(crate) bounds: Bounds,
    pub(crate) keep: KeepBounds,
    pub(crate) dedup_window: Duration,
    pub(crate) part_bytes: u64,
    pub(crate) partitions: partitions::Due,
    pub(crate) node: NodeId,
    pub(crate) health: Health,
    /// Shards of others that were written here.
    pub(crate) elsewhere: Arc<Elsewhere>,
    /// Another process has written in a shard of this one.
    pub(crate) nudged: Notify,
    /// Whether this process may own shards.
    pub(crate) serves: bool,
}

impl Inner {
    pub(crate) fn news(&self, shard: Shard) -> &Changes {
        &self.news[usize::from(shard.number())]
    }

    /// This process has committed a version of a shard's catalogue, or events under it.
    pub(crate) fn wrote(&self, shard: Shard, version: u64) {
        self.news(shard).commit(version);
        if self.serves && !self.leases.owns(shard, self.losses.count()) {
            self.elsewhere.note(shard);
        }
    }

    pub(crate) fn follower(&self, shard: Shard) -> &Follower {
        &self.followers[usize::from(shard.number())]
    }

    pub(crate) fn hour(&self) -> ServiceHour {
        ServiceHour(self.hour.load(Ordering::Relaxed))
    }

    pub(crate) fn saw_hour(&self, hour: ServiceHour) {
        self.hour.fetch_max(hour.0, Ordering::Relaxed);
    }

    pub(crate) fn saw_pims(&self, version: u64) {
        self.pims_version.fetch_max(version, Ordering::SeqCst);
    }

    /// Replaces the backlog of a shard's PIMs, as its owner.
    pub(crate) fn recount(&self, shard: Shard, sizes: &[(PimId, u64)]) {
        self.foreign.lock().forget(shard);
        let mut backlog = self.backlog.lock();
        for pim in backlog.pims() {
            if SPREAD.shard_of(pim) == shard {
                let bytes = backlog.of(pim);
                backlog.count(pim, -bytes.cast_signed());
            }
        }
        for (pim, bytes) in sizes {
            backlog.count(*pim, bytes.cast_signed());
        }
    }

    /// Reads how often registrations have changed. Callers at the same time share a look that began after they asked.
    pub(crate) async fn refresh_pims(&self) -> Result<(), Failure> {
        let asked = Instant::now();
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|looked| looked > asked) {
            return Ok(());
        }
        let began = Instant::now();
        let line = self.readers.line(PLATFORM).await?;
        let rows = line.query("SELECT pims_version FROM platform", &[]).await?;
        if let Some(row) = rows.first() {
            self.saw_pims(natural(row.get(0)));
        }
        *looked = Some(began);
        Ok(())
    }

    /// Whether this process still believes in a tenure. The database knows better, and is asked with every write.
    pub(crate) fn believes(&self, tenure: &Tenure) -> Result<(), TenureError> {
        if !self.serves {
            return Err(not_serving().into());
        }
        if self.leases.holds(tenure, self.losses.count()) { Ok(()) } else { Err(TenureError::Fenced) }
    }

    /// Checks in the transaction that a tenure is current, and keeps it so until the end.
    pub(crate) async fn own(&self, tx: &Tx, tenure: &Tenure) -> Result<(), TenureError> {
        self.believes(tenure)?;
        let sql = "SELECT 1 FROM progress WHERE shard = $1 AND owner = $2 AND epoch = $3 FOR UPDATE";
        let (shard, owner) = (number(tenure.shard), tenure.node.uuid());
        let epoch = crate::args::long(tenure.epoch.0);
        match tx.row(sql, args![shard, owner, epoch]).await? {
            Some(_) => Ok(()),
            None => Err(TenureError::Fenced),
        }
    }

    /// Begins an owner's transaction.
    pub(crate) async fn begin_owned(&self, tenure: &Tenure) -> Result<Tx, TenureError> {
        self.believes(tenure)?;
        let tx = self.changes.begin().await?;
        match self.own(&tx, tenure).await {
            Ok(()) => Ok(tx),
            Err(error) => tx.end(Err(error)).await,
        }
    }

    /// Takes a shard over.
    pub(crate) async fn take(&self, shard: Shard) -> Result<Tenure, Failure> {
        if !self.serves {
            return Err(Failure::Unavailable(NOT_SERVING.to_owned()));
        }
        let losses = self.losses.count();
        let tx = self.changes.begin().await?;
        let taken = take(&tx, shard, self.node).await;
        let epoch = tx.end(taken).await?;
        let tenure = Tenure { shard, node: self.node, epoch };
        self.took(&tenure, losses).await?;
        Ok(tenure)
    }

    /// Begins with a shard that was taken over. `losses`: their number before the takeover.
    pub(crate) async fn took(&self, tenure: &Tenure, losses: u64) -> Result<(), Failure> {
        self.leases.took(tenure, losses);
        if !self.leases.is_valid() {
            self.leases.renew(self.node).await?;
        }
        self.follower(tenure.shard).begin(self).await
    }
}

async fn take(tx: &Tx, shard: Shard, node: NodeId) -> Result<Epoch, Failure> {
    let (shard, owner) = (number(shard), node.uuid());
    let lease = "UPDATE lease SET owner = $2, epoch = epoch + 1, beat = beat + 1 WHERE shard = $1 RETURNING epoch";
    let row = tx.row(lease, args![shard, owner]).await?;
    let row = row.ok_or_else(|| Failure::Corrupt("a shard has no lease".to_owned()))?;
    let epoch: i64 = row.get(0);
    let progress = "UPDATE progress SET owner = $2, epoch = $3 WHERE shard = $1";
    tx.execute(progress, args![shard, owner, epoch]).await?;
    Ok(Epoch(natural(epoch)))
}

/// The number of a shard as stored.
pub(crate) fn number(shard: Shard) -> i16 {
    i16::from(shard.number())
}

/// The shard of a PIM as stored.
pub(crate) fn shard_of(pim: PimId) -> i16 {
    number(SPREAD.shard_of(pim))
}

const NOT_SERVING: &str = "only a serving process owns shards";

pub(crate) fn not_serving() -> StoreError {
    StoreError::Unavailable(NOT_SERVING.to_owned())
}

/// The PIM in a column.
pub(crate) fn pim(row: &Row, column: usize) -> PimId {
    PimId(unsigned(row.get(column)))
}
