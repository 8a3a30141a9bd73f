//! Records about events: eras, events given up, dropped backlogs, late deliveries, and counts of outcomes.

use domain::fate::{DropReason, DroppedBacklog, OutcomeCounts};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, Position, ServiceHour, SubscriptionId};
use store::kept::size;
use store::stamp::Stamped;
use store::{Era, Facts, History, Shard};
use tokio_postgres::Row;

use super::keeping::{self, Keeping, Slice};
use crate::args::{args, int, long, natural};
use crate::failure::Failure;
use crate::inner::{number, shard_of};
use crate::lines::Tx;

/// Hours of service for which counts of outcomes are stored.
const COUNTED_HOURS: u32 = 24;

/// Stores facts about a subscription's events.
pub(crate) async fn add(tx: &Tx, of: SubscriptionId, pim: PimId, facts: &Facts) -> Result<(), Failure> {
    if facts.is_empty() {
        return Ok(());
    }
    let (id, mut bytes, mut replaced) = (of.0, 0, 0);
    for given_up in &facts.given_up {
        let sql = "INSERT INTO given_up (subscription, position, pim, body) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (subscription, position) DO UPDATE SET body = excluded.body RETURNING xmax = 0";
        let body = serde_json::to_string(given_up)?;
        let row = tx.row(sql, args![id, long(given_up.position.0), int(pim.0), body]).await?;
        let is_new = row.is_some_and(|row| row.get(0));
        bytes += if is_new { size::GIVEN_UP } else { 0 };
    }
    for backlog in &facts.dropped {
        let (more, less) = drop_backlog(tx, of, pim, backlog).await?;
        (bytes, replaced) = (bytes + more, replaced + less);
    }
    if !facts.delivered_late.is_empty() {
        let positions: Vec<i64> = facts.delivered_late.iter().map(|position| long(position.0)).collect();
        let sql = "INSERT INTO delivered_late (subscription, position, pim) SELECT $1, p, $2 FROM unnest($3) AS p \
                   ON CONFLICT DO NOTHING";
        bytes += tx.execute(sql, args![id, int(pim.0), positions]).await? * size::DELIVERED_LATE;
    }
    for OutcomeCounts { from, delivered, failed, throttled } in &facts.counts {
        let sql = "INSERT INTO outcome_counts AS o (subscription, begins, shard, hour, delivered, failed, throttled) \
                   VALUES ($1, $2, $3, (SELECT service_hour FROM platform), $4, $5, $6) \
                   ON CONFLICT (subscription, begins) DO UPDATE SET delivered = o.delivered + $4, \
                   failed = o.failed + $5, throttled = o.throttled + $6";
        let (delivered, failed, throttled) = (long(*delivered), long(*failed), long(*throttled));
        tx.execute(sql, args![id, from.as_micros(), shard_of(pim), delivered, failed, throttled]).await?;
    }
    keeping::count(tx, pim, bytes, replaced).await
}

/// Stores a dropped backlog, which replaces an uncertain one with the same end and reason. Returns the bytes added and
/// removed.
async fn drop_backlog(
    tx: &Tx,
    of: SubscriptionId,
    pim: PimId,
    backlog: &DroppedBacklog,
) -> Result<(u64, u64), Failure> {
    let (reason, until) = (serde_json::to_string(&backlog.reason)?, long(backlog.until.0));
    let sql = "DELETE FROM dropped WHERE subscription = $1 AND until = $2 AND reason = $3 AND uncertain RETURNING size";
    let removed = sum(&tx.query(sql, args![of.0, until, reason]).await?);
    let sql = "INSERT INTO dropped (subscription, pim, first, until, reason, uncertain, size, body) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let size = size::dropped(backlog);
    let first = backlog.also.iter().copied().min().map_or(backlog.from, |first| first.min(backlog.from));
    let (first, body) = (long(first.0), serde_json::to_string(backlog)?);
    tx.execute(sql, args![of.0, int(pim.0), first, until, reason, backlog.uncertain, long(size), body]).await?;
    Ok((size, removed))
}

/// Sum of the numbers in the first column.
fn sum(rows: &[Row]) -> u64 {
    rows.iter().map(|row| natural(row.get(0))).sum()
}

/// Records the effects of a change on the history and the backlog of a subscription, before those on its lane.
pub(crate) async fn remember(tx: &Tx, stamped: &Stamped, head: Position, cursor: Position) -> Result<(), Failure> {
    let Subscription { id, pim, status, revision, .. } = stamped.subscription;
    if status == SubscriptionStatus::Deleted {
        let sql = "DELETE FROM eras WHERE subscription = $1 RETURNING CASE WHEN ends IS NULL THEN 0 ELSE size END";
        let removed = sum(&tx.query(sql, args![id.0]).await?);
        tx.execute("DELETE FROM outcome_counts WHERE subscription = $1", args![id.0]).await?;
        return keeping::count(tx, pim, 0, removed).await;
    }
    if let Some(era) = &stamped.era {
        begin(tx, id, pim, era.clone(), revision == 0).await?;
    }
    if let Some(reason) = stamped.dropped {
        drop_by_change(tx, &stamped.subscription, reason, head, cursor).await?;
    }
    Ok(())
}

/// What the ledger knows about a backlog dropped by a change.
async fn drop_by_change(
    tx: &Tx,
    of: &Subscription,
    reason: DropReason,
    head: Position,
    from: Position,
) -> Result<(), Failure> {
    let sql = "SELECT position FROM exceptions WHERE subscription = $1 ORDER BY position";
    let rows = tx.query(sql, args![of.id.0]).await?;
    let also: Vec<Position> = rows.iter().map(|row| Position(natural(row.get(0)))).collect();
    if from >= head && also.is_empty() {
        return Ok(());
    }
    let at = of.updated_at;
    let backlog = DroppedBacklog { from, until: head, also, except: Vec::new(), reason, at, uncertain: true };
    add(tx, of.id, of.pim, &Facts { dropped: vec![backlog], ..Facts::default() }).await
}

/// Begins an era ([`History::push`]).
async fn begin(tx: &Tx, of: SubscriptionId, pim: PimId, era: Era, creation: bool) -> Result<(), Failure> {
    let sql = "SELECT begins, size, creation, body FROM eras WHERE subscription = $1 ORDER BY begins DESC LIMIT 1";
    let (mut era, mut creation, mut ended) = (era, creation, 0);
    if let Some(row) = tx.row(sql, args![of.0]).await? {
        let begins = Position(natural(row.get(0)));
        era = era.after(&serde_json::from_str(row.get(3))?);
        if begins == era.from {
            creation = row.get(2);
        } else {
            creation = false;
            let end = "UPDATE eras SET ends = $3 WHERE subscription = $1 AND begins = $2";
            tx.execute(end, args![of.0, long(begins.0), long(era.from.0)]).await?;
            ended = natural(row.get(1));
        }
    }
    let sql = "INSERT INTO eras (subscription, begins, ends, pim, creation, size, body) \
               VALUES ($1, $2, NULL, $3, $4, $5, $6) ON CONFLICT (subscription, begins) DO UPDATE SET \
               ends = NULL, creation = excluded.creation, size = excluded.size, body = excluded.body";
    let (begins, size, body) = (long(era.from.0), long(era.size()), serde_json::to_string(&era)?);
    tx.execute(sql, args![of.0, begins, int(pim.0), creation, size, body]).await?;
    let over = "DELETE FROM eras WHERE subscription = $1 AND begins IN (SELECT begins FROM eras \
                WHERE subscription = $1 ORDER BY begins DESC OFFSET $2) RETURNING size";
    let removed = sum(&tx.query(over, args![of.0, History::MAX_ERAS as i64]).await?);
    keeping::count(tx, pim, ended, removed).await
}

/// The position behind the oldest record of a PIM.
pub(super) async fn oldest(tx: &Tx, pim: PimId) -> Result<Option<Position>, Failure> {
    let sql = "SELECT min(value) FROM (\
               SELECT min(position) + 1 AS value FROM given_up WHERE pim = $1 UNION ALL \
               SELECT min(position) + 1 FROM delivered_late WHERE pim = $1 UNION ALL \
               SELECT min(until) FROM dropped WHERE pim = $1) AS oldest";
    let row = tx.row(sql, args![int(pim.0)]).await?;
    Ok(row.and_then(|row| row.get::<_, Option<i64>>(0)).map(|value| Position(natural(value))))
}

/// Deletes records about events before the first kept one, as far as the slice allows; whether that was all.
pub(super) async fn sweep(tx: &Tx, keeping: &mut Keeping, slice: &mut Slice) -> Result<bool, Failure> {
    const { assert!(size::GIVEN_UP == size::DELIVERED_LATE) };
    let tables = [
        "DELETE FROM given_up WHERE (subscription, position) IN (SELECT subscription, position FROM given_up \
         WHERE pim = $1 AND position < $2 ORDER BY position LIMIT $3) RETURNING $4",
        "DELETE FROM delivered_late WHERE (subscription, position) IN (SELECT subscription, position \
         FROM delivered_late WHERE pim = $1 AND position < $2 ORDER BY position LIMIT $3) RETURNING $4",
        "DELETE FROM dropped WHERE seq IN (SELECT seq FROM dropped WHERE pim = $1 AND until <= $2 \
         ORDER BY until LIMIT $3) RETURNING size + 0 * $4",
        "DELETE FROM eras WHERE (subscription, begins) IN (SELECT subscription, begins FROM eras WHERE pim = $1 \
         AND ends IS NOT NULL AND ends <= $2 ORDER BY ends LIMIT $3) RETURNING size + 0 * $4",
    ];
    for sql in tables {
        let (pim, from) = (int(keeping.pim.0), long(keeping.from.0));
        let limit = i64::try_from(slice.records).unwrap_or(i64::MAX);
        let rows = tx.query(sql, args![pim, from, limit, long(size::GIVEN_UP)]).await?;
        keeping.bytes = keeping.bytes.saturating_sub(sum(&rows));
        slice.records -= rows.len();
        if slice.records == 0 {
            return Ok(false);
        }
    }
    keeping.swept = keeping.from;
    Ok(true)
}

/// Deletes a shard's old counts of outcomes, as far as the slice allows; whether that was all.
pub(super) async fn prune_counts(tx: &Tx, shard: Shard, now: ServiceHour, slice: &Slice) -> Result<bool, Failure> {
    let sql = "DELETE FROM outcome_counts WHERE (subscription, begins) IN (SELECT subscription, begins \
               FROM outcome_counts WHERE shard = $1 AND hour < $2 ORDER BY hour LIMIT $3)";
    let (before, limit) = (int(now.0.saturating_sub(COUNTED_HOURS)), i64::try_from(slice.records).unwrap_or(i64::MAX));
    Ok(tx.execute(sql, args![number(shard), before, limit]).await? < slice.records as u64)
}
