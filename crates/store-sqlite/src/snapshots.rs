//! Snapshots of the Events API bridge.

use std::collections::HashMap;
use std::time::Instant;

use async_trait::async_trait;
use domain::{Event, PimId, Timestamp};
use meter::Seldom;
use rusqlite::{Connection, OptionalExtension};
use store::room::Mib;
use store::{
    AppendError, AppendNewError, ChangeError, Condition, Snapshot, SnapshotKey, SnapshotKind, SnapshotSave, Snapshots,
    StoreError, StoredStatus, Tenure, TenureError, snapshots,
};

use crate::SqliteStore;
use crate::catalog;
use crate::failure::Failure;
use crate::readers::of_pim;

/// Snapshots deleted in one transaction: a few MB, so that appends wait a few milliseconds.
const PRUNE_SLICE: u64 = 1_000;

#[async_trait]
impl Snapshots for SqliteStore {
    async fn snapshots(
        &self,
        pim: PimId,
        keys: Vec<SnapshotKey>,
    ) -> Result<HashMap<SnapshotKey, Snapshot>, StoreError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        self.read(of_pim(pim), move |connection| {
            let sql = "SELECT revision, body FROM snapshots WHERE pim = ?1 AND kind = ?2 AND key = ?3";
            let mut select = connection.prepare_cached(sql)?;
            let mut found = HashMap::with_capacity(keys.len());
            for key in keys {
                let row = select.query_row((pim.0, number(key.kind), &key.key), |row| {
                    Ok(Snapshot { revision: row.get(0)?, body: row.get(1)? })
                });
                if let Some(snapshot) = row.optional()? {
                    found.insert(key, snapshot);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn append_new_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<(), AppendNewError> {
        let keys: Vec<_> = events.iter().map(|event| self.keyed.key(pim, &event.identity())).collect();
        let most = self.bounds.max_state_bytes;
        self.write(move |batch| {
            if !catalog::hold(batch, &conditions)? {
                return Err(AppendError::Outdated.into());
            }
            let connection = batch.connection();
            let revision = batch.head()?.0;
            for save in &saves {
                if stored_revision(connection, pim, &save.key)? != save.seen {
                    return Err(AppendNewError::Changed);
                }
            }
            let meters = batch.meters();
            batch.append_new(pim, events, &keys, now, |connection| {
                for save in &saves {
                    if put(connection, pim, save, revision, most)? == Kept::TooMuch {
                        meters.dropped_snapshots.one();
                        tell_too_much(connection, pim, most)?;
                    }
                }
                Ok(())
            })
        })
        .await
    }

    async fn prune_snapshots(&self, tenure: &Tenure) -> Result<u64, TenureError> {
        self.owns(tenure)?;
        let pruned = self.write(|batch| {
            let slice = "DELETE FROM snapshots WHERE id IN \
                         (SELECT id FROM snapshots WHERE pim = ?1 LIMIT ?2)";
            let notes = "DELETE FROM bridge_notes WHERE pim NOT IN (SELECT id FROM pims)";
            let work = || -> Result<u64, Failure> {
                let mut deleted = batch.sql(notes)?.execute([])?;
                // The next PIM with snapshots; each step is one index lookup.
                let mut after = -1i64;
                let next = "SELECT min(pim) FROM snapshots WHERE pim > ?1";
                while let Some(pim) = batch.sql(next)?.query_row([after], |row| row.get::<_, Option<i64>>(0))? {
                    after = pim;
                    if !batch.sql("SELECT 1 FROM pims WHERE id = ?1")?.exists([pim])? {
                        deleted += batch.sql(slice)?.execute((pim, PRUNE_SLICE))?;
                        break;
                    }
                }
                Ok(deleted as u64)
            };
            Ok::<_, StoreError>(work()?)
        });
        Ok(pruned.await?)
    }

    async fn bridge_status(&self, pim: PimId) -> Result<Option<StoredStatus>, StoreError> {
        self.read(of_pim(pim), move |connection| note(connection, pim)).await
    }

    async fn put_bridge_status(&self, pim: PimId, next: StoredStatus) -> Result<(), ChangeError> {
        self.write(move |batch| {
            let stored = note(batch.connection(), pim)?.unwrap_or_default();
            if stored.revision != next.revision {
                return Err(ChangeError::Conflict);
            }
            let put = || -> Result<(), Failure> {
                let sql = "INSERT OR REPLACE INTO bridge_notes (pim, note, revision) VALUES (?1, ?2, ?3)";
                batch.sql(sql)?.execute((pim.0, next.text, next.revision + 1))?;
                Ok(())
            };
            Ok(put()?)
        })
        .await
    }
}

fn note(connection: &Connection, pim: PimId) -> Result<Option<StoredStatus>, Failure> {
    let mut select = connection.prepare_cached("SELECT note, revision FROM bridge_notes WHERE pim = ?1")?;
    let note = select.query_row([pim.0], |row| Ok(StoredStatus { text: row.get(0)?, revision: row.get(1)? }));
    Ok(note.optional()?)
}

fn number(kind: SnapshotKind) -> u8 {
    match kind {
        SnapshotKind::Product => 1,
        SnapshotKind::ProductModel => 2,
    }
}

fn stored_revision(connection: &Connection, pim: PimId, key: &SnapshotKey) -> Result<Option<u64>, Failure> {
    let sql = "SELECT revision FROM snapshots WHERE pim = ?1 AND kind = ?2 AND key = ?3";
    let mut select = connection.prepare_cached(sql)?;
    Ok(select.query_row((pim.0, number(key.kind), &key.key), |row| row.get(0)).optional()?)
}

/// Whether a snapshot was stored.
#[derive(PartialEq, Eq)]
enum Kept {
    Yes,
    /// It doesn't fit.
    TooMuch,
}

/// Writes a snapshot if its PIM's total stays within `most`; otherwise deletes it together with its predecessor.
fn put(connection: &Connection, pim: PimId, save: &SnapshotSave, revision: u64, most: u64) -> Result<Kept, Failure> {
    let (kind, key) = (number(save.key.kind), &save.key.key);
    let fits = match &save.body {
        Some(body) => others(connection, pim, &save.key)? + snapshots::size(&save.key, body) <= most,
        None => true,
    };
    match save.body.as_ref().filter(|_| fits) {
        Some(body) => {
            let sql = "INSERT INTO snapshots (pim, kind, key, revision, body) VALUES (?1, ?2, ?3, ?4, ?5) \
                       ON CONFLICT (pim, kind, key) DO UPDATE SET revision = excluded.revision, body = excluded.body";
            connection.prepare_cached(sql)?.execute((pim.0, kind, key, revision, body))?;
        }
        None => {
            let sql = "DELETE FROM snapshots WHERE pim = ?1 AND kind = ?2 AND key = ?3";
            connection.prepare_cached(sql)?.execute((pim.0, kind, key))?;
        }
    }
    Ok(if fits { Kept::Yes } else { Kept::TooMuch })
}

/// Size of all other snapshots of a PIM.
fn others(connection: &Connection, pim: PimId, key: &SnapshotKey) -> Result<u64, Failure> {
    let all = "SELECT bytes FROM snapshot_totals WHERE pim = ?1";
    let all: Option<u64> = connection.prepare_cached(all)?.query_row([pim.0], |row| row.get(0)).optional()?;
    let this = "SELECT octet_length(body) FROM snapshots WHERE pim = ?1 AND kind = ?2 AND key = ?3";
    let mut this = connection.prepare_cached(this)?;
    let this: Option<u64> = this.query_row((pim.0, number(key.kind), &key.key), |row| row.get(0)).optional()?;
    let this = this.map_or(0, |body| snapshots::size(key, &[]) + body);
    Ok(all.unwrap_or(0).saturating_sub(this))
}

/// Warns the operator, at intervals, that a PIM's snapshots have reached the bound.
fn tell_too_much(connection: &Connection, pim: PimId, most: u64) -> Result<(), Failure> {
    static TOO_MUCH: Seldom = Seldom::new();
    if let Some(times) = TOO_MUCH.note(Instant::now(), 1) {
        let name = connection.prepare_cached("SELECT name FROM pims WHERE id = ?1")?;
        let name: Option<String> = { name }.query_row([pim.0], |row| row.get(0)).optional()?;
        tracing::warn!(
            pim = name.unwrap_or_else(|| pim.to_string()),
            times,
            "the product states of a PIM take {}, all that they may (storage.max_product_states): new ones are not \
             kept, and the next change of such a product or model is delivered without its delta",
            Mib(most)
        );
    }
    Ok(())
}
