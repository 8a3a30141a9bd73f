//! Notifications that wait to be sent, as rows; where they go is sealed.

use std::sync::Arc;

use async_trait::async_trait;
use domain::notification::Outgoing;
use rusqlite::{Connection, OptionalExtension};
use store::{ChangeError, Outbox, StoreError, Vault};
use uuid::Uuid;

use crate::SqliteStore;
use crate::batch::Batch;
use crate::failure::Failure;
use crate::readers::PLATFORM;
use crate::sealed::NOTIFICATION;

#[async_trait]
impl Outbox for SqliteStore {
    async fn notifications(&self, after: u64, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| kept(connection, &vault, after, limit)).await
    }

    async fn put_back_notification(&self, outgoing: Outgoing) -> Result<(), ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| put_back(batch, &vault, outgoing)).await
    }

    async fn settle_notification(&self, id: Uuid) -> Result<(), StoreError> {
        self.write(move |batch| Ok(settle(batch, id)?)).await
    }
}

/// How an id is named in what is sealed.
fn name(id: &Uuid) -> String {
    id.simple().to_string()
}

pub(super) fn add(batch: &Batch<'_>, vault: &Vault, outgoing: &Outgoing) -> Result<(), Failure> {
    let parts = NOTIFICATION.split(vault, &name(&outgoing.id), outgoing)?;
    let sql = "INSERT INTO notifications (id, due_at, body, sealed) VALUES (?1, ?2, ?3, ?4)";
    batch.sql(sql)?.execute((outgoing.id.as_bytes(), outgoing.due_at.as_micros(), parts.body, parts.sealed))?;
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

/// The revision of a notification that waits; rows from before revisions have none in their bodies.
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

fn kept(connection: &Connection, vault: &Vault, after: u64, limit: usize) -> Result<Vec<Outgoing>, Failure> {
    let sql = "SELECT id, body, sealed, seq FROM notifications WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows =
        select.query((i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX)))?;
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
