//! The ledger.

use async_trait::async_trait;
use domain::{Position, SubscriptionId};
use rusqlite::{Connection, OptionalExtension};
use store::stamp::LaneEffect;
use store::{LaneRecord, LaneSave, Ledger, Page, Save, StoreError, Tenure, TenureError};
use uuid::Uuid;

use crate::SqliteStore;
use crate::batch::Batch;
use crate::catalog;
use crate::failure::Failure;
use crate::kept::records;
use crate::readers::PLATFORM;
use crate::replays;

/// A save of this many lanes is rare, such as the first one. It reads the pages of as many subscriptions, which are not
/// worth their memory.
const MANY_LANES: usize = 1_000;

#[async_trait]
impl Ledger for SqliteStore {
    async fn mark(&self, _: &Tenure) -> Result<Position, StoreError> {
        self.read(PLATFORM, mark).await
    }

    async fn lanes(
        &self,
        _: &Tenure,
        after: Option<SubscriptionId>,
        at_most: usize,
    ) -> Result<Page<LaneRecord>, StoreError> {
        self.read(PLATFORM, move |connection| lanes(connection, after, at_most)).await
    }

    async fn save(&self, tenure: &Tenure, save: Save) -> Result<(), TenureError> {
        self.owns(tenure)?;
        Ok(self.write(move |batch| Ok::<_, StoreError>(write(batch, &save)?)).await?)
    }
}

pub(crate) fn mark(connection: &Connection) -> Result<Position, Failure> {
    let sql = "SELECT value FROM meta WHERE name = 'mark'";
    Ok(Position(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
}

fn lanes(connection: &Connection, after: Option<SubscriptionId>, at_most: usize) -> Result<Page<LaneRecord>, Failure> {
    // One read snapshot.
    let transaction = connection.unchecked_transaction()?;
    // No id is empty: all follow it.
    let after = after.as_ref().map_or(&[][..], |after| &after.0.as_bytes()[..]);
    let sql = "SELECT subscription, generation, cursor, memory FROM lanes WHERE subscription > ?1 \
               ORDER BY subscription LIMIT ?2";
    let mut select = transaction.prepare_cached(sql)?;
    let mut rows = select.query((after, at_most + 1))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(LaneRecord {
            subscription: SubscriptionId(Uuid::from_bytes(row.get(0)?)),
            generation: row.get(1)?,
            cursor: row.get::<_, Option<u64>>(2)?.map(Position),
            memory: row.get(3)?,
            exceptions: Vec::new(),
        });
    }
    let mut page = Page::of(found, at_most);
    let sql = "SELECT body FROM exceptions WHERE subscription = ?1 ORDER BY position";
    let mut select = transaction.prepare_cached(sql)?;
    for lane in &mut page.items {
        let mut rows = select.query((lane.subscription.0.as_bytes(),))?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            lane.exceptions.push(serde_json::from_str(body)?);
        }
    }
    Ok(page)
}

fn write(batch: &Batch<'_>, save: &Save) -> Result<(), Failure> {
    batch.sql("UPDATE meta SET value = ?1 WHERE name = 'mark' AND value < ?1")?.execute([save.mark.0])?;
    for lane in &save.lanes {
        let Some(current) = catalog::generation(batch.connection(), lane.subscription)? else { continue };
        if lane.generation == current {
            write_lane(batch, lane)?;
        } else if let Some(lane) = lane.clone().as_of(began(batch, lane.subscription)?, current, save.mark) {
            write_lane(batch, &lane)?;
        }
        // Entries and facts are kept regardless of the subscription's later changes.
        for entry in &lane.entries {
            catalog::add_entry(batch, entry)?;
        }
        if let Some(pim) = catalog::pim_of(batch.connection(), lane.subscription)? {
            records::add(batch, lane.subscription, pim, &lane.facts)?;
        }
    }
    for replay in &save.replays {
        replays::save(batch, replay)?;
    }
    if save.lanes.len() >= MANY_LANES {
        batch.connection().execute_batch("PRAGMA shrink_memory")?;
    }
    Ok(())
}

/// Generation in which a lane began.
fn began(batch: &Batch<'_>, of: SubscriptionId) -> Result<u32, Failure> {
    let mut select = batch.sql("SELECT generation FROM lanes WHERE subscription = ?1")?;
    Ok(select.query_row((of.0.as_bytes(),), |row| row.get(0)).optional()?.unwrap_or_default())
}

fn write_lane(batch: &Batch<'_>, lane: &LaneSave) -> Result<(), Failure> {
    let id = lane.subscription.0.as_bytes();
    batch
        .sql(
            "INSERT INTO lanes (subscription, generation, cursor, memory) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET cursor = ?3, memory = coalesce(?4, memory)",
        )?
        .execute((id, lane.generation, lane.cursor.map(|cursor| cursor.0), &lane.memory))?;
    if lane.drop_exceptions {
        drop_exceptions(batch, lane.subscription)?;
    }
    let mut settle = batch.sql("DELETE FROM exceptions WHERE subscription = ?1 AND position = ?2")?;
    for position in &lane.settled {
        settle.execute((id, position.0))?;
    }
    let mut put = batch.sql("INSERT OR REPLACE INTO exceptions (subscription, position, body) VALUES (?1, ?2, ?3)")?;
    for exception in &lane.exceptions {
        put.execute((id, exception.position.0, serde_json::to_string(exception)?))?;
    }
    Ok(())
}

fn drop_exceptions(batch: &Batch<'_>, of: SubscriptionId) -> Result<(), Failure> {
    batch.sql("DELETE FROM exceptions WHERE subscription = ?1")?.execute((of.0.as_bytes(),))?;
    Ok(())
}

/// Position of a lane: its own cursor, or the mark.
pub(crate) fn cursor(batch: &Batch<'_>, of: SubscriptionId) -> Result<Position, Failure> {
    let sql =
        "SELECT coalesce((SELECT cursor FROM lanes WHERE subscription = ?1), value) FROM meta WHERE name = 'mark'";
    Ok(Position(batch.sql(sql)?.query_row((of.0.as_bytes(),), |row| row.get(0))?))
}

/// Applies the effect of a subscription's change to its lane.
pub(crate) fn affect(
    batch: &Batch<'_>,
    of: SubscriptionId,
    generation: u32,
    effect: LaneEffect,
    head: Position,
    cursor: Position,
) -> Result<(), Failure> {
    let (cursor, begins, keep_memory) = match effect {
        LaneEffect::None => return Ok(()),
        LaneEffect::Forget => {
            drop_exceptions(batch, of)?;
            batch.sql("DELETE FROM lanes WHERE subscription = ?1")?.execute((of.0.as_bytes(),))?;
            return Ok(());
        }
        LaneEffect::Reset => {
            drop_exceptions(batch, of)?;
            (head, true, false)
        }
        LaneEffect::GoOn => (cursor, false, false),
        LaneEffect::Pin => (cursor, false, true),
    };
    batch
        .sql(
            "INSERT INTO lanes (subscription, generation, cursor, memory) VALUES (?1, ?2, ?3, NULL) \
             ON CONFLICT DO UPDATE SET generation = CASE WHEN ?4 THEN ?2 ELSE generation END, cursor = ?3, \
             memory = CASE WHEN ?5 THEN memory END",
        )?
        .execute((of.0.as_bytes(), generation, cursor.0, begins, keep_memory))?;
    Ok(())
}
