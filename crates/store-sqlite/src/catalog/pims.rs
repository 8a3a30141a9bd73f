//! PIMs as rows, and the effects of a PIM's removal.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{PimId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use store::{ChangeError, Page, PimQuery, Pims, StoreError, Vault, sealed, stamp};

use super::filter::{Filter, has_text};
use super::{change, condition, entries, rows};
use crate::SqliteStore;
use crate::batch::Batch;
use crate::failure::Failure;
use crate::readers::PLATFORM;

#[async_trait]
impl Pims for SqliteStore {
    async fn pim(&self, id: PimId) -> Result<Option<Pim>, StoreError> {
        Ok(self.read_pims("id = ?", vec![id.0.into()]).await?.pop())
    }

    async fn pim_named(&self, name: &str) -> Result<Option<Pim>, StoreError> {
        Ok(self.read_pims("name = ?", vec![name.to_owned().into()]).await?.pop())
    }

    async fn pim_names(&self, of: Vec<PimId>) -> Result<HashMap<PimId, String>, StoreError> {
        self.read(PLATFORM, move |connection| {
            let mut select = connection.prepare_cached("SELECT name FROM pims WHERE id = ?1")?;
            let mut names = HashMap::with_capacity(of.len());
            for id in of {
                if let Some(name) = select.query_row([id.0], |row| row.get(0)).optional()? {
                    names.insert(id, name);
                }
            }
            Ok(names)
        })
        .await
    }

    async fn pims(&self, query: &PimQuery) -> Result<Page<Pim>, StoreError> {
        let mut filter = Filter::new("TRUE", []);
        if let Some(text) = &query.text {
            filter.and(&format!("({} OR {})", has_text("name"), has_text("url_key")), Some(text.clone()));
            filter.values.push(text.clone().into());
        }
        filter.and("id > ?", query.after.map(|after| after.0));
        let Filter { sql, values } = filter.page("id", query.limit);
        Ok(Page::of(self.read_pims(&sql, values).await?, query.limit))
    }

    async fn count_pims(&self) -> Result<u64, StoreError> {
        self.read(PLATFORM, |connection| {
            Ok(connection.prepare_cached("SELECT count(*) FROM pims")?.query_row([], |row| row.get(0))?)
        })
        .await
    }

    fn pims_version(&self) -> Result<u64, StoreError> {
        Ok(self.glance.pims_version()?)
    }

    async fn look_for_changed_pims(&self) -> Result<(), StoreError> {
        self.glance.forget();
        Ok(())
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
        loop {
            let vault = Arc::clone(&self.vault);
            if self.write(move |batch| remove(batch, &vault, id, now)).await? {
                break;
            }
        }
        Ok(self.forget_clients().await?)
    }
}

/// Subscribers of a removed PIM revoked in one transaction, with all of their subscriptions.
const REVOKED_AT_ONCE: usize = 10;

/// Clients of removed PIMs deleted in one transaction.
const FORGOTTEN_AT_ONCE: usize = 1_000;

impl SqliteStore {
    /// Deletes the clients of removed PIMs.
    pub(super) async fn forget_clients(&self) -> Result<(), StoreError> {
        while self.write(|batch| Ok::<_, StoreError>(forget_clients(batch)?)).await? > 0 {}
        Ok(())
    }

    async fn read_pims(&self, which: &str, values: Vec<Value>) -> Result<Vec<Pim>, StoreError> {
        let (vault, which) = (Arc::clone(&self.vault), which.to_owned());
        let (version, pims) = self
            .read(PLATFORM, move |connection| {
                // One read snapshot.
                let transaction = connection.unchecked_transaction()?;
                let pims = select(&transaction, &vault, &which, values)?;
                Ok((super::version(&transaction)?, pims))
            })
            .await?;
        // Another process may have removed a PIM and revoked its subscriptions.
        self.changes.commit(version);
        Ok(pims)
    }
}

fn select(connection: &Connection, vault: &Vault, which: &str, values: Vec<Value>) -> Result<Vec<Pim>, Failure> {
    let mut select = connection.prepare_cached(&format!("SELECT id, body, sealed FROM pims WHERE {which}"))?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: u32 = row.get(0)?;
        let body = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let sealed = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        found.push(sealed::PIM.join(vault, &id.to_string(), body, sealed)?);
    }
    Ok(found)
}

/// Checks that no other PIM has its name, URL or a key.
fn free(batch: &Batch<'_>, vault: &Vault, pim: &Pim) -> Result<(), ChangeError> {
    let keys: Vec<&str> = pim.keys.iter().map(|key| key.sha256.as_str()).collect();
    let which = "id <> ? AND (name = ? OR url_key = ? OR EXISTS (SELECT 1 FROM json_each(body, '$.keys') AS key \
                 WHERE key.value ->> 'sha256' IN (SELECT value FROM json_each(?)))) ORDER BY id";
    let keys = serde_json::to_string(&keys).map_err(Failure::from)?;
    let values = vec![pim.id.0.into(), pim.name.clone().into(), pim.url_key.clone().into(), keys.into()];
    stamp::must_be_free(select(batch.connection(), vault, which, values)?.iter(), pim)
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

/// Revokes some of a PIM's subscribers; deletes the PIM once no other one is left. Returns whether it is deleted.
fn remove(batch: &mut Batch<'_>, vault: &Vault, id: PimId, now: Timestamp) -> Result<bool, ChangeError> {
    let connection = batch.connection();
    let pim = select(connection, vault, "id = ?", vec![id.0.into()])?.pop().ok_or(ChangeError::Missing("PIM"))?;
    let which = "pim = ?1 AND status = 'active' ORDER BY id LIMIT ?2";
    let active = rows::subscribers(connection, vault, which, (id.0, REVOKED_AT_ONCE + 1))?;
    let more = active.len() > REVOKED_AT_ONCE;
    let version = batch.next_version()?;
    for stored in active.iter().take(REVOKED_AT_ONCE) {
        let Some((revoked, entry)) = stamp::revoke_subscriber(stored, now) else { continue };
        rows::put_subscriber(batch, vault, &revoked)?;
        entries::add(batch, &entry)?;
        let which = "subscriber_id = ?1 AND status IN ('active', 'suspended') ORDER BY id";
        let subscriptions = rows::subscriptions(connection, vault, which, (stored.id.0.as_bytes(),))?;
        let end = stamp::revoke_subscriptions(&subscriptions, &pim.url, now);
        for put in &end.subscriptions {
            change::put_subscription(batch, vault, version, put)?;
        }
        for entry in &end.entries {
            entries::add(batch, entry)?;
        }
        for notification in &end.notifications {
            change::notify(batch, vault, notification)?;
        }
    }
    if !more {
        batch.sql("DELETE FROM pims WHERE id = ?1")?.execute([id.0]).map_err(Failure::from)?;
        count_version_up(batch)?;
    }
    Ok(!more)
}

/// Deletes some of the clients whose PIM was removed; returns their number.
fn forget_clients(batch: &Batch<'_>) -> Result<usize, Failure> {
    let sql = "DELETE FROM clients WHERE (pim, client_id) IN \
               (SELECT pim, client_id FROM clients WHERE pim NOT IN (SELECT id FROM pims) LIMIT ?1)";
    Ok(batch.sql(sql)?.execute([FORGOTTEN_AT_ONCE])?)
}
