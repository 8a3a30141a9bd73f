//! Records about events: eras, events given up, dropped backlogs, late deliveries, and counts of outcomes.

use domain::fate::{DropReason, DroppedBacklog, OutcomeCounts};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, Position, ServiceHour, SubscriptionId};
use rusqlite::OptionalExtension;
use store::kept::size;
use store::stamp::Stamped;
use store::{Era, Facts, History};

use super::keeping::{self, Keeping, Slice};
use super::keys::EVENT_BYTES;
use crate::batch::Batch;
use crate::failure::Failure;

/// Hours of service for which counts of outcomes are stored.
const COUNTED_HOURS: u32 = 24;

/// Stores facts about a subscription's events.
pub(crate) fn add(batch: &Batch<'_>, of: SubscriptionId, pim: PimId, facts: &Facts) -> Result<(), Failure> {
    if facts.is_empty() {
        return Ok(());
    }
    let id = of.0.as_bytes();
    let mut bytes = 0;
    let mut replaced = 0;
    for given_up in &facts.given_up {
        let known = "SELECT 1 FROM given_up WHERE subscription = ?1 AND position = ?2";
        let is_known = batch.sql(known)?.exists((id, given_up.position.0))?;
        let sql = "INSERT OR REPLACE INTO given_up (subscription, position, pim, body) VALUES (?1, ?2, ?3, ?4)";
        batch.sql(sql)?.execute((id, given_up.position.0, pim.0, serde_json::to_string(given_up)?))?;
        bytes += if is_known { 0 } else { size::GIVEN_UP };
    }
    for backlog in &facts.dropped {
        let (more, less) = drop_backlog(batch, of, pim, backlog)?;
        (bytes, replaced) = (bytes + more, replaced + less);
    }
    for position in &facts.delivered_late {
        let sql = "INSERT OR IGNORE INTO delivered_late (subscription, position, pim) VALUES (?1, ?2, ?3)";
        bytes += batch.sql(sql)?.execute((id, position.0, pim.0))? as u64 * size::DELIVERED_LATE;
    }
    let hour = batch.hour()?.0;
    for OutcomeCounts { from, delivered, failed, throttled } in &facts.counts {
        let sql = "INSERT INTO outcome_counts (subscription, begins, hour, delivered, failed, throttled) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
                   delivered = delivered + ?4, failed = failed + ?5, throttled = throttled + ?6";
        batch.sql(sql)?.execute((id, from.as_micros(), hour, *delivered, *failed, *throttled))?;
    }
    keeping::count(batch, pim, bytes, replaced)
}

/// Stores a dropped backlog, which replaces an uncertain one with the same end and reason. Returns the bytes added and
/// removed.
fn drop_backlog(
    batch: &Batch<'_>,
    of: SubscriptionId,
    pim: PimId,
    backlog: &DroppedBacklog,
) -> Result<(u64, u64), Failure> {
    let reason = serde_json::to_string(&backlog.reason)?;
    let sql = "DELETE FROM dropped WHERE subscription = ?1 AND until = ?2 AND reason = ?3 AND uncertain RETURNING size";
    let removed = sum(batch, sql, (of.0.as_bytes(), backlog.until.0, &reason))?.0;
    let sql = "INSERT INTO dropped (subscription, pim, first, until, reason, uncertain, size, body) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let size = size::dropped(backlog);
    let first = backlog.also.iter().copied().min().map_or(backlog.from, |first| first.min(backlog.from));
    let body = serde_json::to_string(backlog)?;
    batch.sql(sql)?.execute((
        of.0.as_bytes(),
        pim.0,
        first.0,
        backlog.until.0,
        reason,
        backlog.uncertain,
        size,
        body,
    ))?;
    Ok((size, removed))
}

/// Runs a statement that returns numbers; their sum and count.
fn sum(batch: &Batch<'_>, sql: &str, params: impl rusqlite::Params) -> Result<(u64, usize), Failure> {
    let mut statement = batch.sql(sql)?;
    let mut rows = statement.query(params)?;
    let (mut sum, mut count) = (0, 0);
    while let Some(row) = rows.next()? {
        sum += row.get::<_, u64>(0)?;
        count += 1;
    }
    Ok((sum, count))
}

/// Records the effects of a change on the history and the backlog of a subscription, before those on its lane.
pub(crate) fn remember(batch: &Batch<'_>, stamped: &Stamped, head: Position, cursor: Position) -> Result<(), Failure> {
    let Subscription { id, pim, status, revision, .. } = stamped.subscription;
    if status == SubscriptionStatus::Deleted {
        let sql = "DELETE FROM eras WHERE subscription = ?1 RETURNING CASE WHEN ends IS NULL THEN 0 ELSE size END";
        let (removed, _) = sum(batch, sql, (id.0.as_bytes(),))?;
        batch.sql("DELETE FROM outcome_counts WHERE subscription = ?1")?.execute((id.0.as_bytes(),))?;
        return keeping::count(batch, pim, 0, removed);
    }
    if let Some(era) = &stamped.era {
        begin(batch, id, pim, era.clone(), revision == 0)?;
    }
    if let Some(reason) = stamped.dropped {
        drop_by_change(batch, &stamped.subscription, reason, head, cursor)?;
    }
    Ok(())
}

/// What the ledger knows about a backlog dropped by a change.
fn drop_by_change(
    batch: &Batch<'_>,
    of: &Subscription,
    reason: DropReason,
    head: Position,
    from: Position,
) -> Result<(), Failure> {
    let sql = "SELECT position FROM exceptions WHERE subscription = ?1 ORDER BY position";
    let also: Vec<Position> =
        batch.sql(sql)?.query_map((of.id.0.as_bytes(),), |row| Ok(Position(row.get(0)?)))?.collect::<Result<_, _>>()?;
    if from >= head && also.is_empty() {
        return Ok(());
    }
    let at = of.updated_at;
    let backlog = DroppedBacklog { from, until: head, also, except: Vec::new(), reason, at, uncertain: true };
    add(batch, of.id, of.pim, &Facts { dropped: vec![backlog], ..Facts::default() })
}

/// Begins an era ([`History::push`]).
pub(crate) fn begin(
    batch: &Batch<'_>,
    of: SubscriptionId,
    pim: PimId,
    era: Era,
    creation: bool,
) -> Result<(), Failure> {
    let id = of.0.as_bytes();
    let sql = "SELECT begins, size, creation, body FROM eras WHERE subscription = ?1 ORDER BY begins DESC LIMIT 1";
    let last = batch
        .sql(sql)?
        .query_row((id,), |row| {
            Ok((Position(row.get(0)?), row.get::<_, u64>(1)?, row.get::<_, bool>(2)?, row.get::<_, String>(3)?))
        })
        .optional()?;
    let (mut era, mut creation, mut ended) = (era, creation, 0);
    if let Some((begins, size, is_creation, body)) = last {
        era = era.after(&serde_json::from_str(&body)?);
        if begins == era.from {
            creation = is_creation;
        } else {
            creation = false;
            let end = "UPDATE eras SET ends = ?3 WHERE subscription = ?1 AND begins = ?2";
            batch.sql(end)?.execute((id, begins.0, era.from.0))?;
            ended = size;
        }
    }
    let sql = "INSERT OR REPLACE INTO eras (subscription, begins, ends, pim, creation, size, body) \
               VALUES (?1, ?2, NULL, ?3, ?4, ?5, ?6)";
    batch.sql(sql)?.execute((id, era.from.0, pim.0, creation, era.size(), serde_json::to_string(&era)?))?;
    let over = "DELETE FROM eras WHERE subscription = ?1 AND begins IN (SELECT begins FROM eras \
                WHERE subscription = ?1 ORDER BY begins DESC LIMIT -1 OFFSET ?2) RETURNING size";
    let (removed, _) = sum(batch, over, (id, History::MAX_ERAS))?;
    keeping::count(batch, pim, ended, removed)
}

/// The position behind the oldest record of a PIM.
pub(super) fn oldest(batch: &Batch<'_>, pim: PimId) -> Result<Option<Position>, Failure> {
    let sql = "SELECT min(value) FROM (\
               SELECT min(position) + 1 AS value FROM given_up WHERE pim = ?1 UNION ALL \
               SELECT min(position) + 1 FROM delivered_late WHERE pim = ?1 UNION ALL \
               SELECT min(until) FROM dropped WHERE pim = ?1)";
    Ok(batch.sql(sql)?.query_row([pim.0], |row| row.get::<_, Option<u64>>(0))?.map(Position))
}

/// Deletes records about events before the first kept one, as far as the slice allows; whether that was all.
pub(super) fn sweep(batch: &Batch<'_>, keeping: &mut Keeping, slice: &mut Slice) -> Result<bool, Failure> {
    const TABLES: [&str; 5] = [
        "DELETE FROM given_up WHERE (subscription, position) IN (SELECT subscription, position FROM given_up \
         WHERE pim = ?1 AND position < ?2 ORDER BY position LIMIT ?3) RETURNING ?4",
        "DELETE FROM delivered_late WHERE (subscription, position) IN (SELECT subscription, position \
         FROM delivered_late WHERE pim = ?1 AND position < ?2 ORDER BY position LIMIT ?3) RETURNING ?4",
        "DELETE FROM dropped WHERE seq IN (SELECT seq FROM dropped WHERE pim = ?1 AND until <= ?2 \
         ORDER BY until LIMIT ?3) RETURNING size + 0 * ?4",
        "DELETE FROM eras WHERE (subscription, begins) IN (SELECT subscription, begins FROM eras WHERE pim = ?1 \
         AND ends IS NOT NULL AND ends <= ?2 ORDER BY ends LIMIT ?3) RETURNING size + 0 * ?4",
        // Segments count as soon as their events are kept.
        "DELETE FROM key_segments WHERE pim = ?1 AND first IN (SELECT first FROM key_segments WHERE pim = ?1 \
         AND first < ?2 AND until <= ?2 ORDER BY first LIMIT ?3) \
         RETURNING CASE WHEN until <= ?5 THEN ?6 * events + ?4 ELSE 0 END",
    ];
    const { assert!(size::GIVEN_UP == size::DELIVERED_LATE && size::GIVEN_UP == size::SEGMENT) };
    for (index, sql) in TABLES.iter().enumerate() {
        let (pim, from, floor) = (keeping.pim.0, keeping.from.0, keeping.floor.0);
        let (bytes, count) = if index == TABLES.len() - 1 {
            sum(batch, sql, (pim, from, slice.records, size::GIVEN_UP, floor, EVENT_BYTES))?
        } else {
            sum(batch, sql, (pim, from, slice.records, size::GIVEN_UP))?
        };
        keeping.bytes = keeping.bytes.saturating_sub(bytes);
        slice.records -= count;
        if slice.records == 0 {
            return Ok(false);
        }
    }
    keeping.swept = keeping.from;
    Ok(true)
}

/// Deletes old counts of outcomes, as far as the slice allows; whether that was all.
pub(super) fn prune_counts(batch: &Batch<'_>, now: ServiceHour, slice: &Slice) -> Result<bool, Failure> {
    let sql = "DELETE FROM outcome_counts WHERE (subscription, begins) IN (SELECT subscription, begins \
               FROM outcome_counts WHERE hour < ?1 ORDER BY hour LIMIT ?2)";
    Ok(batch.sql(sql)?.execute((now.0.saturating_sub(COUNTED_HOURS), slice.records))? < slice.records)
}
