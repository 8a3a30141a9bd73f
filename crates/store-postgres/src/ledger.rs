//! The ledger. A save is a handful of statements, however many lanes it has.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{PimId, Position, SubscriptionId};
use store::stamp::LaneEffect;
use store::{LaneRecord, LaneSave, Ledger, Page, Save, Shard, StoreError, Tenure, TenureError};
use uuid::Uuid;

use crate::PostgresStore;
use crate::args::{args, int, long, natural, unsigned};
use crate::catalog;
use crate::failure::Failure;
use crate::inner::{self, Inner, number};
use crate::kept::records;
use crate::lines::{PLATFORM, Tx};
use crate::replays;

#[async_trait]
impl Ledger for PostgresStore {
    async fn mark(&self, tenure: &Tenure) -> Result<Position, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let rows = line.query("SELECT mark FROM progress WHERE shard = $1", args![number(tenure.shard)]).await?;
        Ok(Position(rows.first().map_or(0, |row| natural(row.get(0)))))
    }

    async fn lanes(
        &self,
        tenure: &Tenure,
        after: Option<SubscriptionId>,
        at_most: usize,
    ) -> Result<Page<LaneRecord>, StoreError> {
        let tx = self.at.readers.snapshot(PLATFORM).await?;
        let page = lanes(&tx, tenure.shard, after, at_most).await;
        Ok(tx.end(page).await?)
    }

    async fn save(&self, tenure: &Tenure, save: Save) -> Result<(), TenureError> {
        let tx = self.at.begin_owned(tenure).await?;
        let written = write(&tx, &self.at, tenure.shard, save).await;
        tx.end(written).await?;
        // There may be more to delete.
        self.at.trimmed.lock().remove(&tenure.shard);
        self.at.health.wrote();
        Ok(())
    }
}

async fn lanes(
    tx: &Tx,
    shard: Shard,
    after: Option<SubscriptionId>,
    at_most: usize,
) -> Result<Page<LaneRecord>, Failure> {
    let sql = "SELECT subscription, generation, cursor, memory FROM lanes WHERE shard = $1 AND subscription > $2 \
               ORDER BY subscription LIMIT $3";
    // Nothing is before the smallest id.
    let after = after.map_or(Uuid::nil(), |after| after.0);
    let limit = i64::try_from(at_most.saturating_add(1)).unwrap_or(i64::MAX);
    let rows = tx.query(sql, args![number(shard), after, limit]).await?;
    let found = rows.iter().map(|row| LaneRecord {
        subscription: SubscriptionId(row.get(0)),
        generation: unsigned(row.get(1)),
        cursor: row.get::<_, Option<i64>>(2).map(|cursor| Position(natural(cursor))),
        memory: row.get(3),
        exceptions: Vec::new(),
    });
    let mut page = Page::of(found.collect(), at_most);
    let ids: Vec<Uuid> = page.items.iter().map(|lane| lane.subscription.0).collect();
    let sql = "SELECT subscription, body FROM exceptions WHERE subscription = ANY($1) ORDER BY subscription, position";
    let places: HashMap<Uuid, usize> = ids.iter().copied().zip(0..).collect();
    for row in tx.query(sql, args![ids]).await? {
        if let Some(lane) = places.get(&row.get(0)).and_then(|place| page.items.get_mut(*place)) {
            lane.exceptions.push(serde_json::from_str(row.get(1))?);
        }
    }
    Ok(page)
}

/// What a save needs to know of a subscription.
struct Known {
    pim: PimId,
    current: u32,
    began: u32,
    deleted: bool,
}

async fn write(tx: &Tx, inner: &Inner, shard: Shard, save: Save) -> Result<(), TenureError> {
    let sql = "UPDATE progress SET mark = $2 WHERE shard = $1 AND mark < $2";
    tx.execute(sql, args![number(shard), long(save.mark.0)]).await?;
    let known = known(tx, shard, &save.lanes).await?;
    let mut lanes = Vec::new();
    for mut lane in save.lanes {
        let Some(of) = known.get(&lane.subscription.0) else { continue };
        // Entries and facts are kept regardless of the subscription's later changes.
        for entry in std::mem::take(&mut lane.entries) {
            catalog::add_entry(tx, inner, &entry).await?;
        }
        if !of.deleted {
            records::add(tx, lane.subscription, of.pim, &std::mem::take(&mut lane.facts)).await?;
        }
        lanes.extend(lane.as_of(of.began, of.current, save.mark));
    }
    write_lanes(tx, shard, &lanes).await?;
    for replay in &save.replays {
        replays::save(tx, shard, replay).await?;
    }
    Ok(())
}

async fn known(tx: &Tx, shard: Shard, lanes: &[LaneSave]) -> Result<HashMap<Uuid, Known>, Failure> {
    if lanes.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = lanes.iter().map(|lane| lane.subscription.0).collect();
    let sql = "SELECT s.id, s.pim, s.generation, coalesce(l.generation, 0), s.status = 'deleted' \
               FROM subscriptions s LEFT JOIN lanes l ON l.subscription = s.id WHERE s.id = ANY($1) AND s.shard = $2";
    let rows = tx.query(sql, args![ids, number(shard)]).await?;
    let one = |row: &tokio_postgres::Row| {
        let known = Known {
            pim: inner::pim(row, 1),
            current: unsigned(row.get(2)),
            began: unsigned(row.get(3)),
            deleted: row.get(4),
        };
        (row.get(0), known)
    };
    Ok(rows.iter().map(one).collect())
}

async fn write_lanes(tx: &Tx, shard: Shard, lanes: &[LaneSave]) -> Result<(), Failure> {
    if lanes.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = lanes.iter().map(|lane| lane.subscription.0).collect();
    let generations: Vec<i32> = lanes.iter().map(|lane| int(lane.generation)).collect();
    let cursors: Vec<Option<i64>> = lanes.iter().map(|lane| lane.cursor.map(|cursor| long(cursor.0))).collect();
    let memories: Vec<Option<Vec<u8>>> = lanes.iter().map(|lane| lane.memory.clone()).collect();
    let sql = "INSERT INTO lanes AS l (subscription, shard, generation, cursor, memory) \
               SELECT s, $1, g, c, m FROM unnest($2, $3, $4, $5) AS t (s, g, c, m) \
               ON CONFLICT (subscription) DO UPDATE SET cursor = excluded.cursor, \
               memory = coalesce(excluded.memory, l.memory)";
    tx.execute(sql, args![number(shard), ids, generations, cursors, memories]).await?;
    let dropped: Vec<Uuid> = lanes.iter().filter(|lane| lane.drop_exceptions).map(|lane| lane.subscription.0).collect();
    if !dropped.is_empty() {
        tx.execute("DELETE FROM exceptions WHERE subscription = ANY($1)", args![dropped]).await?;
    }
    let settled = lanes.iter().flat_map(|lane| lane.settled.iter().map(|at| (lane.subscription.0, long(at.0))));
    let (settled, positions): (Vec<Uuid>, Vec<i64>) = settled.unzip();
    if !settled.is_empty() {
        let sql = "DELETE FROM exceptions e USING unnest($1, $2) AS t (s, p) \
                   WHERE e.subscription = t.s AND e.position = t.p";
        tx.execute(sql, args![settled, positions]).await?;
    }
    let (mut of, mut positions, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for lane in lanes {
        for exception in &lane.exceptions {
            of.push(lane.subscription.0);
            positions.push(long(exception.position.0));
            bodies.push(serde_json::to_string(exception)?);
        }
    }
    if !of.is_empty() {
        let sql = "INSERT INTO exceptions (subscription, position, body) SELECT * FROM unnest($1, $2, $3) \
                   ON CONFLICT (subscription, position) DO UPDATE SET body = excluded.body";
        tx.execute(sql, args![of, positions, bodies]).await?;
    }
    Ok(())
}

async fn drop_exceptions(tx: &Tx, of: SubscriptionId) -> Result<(), Failure> {
    tx.execute("DELETE FROM exceptions WHERE subscription = $1", args![of.0]).await.map(drop)
}

/// A lane's own cursor.
pub(crate) async fn cursor(tx: &Tx, of: SubscriptionId) -> Result<Option<Position>, Failure> {
    let row = tx.row("SELECT cursor FROM lanes WHERE subscription = $1", args![of.0]).await?;
    let cursor = row.and_then(|row| row.get::<_, Option<i64>>(0));
    Ok(cursor.map(|cursor| Position(natural(cursor))))
}

/// Applies the effect of a subscription's change to its lane.
pub(crate) async fn affect(
    tx: &Tx,
    shard: Shard,
    of: SubscriptionId,
    generation: u32,
    effect: LaneEffect,
    head: Position,
    cursor: Position,
) -> Result<(), Failure> {
    let (cursor, begins, keep_memory) = match effect {
        LaneEffect::None => return Ok(()),
        LaneEffect::Forget => {
            drop_exceptions(tx, of).await?;
            return tx.execute("DELETE FROM lanes WHERE subscription = $1", args![of.0]).await.map(drop);
        }
        LaneEffect::Reset => {
            drop_exceptions(tx, of).await?;
            (head, true, false)
        }
        LaneEffect::GoOn => (cursor, false, false),
        LaneEffect::Pin => (cursor, false, true),
    };
    let sql = "INSERT INTO lanes AS l (subscription, shard, generation, cursor) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (subscription) DO UPDATE SET cursor = excluded.cursor, \
               generation = CASE WHEN $5 THEN excluded.generation ELSE l.generation END, \
               memory = CASE WHEN $6 THEN l.memory END";
    let (shard, generation) = (number(shard), int(generation));
    tx.execute(sql, args![of.0, shard, generation, long(cursor.0), begins, keep_memory]).await?;
    Ok(())
}
