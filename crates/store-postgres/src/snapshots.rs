//! Snapshots of the Events API bridge.

use std::collections::HashMap;
use std::time::Instant;

use async_trait::async_trait;
use domain::{Event, PimId, Timestamp};
use meter::Seldom;
use store::room::Mib;
use store::{
    AppendError, AppendNewError, ChangeError, Condition, Shards, Snapshot, SnapshotKey, SnapshotKind, SnapshotSave,
    Snapshots, StoreError, StoredStatus, Tenure, TenureError, snapshots,
};

use crate::PostgresStore;
use crate::append::{self, Batch, Outcome, Written};
use crate::args::{args, int, long, natural};
use crate::catalog::change::Held;
use crate::catalog::hold;
use crate::failure::Failure;
use crate::inner::{Inner, SPREAD, number, shard_of};
use crate::lines::{Tx, of_pim};

/// Snapshots deleted in one transaction.
const PRUNE_SLICE: i64 = 1_000;

#[async_trait]
impl Snapshots for PostgresStore {
    async fn snapshots(
        &self,
        pim: PimId,
        keys: Vec<SnapshotKey>,
    ) -> Result<HashMap<SnapshotKey, Snapshot>, StoreError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let line = self.at.readers.line(of_pim(pim)).await?;
        let kinds: Vec<i16> = keys.iter().map(|key| kind(key.kind)).collect();
        let names: Vec<String> = keys.iter().map(|key| key.key.clone()).collect();
        let sql = "SELECT k.n, s.revision, s.body FROM unnest($2, $3) WITH ORDINALITY AS k (kind, key, n) \
                   JOIN snapshots s ON s.pim = $1 AND s.kind = k.kind AND s.key = k.key";
        let rows = line.query(sql, args![int(pim.0), kinds, names]).await?;
        let found = rows.iter().filter_map(|row| {
            let key = keys.get(usize::try_from(row.get::<_, i64>(0) - 1).ok()?)?;
            Some((key.clone(), Snapshot { revision: natural(row.get(1)), body: row.get(2) }))
        });
        Ok(found.collect())
    }

    async fn append_new_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<(), AppendNewError> {
        let shard = self.shard_of(pim);
        let keys: Vec<_> = events.iter().map(|event| self.at.keyed.key(pim, &event.identity())).collect();
        let more = events.iter().map(|event| event.size() as u64).sum();
        if let Some(message) = self.at.backlog.lock().lacks(pim, more).filter(|_| !events.is_empty()) {
            let retry_after = append::RETRY_AFTER;
            return Err(AppendError::BacklogFull { message, retry_after }.into());
        }
        let ids: Vec<String> = events.iter().map(|event| event.id().to_owned()).collect();
        let batch = Batch::single(pim, events, keys, now, Vec::new(), self.at.keep.keep_any());
        let tx = self.at.changes.begin().await?;
        let done = append_new(&tx, &self.at, pim, &batch, &ids, &saves, &conditions).await;
        if matches!(done, Err(AppendNewError::Append(AppendError::Outdated))) {
            self.at.refresh_pims().await?;
        }
        let written = tx.end(done).await?;
        append::announce(&self.at, shard, &written, batch.frames).await;
        Ok(())
    }

    async fn prune_snapshots(&self, tenure: &Tenure) -> Result<u64, TenureError> {
        let tx = self.at.begin_owned(tenure).await?;
        let pruned = prune(&tx, tenure).await;
        Ok(tx.end(pruned).await?)
    }

    async fn bridge_status(&self, pim: PimId) -> Result<Option<StoredStatus>, StoreError> {
        let line = self.at.readers.line(of_pim(pim)).await?;
        let rows = line.query("SELECT note, revision FROM bridge_notes WHERE pim = $1", args![int(pim.0)]).await?;
        Ok(rows.first().map(|row| StoredStatus { text: row.get(0), revision: natural(row.get(1)) }))
    }

    async fn put_bridge_status(&self, pim: PimId, next: StoredStatus) -> Result<(), ChangeError> {
        let line = self.at.changes.line().await?;
        let (before, after) = (long(next.revision), long(next.revision + 1));
        let written = if next.revision == 0 {
            let sql = "INSERT INTO bridge_notes (pim, shard, note, revision) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT DO NOTHING";
            line.execute(sql, args![int(pim.0), shard_of(pim), next.text, after]).await?
        } else {
            let sql = "UPDATE bridge_notes SET note = $2, revision = $3 WHERE pim = $1 AND revision = $4";
            line.execute(sql, args![int(pim.0), next.text, after, before]).await?
        };
        if written == 0 { Err(ChangeError::Conflict) } else { Ok(()) }
    }
}

fn kind(kind: SnapshotKind) -> i16 {
    match kind {
        SnapshotKind::Product => 1,
        SnapshotKind::ProductModel => 2,
    }
}

async fn append_new(
    tx: &Tx,
    inner: &Inner,
    pim: PimId,
    batch: &Batch,
    ids: &[String],
    saves: &[SnapshotSave],
    conditions: &[Condition],
) -> Result<Written, AppendNewError> {
    let shard = SPREAD.shard_of(pim);
    let held = Held::lock(tx, shard).await?;
    if !hold(tx, conditions).await? {
        return Err(AppendError::Outdated.into());
    }
    let stored = stored_revisions(tx, pim, saves).await?;
    if saves.iter().any(|save| stored.get(&save.key).copied() != save.seen) {
        return Err(AppendNewError::Changed);
    }
    let written = match append::call_on(tx.line(), inner, shard, batch).await? {
        Outcome::Written(written) => written,
        Outcome::Outdated(_) => return Err(AppendError::Outdated.into()),
        Outcome::Known(known) => {
            return Err(AppendNewError::Known(known.iter().filter_map(|index| ids.get(*index)).cloned().collect()));
        }
    };
    put(tx, inner, pim, saves, held.head.0).await?;
    Ok(written)
}

async fn stored_revisions(tx: &Tx, pim: PimId, saves: &[SnapshotSave]) -> Result<HashMap<SnapshotKey, u64>, Failure> {
    let kinds: Vec<i16> = saves.iter().map(|save| kind(save.key.kind)).collect();
    let names: Vec<String> = saves.iter().map(|save| save.key.key.clone()).collect();
    let sql = "SELECT k.n, s.revision FROM unnest($2, $3) WITH ORDINALITY AS k (kind, key, n) \
               JOIN snapshots s ON s.pim = $1 AND s.kind = k.kind AND s.key = k.key";
    let rows = tx.query(sql, args![int(pim.0), kinds, names]).await?;
    let found = rows.iter().filter_map(|row| {
        let save = saves.get(usize::try_from(row.get::<_, i64>(0) - 1).ok()?)?;
        Some((save.key.clone(), natural(row.get(1))))
    });
    Ok(found.collect())
}

/// Writes snapshots in their order as long as the PIM's total stays within the bound; those that don't fit are deleted
/// together with their predecessors. The PIM's head is held, and nobody else writes its snapshots.
async fn put(tx: &Tx, inner: &Inner, pim: PimId, saves: &[SnapshotSave], revision: u64) -> Result<(), Failure> {
    let (of, most) = (int(pim.0), inner.bounds.max_state_bytes);
    let total = tx.row("SELECT bytes FROM snapshot_totals WHERE pim = $1", args![of]).await?;
    let before = total.map_or(0, |row| natural(row.get(0)));
    let mut total = before;
    for save in saves {
        let sql = "DELETE FROM snapshots WHERE pim = $1 AND kind = $2 AND key = $3 RETURNING size";
        if let Some(row) = tx.row(sql, args![of, kind(save.key.kind), save.key.key]).await? {
            total = total.saturating_sub(natural(row.get(0)));
        }
        let Some(body) = &save.body else { continue };
        let size = snapshots::size(&save.key, body);
        if total + size > most {
            inner.meters.dropped_snapshots.one();
            tell_too_much(tx, pim, most).await?;
            continue;
        }
        total += size;
        let sql = "INSERT INTO snapshots (pim, kind, key, revision, size, body) VALUES ($1, $2, $3, $4, $5, $6)";
        let (size, revision) = (long(size), long(revision));
        tx.execute(sql, args![of, kind(save.key.kind), save.key.key, revision, size, *body]).await?;
    }
    if total != before {
        let sql = "INSERT INTO snapshot_totals (pim, shard, bytes) VALUES ($1, $2, $3) \
                   ON CONFLICT (pim) DO UPDATE SET bytes = excluded.bytes";
        tx.execute(sql, args![of, shard_of(pim), long(total)]).await?;
    }
    Ok(())
}

/// Warns the operator, at intervals, that a PIM's snapshots have reached the bound.
async fn tell_too_much(tx: &Tx, pim: PimId, most: u64) -> Result<(), Failure> {
    static TOO_MUCH: Seldom = Seldom::new();
    if let Some(times) = TOO_MUCH.note(Instant::now(), 1) {
        let name = tx.row("SELECT name FROM pims WHERE id = $1", args![int(pim.0)]).await?;
        tracing::warn!(
            pim = name.map_or_else(|| pim.to_string(), |row| row.get(0)),
            times,
            "the product states of a PIM take {}, all that they may (storage.max_product_states): new ones are not \
             kept, and the next change of such a product or model is delivered without its delta",
            Mib(most)
        );
    }
    Ok(())
}

/// Deletes notes of removed PIMs, and some snapshots of one of them.
async fn prune(tx: &Tx, tenure: &Tenure) -> Result<u64, TenureError> {
    let shard = number(tenure.shard);
    let notes = "DELETE FROM bridge_notes WHERE shard = $1 AND pim NOT IN (SELECT id FROM pims)";
    let mut deleted = tx.execute(notes, args![shard]).await?;
    let next = "SELECT pim FROM snapshot_totals WHERE shard = $1 AND pim NOT IN (SELECT id FROM pims) LIMIT 1";
    if let Some(row) = tx.row(next, args![shard]).await? {
        let pim: i32 = row.get(0);
        let slice = "DELETE FROM snapshots WHERE (pim, kind, key) IN \
                     (SELECT pim, kind, key FROM snapshots WHERE pim = $1 LIMIT $2)";
        let gone = tx.execute(slice, args![pim, PRUNE_SLICE]).await?;
        if gone < PRUNE_SLICE as u64 {
            tx.execute("DELETE FROM snapshot_totals WHERE pim = $1", args![pim]).await?;
        }
        deleted += gone;
    }
    Ok(deleted)
}
