//! Unsent notifications as rows with sealed addresses.

use std::sync::Arc;

use async_trait::async_trait;
use domain::notification::Outgoing;
use domain::subscriber::Owner;
use domain::{PimId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Params};
use store::catalog::MOST_NOTIFICATIONS;
use store::sealed::NOTIFICATION;
use store::{ChangeError, Outbox, Shard, StoreError, Vault, Waiting};
use uuid::Uuid;

use crate::SqliteStore;
use crate::batch::Batch;
use crate::failure::Failure;
use crate::readers::PLATFORM;

#[async_trait]
impl Outbox for SqliteStore {
    async fn notification(&self, id: Uuid) -> Result<Option<Outgoing>, StoreError> {
        let vault = Arc::clone(&self.vault);
        let one = move |connection: &Connection| select(connection, &vault, "id = ?1", (id.as_bytes(),));
        Ok(self.read(PLATFORM, one).await?.pop())
    }

    async fn notifications(&self, _: Shard, after: Option<u64>, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| kept(connection, &vault, after, limit)).await
    }

    async fn notification_numbers(&self, _: Shard) -> Result<Vec<u64>, StoreError> {
        self.read(PLATFORM, |connection| {
            let mut select = connection.prepare_cached("SELECT seq FROM notifications ORDER BY seq")?;
            let numbers = select.query_map([], |row| row.get(0))?;
            Ok(numbers.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn put_back_notification(&self, outgoing: Outgoing) -> Result<(), ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| put_back(batch, &vault, outgoing)).await
    }

    async fn settle_notification(&self, id: Uuid) -> Result<(), StoreError> {
        self.write(move |batch| Ok(settle(batch, id)?)).await
    }

    async fn count_waiting(&self) -> Result<Waiting, StoreError> {
        self.read(PLATFORM, count_waiting).await
    }
}

/// Name of an id in the sealed value's context.
fn name(id: &Uuid) -> String {
    id.simple().to_string()
}

pub(super) fn add(batch: &Batch<'_>, vault: &Vault, owner: &Owner, outgoing: &Outgoing) -> Result<(), Failure> {
    let parts = NOTIFICATION.split(vault, &name(&outgoing.id), outgoing)?;
    let sql = "INSERT INTO notifications (id, due_at, body, sealed, pim, client_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    batch.sql(sql)?.execute((
        outgoing.id.as_bytes(),
        outgoing.due_at.as_micros(),
        parts.body,
        parts.sealed,
        owner.pim.0,
        &owner.client_id.0,
    ))?;
    bound(batch, owner.pim)
}

/// Drops the oldest notifications of the client with the most, down to the PIM's bound.
fn bound(batch: &Batch<'_>, pim: PimId) -> Result<(), Failure> {
    let count = "SELECT count(*) FROM notifications WHERE pim = ?1";
    let count: usize = batch.sql(count)?.query_row([pim.0], |row| row.get(0))?;
    let oldest = "DELETE FROM notifications WHERE seq = (SELECT min(seq) FROM notifications WHERE pim = ?1 \
                  GROUP BY client_id ORDER BY count(*) DESC, min(seq) LIMIT 1)";
    let mut delete_oldest = batch.sql(oldest)?;
    for _ in MOST_NOTIFICATIONS..count {
        delete_oldest.execute([pim.0])?;
        batch.meters().dropped_notifications.one();
    }
    Ok(())
}

fn put_back(batch: &Batch<'_>, vault: &Vault, mut outgoing: Outgoing) -> Result<(), ChangeError> {
    let stored = revision(batch, outgoing.id)?;
    if stored.is_some_and(|stored| stored != outgoing.revision) {
        return Err(ChangeError::Conflict);
    }
    outgoing.revision += 1;
    Ok(replace(batch, vault, &outgoing)?)
}

/// Revision of a stored notification; rows that predate revisions have none in their bodies.
fn revision(batch: &Batch<'_>, id: Uuid) -> Result<Option<u64>, Failure> {
    let sql = "SELECT coalesce(json_extract(body, '$.revision'), 0) FROM notifications WHERE id = ?1";
    Ok(batch.sql(sql)?.query_row((id.as_bytes(),), |row| row.get(0)).optional()?)
}

fn replace(batch: &Batch<'_>, vault: &Vault, outgoing: &Outgoing) -> Result<(), Failure> {
    let parts = NOTIFICATION.split(vault, &name(&outgoing.id), outgoing)?;
    let sql = "UPDATE notifications SET due_at = ?2, body = ?3, sealed = ?4 WHERE id = ?1";
    batch.sql(sql)?.execute((outgoing.id.as_bytes(), outgoing.due_at.as_micros(), parts.body, parts.sealed))?;
    Ok(())
}

fn settle(batch: &Batch<'_>, id: Uuid) -> Result<(), Failure> {
    batch.sql("DELETE FROM notifications WHERE id = ?1")?.execute((id.as_bytes(),))?;
    Ok(())
}

fn kept(connection: &Connection, vault: &Vault, after: Option<u64>, limit: usize) -> Result<Vec<Outgoing>, Failure> {
    // Numbers start at 1.
    let after = i64::try_from(after.unwrap_or(0)).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    select(connection, vault, "seq > ?1 ORDER BY seq LIMIT ?2", (after, limit))
}

fn select(connection: &Connection, vault: &Vault, which: &str, params: impl Params) -> Result<Vec<Outgoing>, Failure> {
    let sql = format!("SELECT id, body, sealed, seq FROM notifications WHERE {which}");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = Uuid::from_bytes(row.get(0)?);
        let body = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let sealed = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        let outgoing: Outgoing = NOTIFICATION.join(vault, &name(&id), body, sealed)?;
        found.push(Outgoing { number: row.get(3)?, ..outgoing });
    }
    Ok(found)
}

fn count_waiting(connection: &Connection) -> Result<Waiting, Failure> {
    let sql = "SELECT count(*), min(json_extract(body, '$.notification.timestamp')), \
               count(*) FILTER (WHERE json_extract(body, '$.attempts') > 0) \
               FROM notifications WHERE json_extract(body, '$.sent_at') IS NULL";
    let counted = connection.prepare_cached(sql)?.query_row([], |row| {
        let oldest: Option<i64> = row.get(1)?;
        Ok(Waiting { count: row.get(0)?, oldest: oldest.map(Timestamp::from_micros), tried: row.get(2)? })
    });
    Ok(counted?)
}
