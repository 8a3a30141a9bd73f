//! PIMs as rows, and what the removal of one takes with it.

use std::sync::Arc;

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{PimId, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use store::{ChangeError, Pims, StoreError, Vault, stamp};

use super::{change, condition, entries, rows};
use crate::SqliteStore;
use crate::batch::Batch;
use crate::failure::Failure;
use crate::readers::PLATFORM;
use crate::sealed;

#[async_trait]
impl Pims for SqliteStore {
    async fn pims(&self) -> Result<Vec<Pim>, StoreError> {
        let vault = Arc::clone(&self.vault);
        let (version, pims) = self
            .read(PLATFORM, move |connection| {
                // One snapshot.
                let transaction = connection.unchecked_transaction()?;
                Ok((super::version(&transaction)?, all(&transaction, &vault)?))
            })
            .await?;
        // Another process may have removed a PIM, and revoked its subscriptions.
        self.changes.commit(version);
        Ok(pims)
    }

    fn pims_version(&self) -> Result<u64, StoreError> {
        Ok(version(&self.asked.lock())?)
    }

    async fn add_pim(&self, pim: Pim) -> Result<Pim, ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| add(batch, &vault, pim)).await
    }

    async fn update_pim(&self, pim: Pim) -> Result<(), ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| update(batch, &vault, pim)).await
    }

    async fn remove_pim(&self, id: PimId, now: Timestamp) -> Result<(), ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| remove(batch, &vault, id, now)).await
    }
}

fn all(connection: &Connection, vault: &Vault) -> Result<Vec<Pim>, Failure> {
    let mut select = connection.prepare_cached("SELECT id, body, sealed FROM pims ORDER BY id")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: u32 = row.get(0)?;
        let body = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let sealed = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        found.push(sealed::PIM.join(vault, &id.to_string(), body, sealed)?);
    }
    Ok(found)
}

/// Whether no other PIM has its name, URL or a key. There are few PIMs, and they change seldom.
fn free(batch: &Batch<'_>, vault: &Vault, pim: &Pim) -> Result<(), ChangeError> {
    stamp::must_be_free(all(batch.connection(), vault)?.iter(), pim)
}

fn add(batch: &Batch<'_>, vault: &Vault, mut pim: Pim) -> Result<Pim, ChangeError> {
    let mut number = || -> Result<(), Failure> {
        let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'pims'), 0) + 1";
        pim.id = PimId(batch.sql(sql)?.query_row([], |row| row.get(0))?);
        Ok(())
    };
    number()?;
    pim.revision = 0;
    free(batch, vault, &pim)?;
    put(batch, vault, &pim, "INSERT INTO pims (id, name, url_key, body, sealed) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    Ok(pim)
}

fn update(batch: &Batch<'_>, vault: &Vault, mut pim: Pim) -> Result<(), ChangeError> {
    let stored = condition::pim_revision(batch, pim.id)?.ok_or(ChangeError::Missing("PIM"))?;
    if stored != pim.revision {
        return Err(ChangeError::Conflict);
    }
    free(batch, vault, &pim)?;
    pim.revision += 1;
    let sql = "UPDATE pims SET name = ?2, url_key = ?3, body = ?4, sealed = ?5 WHERE id = ?1";
    Ok(put(batch, vault, &pim, sql)?)
}

fn put(batch: &Batch<'_>, vault: &Vault, pim: &Pim, sql: &str) -> Result<(), Failure> {
    let parts = sealed::PIM.split(vault, &pim.id.to_string(), pim)?;
    batch.sql(sql)?.execute((pim.id.0, &pim.name, &pim.url_key, parts.body, parts.sealed))?;
    count_version_up(batch)
}

fn count_version_up(batch: &Batch<'_>) -> Result<(), Failure> {
    batch.sql("UPDATE meta SET value = value + 1 WHERE name = 'pims_version'")?.execute([])?;
    Ok(())
}

/// Counts the changes of PIMs.
fn version(connection: &Connection) -> Result<u64, Failure> {
    let sql = "SELECT value FROM meta WHERE name = 'pims_version'";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn remove(batch: &mut Batch<'_>, vault: &Vault, id: PimId, now: Timestamp) -> Result<(), ChangeError> {
    let url = take(batch, vault, id)?.ok_or(ChangeError::Missing("PIM"))?;
    let connection = batch.connection();
    for stored in rows::subscribers(connection, vault, "pim = ?1", (id.0,))? {
        if let Some((revoked, entry)) = stamp::revoke_subscriber(&stored, now) {
            rows::put_subscriber(batch, vault, &revoked)?;
            entries::add(batch, &entry)?;
        }
    }
    let version = batch.next_version()?;
    let end = stamp::revoke_subscriptions(&rows::subscriptions(connection, vault, "pim = ?1", (id.0,))?, &url, now);
    for put in &end.subscriptions {
        change::put_subscription(batch, vault, version, put)?;
    }
    for entry in &end.entries {
        entries::add(batch, entry)?;
    }
    for notification in &end.notifications {
        change::notify(batch, vault, notification)?;
    }
    Ok(())
}

/// Deletes the row and those of the PIM's clients; gives its URL.
fn take(batch: &Batch<'_>, vault: &Vault, id: PimId) -> Result<Option<String>, Failure> {
    let sql = "DELETE FROM pims WHERE id = ?1 RETURNING body, sealed";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?));
    let Some((body, sealed)) = batch.sql(sql)?.query_row([id.0], row).optional()? else { return Ok(None) };
    batch.sql("DELETE FROM clients WHERE pim = ?1")?.execute([id.0])?;
    count_version_up(batch)?;
    let pim: Pim = sealed::PIM.join(vault, &id.to_string(), &body, &sealed)?;
    Ok(Some(pim.url))
}
