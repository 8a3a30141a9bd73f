//! PIMs as rows, and the effects of a PIM's removal. A change of a registration holds the head of its shard: an append
//! that was judged by the registration is committed before, or refused.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{PimId, Timestamp};
use store::{ChangeError, Page, PimQuery, Pims, StoreError, sealed, stamp};
use tokio_postgres::Row;

use super::change::{self, Held};
use super::filter::{Filter, has_text};
use super::{condition, entries, rows};
use crate::PostgresStore;
use crate::args::{Value, args, int, long, natural, unsigned};
use crate::failure::Failure;
use crate::inner::{self, Inner, SPREAD};
use crate::lines::{PLATFORM, Tx};

/// Subscribers of a removed PIM revoked in one transaction, with all of their subscriptions.
const REVOKED_AT_ONCE: usize = 10;
/// Clients of removed PIMs deleted in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 1_000;
/// What `join` reads.
const COLUMNS: &str = "SELECT id, body, sealed FROM pims WHERE";

#[async_trait]
impl Pims for PostgresStore {
    async fn pim(&self, id: PimId) -> Result<Option<Pim>, StoreError> {
        Ok(self.read_pims(Filter::new(&format!("{COLUMNS} id = ?"), [Value::Int(int(id.0))])).await?.pop())
    }

    async fn pim_named(&self, name: &str) -> Result<Option<Pim>, StoreError> {
        let name = Value::Text(name.to_owned());
        Ok(self.read_pims(Filter::new(&format!("{COLUMNS} name = ?"), [name])).await?.pop())
    }

    async fn pim_names(&self, of: Vec<PimId>) -> Result<HashMap<PimId, String>, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let ids: Vec<i32> = of.iter().map(|id| int(id.0)).collect();
        let rows = line.query("SELECT id, name FROM pims WHERE id = ANY($1)", args![ids]).await?;
        Ok(rows.iter().map(|row| (inner::pim(row, 0), row.get(1))).collect())
    }

    async fn pims(&self, query: &PimQuery) -> Result<Page<Pim>, StoreError> {
        let mut filter = Filter::new(&format!("{COLUMNS} TRUE"), []);
        if let Some(text) = &query.text {
            let either = format!("({} OR {})", has_text("name"), has_text("url_key"));
            filter.and_all(&either, [Value::Text(text.clone()), Value::Text(text.clone())]);
        }
        filter.and("id > ?", query.after.map(|after| Value::Int(int(after.0))));
        Ok(Page::of(self.read_pims(filter.page("id", query.limit)).await?, query.limit))
    }

    async fn count_pims(&self) -> Result<u64, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let rows = line.query("SELECT count(*) FROM pims", &[]).await?;
        Ok(rows.first().map_or(0, |row| natural(row.get(0))))
    }

    fn pims_version(&self) -> Result<u64, StoreError> {
        Ok(self.at.pims_version.load(Ordering::SeqCst))
    }

    async fn look_for_changed_pims(&self) -> Result<(), StoreError> {
        Ok(self.at.refresh_pims().await?)
    }

    async fn add_pim(&self, pim: Pim) -> Result<Pim, ChangeError> {
        let tx = self.at.changes.begin().await?;
        let added = add(&tx, &self.at, pim).await;
        let (pim, version) = tx.end(added).await?;
        self.at.saw_pims(version);
        Ok(pim)
    }

    async fn update_pim(&self, pim: Pim) -> Result<(), ChangeError> {
        let tx = self.at.changes.begin().await?;
        let updated = update(&tx, &self.at, pim).await;
        self.at.saw_pims(tx.end(updated).await?);
        Ok(())
    }

    async fn remove_pim(&self, id: PimId, now: Timestamp) -> Result<(), ChangeError> {
        loop {
            let tx = self.at.changes.begin().await?;
            let removed = remove(&tx, &self.at, id, now).await;
            let Removed { held, pims_version } = tx.end(removed).await?;
            self.at.wrote(held.shard, held.version);
            if let Some(version) = pims_version {
                self.at.saw_pims(version);
                break;
            }
        }
        Ok(self.forget_clients().await?)
    }
}

impl PostgresStore {
    /// Deletes the clients of removed PIMs.
    pub(super) async fn forget_clients(&self) -> Result<(), Failure> {
        let sql = "DELETE FROM clients WHERE (pim, client_id) IN \
                   (SELECT pim, client_id FROM clients WHERE pim NOT IN (SELECT id FROM pims) LIMIT $1)";
        let line = self.at.changes.line().await?;
        while line.execute(sql, args![FORGOTTEN_AT_ONCE]).await? > 0 {}
        Ok(())
    }

    async fn read_pims(&self, filter: Filter) -> Result<Vec<Pim>, Failure> {
        let line = self.at.readers.line(PLATFORM).await?;
        let rows = line.query(&filter.sql, &filter.args()).await?;
        join(&self.at, &rows)
    }
}

fn join(inner: &Inner, rows: &[Row]) -> Result<Vec<Pim>, Failure> {
    let one = |row: &Row| {
        let id = unsigned(row.get(0)).to_string();
        Ok(sealed::PIM.join(&inner.vault, &id, row.get(1), row.get(2))?)
    };
    rows.iter().map(one).collect()
}

/// Waits for other changes of registrations: names, URLs and keys are unique over all shards.
async fn lock(tx: &Tx) -> Result<Row, Failure> {
    let sql = "SELECT last_pim, pims_version FROM platform FOR UPDATE";
    tx.row(sql, &[]).await?.ok_or_else(|| Failure::Corrupt("there is no platform".to_owned()))
}

/// Checks that no other PIM has its name, URL or a key.
async fn free(tx: &Tx, inner: &Inner, pim: &Pim) -> Result<(), ChangeError> {
    let keys: Vec<String> = pim.keys.iter().map(|key| key.sha256.clone()).collect();
    let sql = format!("{COLUMNS} id <> $1 AND (name = $2 OR url_key = $3 OR keys && $4) ORDER BY id");
    let rows = tx.query(&sql, args![int(pim.id.0), pim.name, pim.url_key, keys]).await?;
    stamp::must_be_free(join(inner, &rows)?.iter(), pim)
}

async fn add(tx: &Tx, inner: &Inner, mut pim: Pim) -> Result<(Pim, u64), ChangeError> {
    let platform = lock(tx).await?;
    let number: i32 = platform.get::<_, i32>(0) + 1;
    pim.id = PimId(unsigned(number));
    pim.revision = 0;
    free(tx, inner, &pim).await?;
    Held::lock(tx, SPREAD.shard_of(pim.id)).await?;
    let sql = "INSERT INTO pims (id, name, url_key, revision, keys, body, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    put(tx, inner, &pim, sql).await?;
    tx.execute("UPDATE platform SET last_pim = $1", args![number]).await?;
    Ok((pim, count_version_up(tx).await?))
}

async fn update(tx: &Tx, inner: &Inner, mut pim: Pim) -> Result<u64, ChangeError> {
    lock(tx).await?;
    Held::lock(tx, SPREAD.shard_of(pim.id)).await?;
    let stored = condition::pim_revision(tx, pim.id).await?.ok_or(ChangeError::Missing("PIM"))?;
    if stored != pim.revision {
        return Err(ChangeError::Conflict);
    }
    free(tx, inner, &pim).await?;
    pim.revision += 1;
    let sql = "UPDATE pims SET name = $2, url_key = $3, revision = $4, keys = $5, body = $6, sealed = $7 WHERE id = $1";
    put(tx, inner, &pim, sql).await?;
    Ok(count_version_up(tx).await?)
}

async fn put(tx: &Tx, inner: &Inner, pim: &Pim, sql: &str) -> Result<(), Failure> {
    let parts = sealed::PIM.split(&inner.vault, &pim.id.0.to_string(), pim)?;
    let keys: Vec<String> = pim.keys.iter().map(|key| key.sha256.clone()).collect();
    let revision = long(pim.revision);
    tx.execute(sql, args![int(pim.id.0), pim.name, pim.url_key, revision, keys, parts.body, parts.sealed]).await?;
    Ok(())
}

async fn count_version_up(tx: &Tx) -> Result<u64, Failure> {
    let sql = "UPDATE platform SET pims_version = pims_version + 1 RETURNING pims_version";
    Ok(tx.row(sql, &[]).await?.map_or(0, |row| natural(row.get(0))))
}

/// A step of a removal: the version of the PIMs once it is done.
struct Removed {
    held: Held,
    pims_version: Option<u64>,
}

/// Revokes some of a PIM's subscribers; deletes the PIM once no other one is left.
async fn remove(tx: &Tx, inner: &Inner, id: PimId, now: Timestamp) -> Result<Removed, ChangeError> {
    lock(tx).await?;
    let mut held = Held::lock(tx, SPREAD.shard_of(id)).await?;
    let vault = &*inner.vault;
    let pim = tx.query(&format!("{COLUMNS} id = $1"), args![int(id.0)]).await?;
    let pim = join(inner, &pim)?.pop().ok_or(ChangeError::Missing("PIM"))?;
    let which = "pim = $1 AND status = 'active' ORDER BY id LIMIT $2";
    let limit = REVOKED_AT_ONCE as i64 + 1;
    let active = rows::subscribers_in(tx, vault, which, args![int(id.0), limit]).await?;
    let more = active.len() > REVOKED_AT_ONCE;
    held.next_version(tx).await?;
    for stored in active.iter().take(REVOKED_AT_ONCE) {
        let Some((revoked, entry)) = stamp::revoke_subscriber(stored, now) else { continue };
        rows::put_subscriber(tx, vault, &revoked).await?;
        entries::add(tx, inner, &entry).await?;
        let which = "subscriber_id = $1 AND status IN ('active', 'suspended') ORDER BY id";
        let subscriptions = rows::subscriptions_in(tx, vault, which, args![stored.id.0]).await?;
        let end = stamp::revoke_subscriptions(&subscriptions, &pim.url, now);
        for put in &end.subscriptions {
            change::put_subscription(tx, vault, &held, put).await?;
        }
        for entry in &end.entries {
            entries::add(tx, inner, entry).await?;
        }
        for notification in &end.notifications {
            change::notify(tx, inner, notification).await?;
        }
    }
    let mut pims_version = None;
    if !more {
        tx.execute("DELETE FROM pims WHERE id = $1", args![int(id.0)]).await?;
        pims_version = Some(count_version_up(tx).await?);
    }
    Ok(Removed { held, pims_version })
}
