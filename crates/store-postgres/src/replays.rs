//! Replays as rows.

use async_trait::async_trait;
use domain::log_entry::LogEntry;
use domain::replay::{Replay, ReplayStatus};
use domain::subscription::Subscription;
use domain::{ReplayId, SubscriptionId};
use store::replays::{CANCELLED, REMEMBERED};
use store::{ChangeError, Condition, ReplaySave, Replays, Shard, StoreError, stamp};
use tokio_postgres::Row;

use crate::PostgresStore;
use crate::args::{Arg, args, long};
use crate::catalog::change::Held;
use crate::catalog::{add_entry, hold};
use crate::failure::Failure;
use crate::inner::{Inner, SPREAD, number};
use crate::lines::{PLATFORM, Tx};

#[async_trait]
impl Replays for PostgresStore {
    async fn start_replay(
        &self,
        replay: Replay,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError> {
        let tx = self.at.changes.begin().await?;
        let started = start(&tx, &self.at, &replay, &conditions, &entry).await;
        let held = tx.end(started).await?;
        self.at.wrote(held.shard, held.version);
        Ok(held.version)
    }

    async fn cancel_replay(
        &self,
        subscription: SubscriptionId,
        id: ReplayId,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError> {
        let tx = self.at.changes.begin().await?;
        let cancelled = cancel(&tx, &self.at, subscription, id, &conditions, &entry).await;
        let held = tx.end(cancelled).await?;
        self.at.wrote(held.shard, held.version);
        Ok(held.version)
    }

    async fn replay(&self, subscription: SubscriptionId, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        Ok(self.read_replays("id = $1 AND subscription = $2", args![id.0, subscription.0]).await?.pop())
    }

    async fn replays(&self, subscription: SubscriptionId) -> Result<Vec<Replay>, StoreError> {
        self.read_replays("subscription = $1 ORDER BY seq DESC", args![subscription.0]).await
    }

    async fn replays_since(&self, shard: Shard, version: Option<u64>) -> Result<Vec<Replay>, StoreError> {
        let shard = number(shard);
        match version {
            Some(version) => {
                let which = "shard = $1 AND version > $2 ORDER BY seq";
                self.read_replays(which, args![shard, long(version)]).await
            }
            None => self.read_replays("shard = $1 AND running ORDER BY seq", args![shard]).await,
        }
    }
}

impl PostgresStore {
    async fn read_replays(&self, which: &str, args: &[Arg<'_>]) -> Result<Vec<Replay>, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let rows = line.query(&format!("SELECT body, progress FROM replays WHERE {which}"), args).await?;
        Ok(read(&rows)?)
    }
}

fn read(rows: &[Row]) -> Result<Vec<Replay>, Failure> {
    let one = |row: &Row| {
        let replay: Replay = serde_json::from_str(row.get(0))?;
        Ok(Replay { progress: serde_json::from_str(row.get(1))?, ..replay })
    };
    rows.iter().map(one).collect()
}

async fn select(tx: &Tx, which: &str, args: &[Arg<'_>]) -> Result<Vec<Replay>, Failure> {
    read(&tx.query(&format!("SELECT body, progress FROM replays WHERE {which}"), args).await?)
}

async fn start(
    tx: &Tx,
    inner: &Inner,
    replay: &Replay,
    conditions: &[Condition],
    entry: &LogEntry,
) -> Result<Held, ChangeError> {
    let mut held = Held::lock(tx, SPREAD.shard_of(replay.owner.pim)).await?;
    if !hold(tx, conditions).await? {
        return Err(ChangeError::Outdated);
    }
    let of = replay.subscription.0;
    let sql = "SELECT status = 'active', EXISTS (SELECT 1 FROM replays WHERE subscription = s.id AND running) \
               FROM subscriptions s WHERE id = $1";
    let found = tx.row(sql, args![of]).await?.ok_or(ChangeError::Missing("subscription"))?;
    if !found.get::<_, bool>(0) || found.get::<_, bool>(1) {
        return Err(ChangeError::Conflict);
    }
    held.next_version(tx).await?;
    insert(tx, &held, replay).await?;
    add_entry(tx, inner, entry).await?;
    Ok(held)
}

async fn insert(tx: &Tx, held: &Held, replay: &Replay) -> Result<(), Failure> {
    let sql = "INSERT INTO replays (id, shard, subscription, version, running, body, progress) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let (of, runs) = (replay.subscription.0, replay.status == ReplayStatus::Running);
    let (body, progress) = (serde_json::to_string(replay)?, serde_json::to_string(&replay.progress)?);
    let (shard, version) = (number(held.shard), long(held.version));
    tx.execute(sql, args![replay.id.0, shard, of, version, runs, body, progress]).await?;
    let forget = "DELETE FROM replays WHERE seq IN (SELECT seq FROM replays WHERE subscription = $1 \
                  ORDER BY seq DESC OFFSET $2)";
    tx.execute(forget, args![of, REMEMBERED as i64]).await?;
    Ok(())
}

async fn cancel(
    tx: &Tx,
    inner: &Inner,
    of: SubscriptionId,
    id: ReplayId,
    conditions: &[Condition],
    entry: &LogEntry,
) -> Result<Held, ChangeError> {
    let mut held = Held::lock(tx, SPREAD.shard_of(entry.owner.pim)).await?;
    if !hold(tx, conditions).await? {
        return Err(ChangeError::Outdated);
    }
    let replay = select(tx, "id = $1 AND subscription = $2", args![id.0, of.0]).await?.pop();
    let replay = replay.ok_or(ChangeError::Missing("replay"))?;
    if replay.status != ReplayStatus::Running {
        return Err(ChangeError::Conflict);
    }
    let version = held.next_version(tx).await?;
    end(tx, replay, Some(version), ReplayStatus::Cancelled, Some(CANCELLED.to_owned())).await?;
    add_entry(tx, inner, entry).await?;
    Ok(held)
}

/// Ends a replay; `version` is that of the change that ends it.
async fn end(
    tx: &Tx,
    replay: Replay,
    version: Option<u64>,
    status: ReplayStatus,
    reason: Option<String>,
) -> Result<(), Failure> {
    let ended = Replay { status, reason, ..replay };
    let sql = "UPDATE replays SET running = FALSE, version = coalesce($2, version), body = $3 WHERE id = $1";
    tx.execute(sql, args![ended.id.0, version.map(long), serde_json::to_string(&ended)?]).await?;
    Ok(())
}

/// Ends the running replay of a changed subscription if its status requires it.
pub(crate) async fn end_with(tx: &Tx, subscription: &Subscription, version: u64) -> Result<(), Failure> {
    let Some((status, reason)) = stamp::replay_end(subscription.status) else { return Ok(()) };
    for replay in select(tx, "subscription = $1 AND running", args![subscription.id.0]).await? {
        end(tx, replay, Some(version), status, Some(reason.clone())).await?;
    }
    Ok(())
}

/// Saves the progress of a shard's replay, and its end.
pub(crate) async fn save(tx: &Tx, shard: Shard, save: &ReplaySave) -> Result<(), Failure> {
    let (id, shard, progress) = (save.id.0, number(shard), serde_json::to_string(&save.progress)?);
    let sql = "UPDATE replays SET progress = $3 WHERE id = $1 AND shard = $2";
    tx.execute(sql, args![id, shard, progress]).await?;
    if let Some((status, reason)) = &save.end {
        for replay in select(tx, "id = $1 AND shard = $2 AND running", args![id, shard]).await? {
            end(tx, replay, None, *status, reason.clone()).await?;
        }
    }
    Ok(())
}
