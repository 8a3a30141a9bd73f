//! Replays as rows.

use async_trait::async_trait;
use domain::log_entry::LogEntry;
use domain::replay::{Replay, ReplayStatus};
use domain::subscription::Subscription;
use domain::{ReplayId, SubscriptionId};
use rusqlite::{Connection, OptionalExtension, Params};
use store::replays::{CANCELLED, REMEMBERED};
use store::{ChangeError, Condition, ReplaySave, Replays, Shard, StoreError, stamp};

use crate::SqliteStore;
use crate::batch::Batch;
use crate::catalog;
use crate::failure::Failure;
use crate::readers::PLATFORM;

#[async_trait]
impl Replays for SqliteStore {
    async fn start_replay(
        &self,
        replay: Replay,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError> {
        self.write(move |batch| start(batch, &replay, &conditions, &entry)).await
    }

    async fn cancel_replay(
        &self,
        subscription: SubscriptionId,
        id: ReplayId,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError> {
        self.write(move |batch| cancel(batch, subscription, id, &conditions, &entry)).await
    }

    async fn replay(&self, subscription: SubscriptionId, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        self.read(PLATFORM, move |connection| one(connection, subscription, id)).await
    }

    async fn replays(&self, subscription: SubscriptionId) -> Result<Vec<Replay>, StoreError> {
        self.read(PLATFORM, move |connection| {
            select(connection, "subscription = ?1 ORDER BY seq DESC", (subscription.0.as_bytes(),))
        })
        .await
    }

    async fn replays_since(&self, _: Shard, version: Option<u64>) -> Result<Vec<Replay>, StoreError> {
        self.read(PLATFORM, move |connection| match version {
            Some(version) => select(connection, "version > ?1 ORDER BY seq", (version,)),
            None => select(connection, "running ORDER BY seq", ()),
        })
        .await
    }
}

fn select(connection: &Connection, which: &str, params: impl Params) -> Result<Vec<Replay>, Failure> {
    let mut select = connection.prepare_cached(&format!("SELECT body, progress FROM replays WHERE {which}"))?;
    let mut rows = select.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let replay: Replay = serde_json::from_str(text(0)?)?;
        found.push(Replay { progress: serde_json::from_str(text(1)?)?, ..replay });
    }
    Ok(found)
}

fn one(connection: &Connection, of: SubscriptionId, id: ReplayId) -> Result<Option<Replay>, Failure> {
    Ok(select(connection, "id = ?1 AND subscription = ?2", (id.0.as_bytes(), of.0.as_bytes()))?.pop())
}

fn start(
    batch: &mut Batch<'_>,
    replay: &Replay,
    conditions: &[Condition],
    entry: &LogEntry,
) -> Result<u64, ChangeError> {
    if !catalog::hold(batch, conditions)? {
        return Err(ChangeError::Outdated);
    }
    let of = replay.subscription.0.as_bytes();
    let check = || -> Result<(Option<bool>, bool), Failure> {
        let is_active = "SELECT status = 'active' FROM subscriptions WHERE id = ?1";
        let is_active = batch.sql(is_active)?.query_row((of,), |row| row.get(0)).optional()?;
        let runs = batch.sql("SELECT 1 FROM replays WHERE subscription = ?1 AND running")?.exists((of,))?;
        Ok((is_active, runs))
    };
    let (is_active, runs) = check()?;
    if !is_active.ok_or(ChangeError::Missing("subscription"))? || runs {
        return Err(ChangeError::Conflict);
    }
    let version = batch.next_version()?;
    insert(batch, version, replay)?;
    catalog::add_entry(batch, entry)?;
    Ok(version)
}

fn insert(batch: &Batch<'_>, version: u64, replay: &Replay) -> Result<(), Failure> {
    let of = replay.subscription.0.as_bytes();
    let sql = "INSERT INTO replays (id, subscription, version, running, body, progress) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let runs = replay.status == ReplayStatus::Running;
    let (body, progress) = (serde_json::to_string(replay)?, serde_json::to_string(&replay.progress)?);
    batch.sql(sql)?.execute((replay.id.0.as_bytes(), of, version, runs, body, progress))?;
    let forget = "DELETE FROM replays WHERE seq IN (SELECT seq FROM replays WHERE subscription = ?1 \
                  ORDER BY seq DESC LIMIT -1 OFFSET ?2)";
    batch.sql(forget)?.execute((of, REMEMBERED))?;
    Ok(())
}

fn cancel(
    batch: &mut Batch<'_>,
    of: SubscriptionId,
    id: ReplayId,
    conditions: &[Condition],
    entry: &LogEntry,
) -> Result<u64, ChangeError> {
    if !catalog::hold(batch, conditions)? {
        return Err(ChangeError::Outdated);
    }
    let replay = one(batch.connection(), of, id)?.ok_or(ChangeError::Missing("replay"))?;
    if replay.status != ReplayStatus::Running {
        return Err(ChangeError::Conflict);
    }
    let version = batch.next_version()?;
    end(batch, replay, Some(version), ReplayStatus::Cancelled, Some(CANCELLED.to_owned()))?;
    catalog::add_entry(batch, entry)?;
    Ok(version)
}

/// Ends a replay; `version` is that of the change that ends it.
fn end(
    batch: &Batch<'_>,
    replay: Replay,
    version: Option<u64>,
    status: ReplayStatus,
    reason: Option<String>,
) -> Result<(), Failure> {
    let ended = Replay { status, reason, ..replay };
    let sql = "UPDATE replays SET running = FALSE, version = coalesce(?2, version), body = ?3 WHERE id = ?1";
    batch.sql(sql)?.execute((ended.id.0.as_bytes(), version, serde_json::to_string(&ended)?))?;
    Ok(())
}

/// Ends the running replay of a changed subscription if its status requires it.
pub(crate) fn end_with(batch: &Batch<'_>, subscription: &Subscription, version: u64) -> Result<(), Failure> {
    let Some((status, reason)) = stamp::replay_end(subscription.status) else { return Ok(()) };
    let which = "subscription = ?1 AND running";
    for replay in select(batch.connection(), which, (subscription.id.0.as_bytes(),))? {
        end(batch, replay, Some(version), status, Some(reason.clone()))?;
    }
    Ok(())
}

/// Saves the progress of a replay, and its end.
pub(crate) fn save(batch: &Batch<'_>, save: &ReplaySave) -> Result<(), Failure> {
    let progress = serde_json::to_string(&save.progress)?;
    let id = save.id.0.as_bytes();
    batch.sql("UPDATE replays SET progress = ?2 WHERE id = ?1")?.execute((id, progress))?;
    if let Some((status, reason)) = &save.end {
        for replay in select(batch.connection(), "id = ?1 AND running", (id,))? {
            end(batch, replay, None, *status, reason.clone())?;
        }
    }
    Ok(())
}
