//! Partitions of the log and of known ids: the next one begins each hour of service, or when the current one is large;
//! one that nobody needs is dropped. Done by the owner of the first shard.

use std::time::Duration;

use domain::ServiceHour;
use store::{Tenure, TenureError};
use tokio::time::Instant;

use crate::args::{args, int, long, unsigned};
use crate::failure::Failure;
use crate::inner::Inner;
use crate::lines::{Lines, Tx};

/// Interval between looks.
const EVERY: Duration = Duration::from_secs(30);
/// An append that read the pointer before it was moved is over after this time, of the database's clock.
const SETTLED: &str = "10 minutes";
/// Longest wait for a lock that stops appends.
const LOCK_AT_MOST: &str = "1s";
/// Frames of an old partition that are moved at once, so that the rest can be dropped.
const MOVED: i64 = 512;

/// When the next look is due.
#[derive(Debug, Default)]
pub(crate) struct Due(parking_lot::Mutex<Option<Instant>>);

impl Due {
    /// Whether it is time; then the next one is later.
    fn now(&self) -> bool {
        let mut last = self.0.lock();
        let is_due = last.is_none_or(|last| last.elapsed() >= EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

/// Looks after the partitions if it is time. What fails is tried again later; it never stops a trim.
pub(crate) async fn tend(inner: &Inner, tenure: &Tenure) -> Result<(), TenureError> {
    if !inner.partitions.now() {
        return Ok(());
    }
    match tend_all(inner, tenure, SETTLED).await {
        Err(TenureError::Store(error)) => {
            tracing::warn!(%error, "could not look after the partitions of the log; trying again");
            Ok(())
        }
        other => other,
    }
}

/// Begins the next partition if it is time, and drops those that nobody needs.
pub(crate) async fn tend_all(inner: &Inner, tenure: &Tenure, settled: &str) -> Result<(), TenureError> {
    inner.believes(tenure)?;
    if is_full(inner).await? {
        let number = begin(&inner.changes).await?;
        let tx = inner.changes.begin().await?;
        let moved = point_to(&tx, inner, tenure, number).await;
        tx.end(moved).await?;
    }
    drop_old(inner, tenure, settled).await
}

/// Whether the current partition has had its hour, or is large.
async fn is_full(inner: &Inner) -> Result<bool, Failure> {
    let line = inner.changes.line().await?;
    let sql = "SELECT p.part, s.opened < p.service_hour FROM platform p JOIN part s ON s.number = p.part";
    let rows = line.query(sql, &[]).await?;
    let Some(row) = rows.first() else { return Err(Failure::Corrupt("there is no current partition".to_owned())) };
    let (number, is_old): (i32, bool) = (row.get(0), row.get(1));
    if is_old {
        return Ok(true);
    }
    let sql = format!("SELECT pg_total_relation_size('frames_{number}')");
    let rows = line.query(&sql, &[]).await?;
    Ok(rows.first().is_some_and(|row| row.get::<_, i64>(0) >= long(inner.part_bytes)))
}

/// Creates and attaches the next partition. Attaching an empty table that is known to fit takes no lock that appends
/// wait for.
async fn begin(lines: &Lines) -> Result<i32, Failure> {
    let line = lines.line().await?;
    let rows = line.query("SELECT max(number) + 1 FROM part", &[]).await?;
    let number: i32 = rows.first().map_or(1, |row| row.get(0));
    for table in ["frames", "ids"] {
        let name = format!("{table}_{number}");
        line.batch(&format!("CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING ALL, CHECK (part = {number}))"))
            .await?;
        let attached = "SELECT 1 FROM pg_inherits WHERE inhrelid = $1::text::regclass";
        if line.query(attached, args![name]).await?.is_empty() {
            line.batch(&format!(
                "BEGIN; SET LOCAL lock_timeout = '{LOCK_AT_MOST}'; \
                 ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES IN ({number}); COMMIT"
            ))
            .await?;
        }
    }
    Ok(number)
}

/// Moves the pointer that appends read.
async fn point_to(tx: &Tx, inner: &Inner, tenure: &Tenure, number: i32) -> Result<(), TenureError> {
    // Locked before the tenure: see the order in the schema.
    tx.query("SELECT 1 FROM platform FOR UPDATE", &[]).await?;
    inner.own(tx, tenure).await?;
    let close = "UPDATE part SET closed = p.service_hour, closed_at = now() FROM platform p \
                 WHERE number = p.part AND closed IS NULL";
    tx.execute(close, &[]).await?;
    let open = "INSERT INTO part (number, opened) SELECT $1, service_hour FROM platform";
    tx.execute(open, args![number]).await?;
    tx.execute("UPDATE platform SET part = $1", args![number]).await?;
    Ok(())
}

/// Drops partitions of ids that are older than the window, and those of frames that nobody needs.
async fn drop_old(inner: &Inner, tenure: &Tenure, settled: &str) -> Result<(), TenureError> {
    let line = inner.changes.line().await?;
    let sql = "SELECT number, closed, has_frames, has_ids, p.service_hour FROM part, platform p \
               WHERE number > 0 AND closed IS NOT NULL AND (has_frames OR has_ids) \
               AND closed_at < now() - $1::text::interval ORDER BY number";
    let closed = line.query(sql, args![settled]).await?;
    drop(line);
    for row in closed {
        let (number, closed): (i32, i32) = (row.get(0), row.get(1));
        let hour = ServiceHour(unsigned(row.get(4)));
        if row.get(3) && closed < int(hour.ago(inner.dedup_window).0) {
            remove(inner, "ids", number).await?;
        }
        if row.get(2) && is_obsolete(inner, tenure, number, closed, hour).await? {
            remove(inner, "frames", number).await?;
        }
    }
    Ok(())
}

/// Whether no frame of a partition is needed any more. The few that are needed of an old one are moved to where frames
/// are deleted by row, so that one lane that is held does not keep everybody's.
async fn is_obsolete(
    inner: &Inner,
    tenure: &Tenure,
    number: i32,
    closed: i32,
    hour: ServiceHour,
) -> Result<bool, TenureError> {
    let needed = format!(
        "FROM frames_{number} f LEFT JOIN keeping k ON k.pim = f.pim \
         WHERE f.pos + f.count > coalesce(least(k.floor, k.kept_from), 0)"
    );
    let line = inner.changes.line().await?;
    if line.query(&format!("SELECT 1 {needed} LIMIT 1"), &[]).await?.is_empty() {
        return Ok(true);
    }
    if closed >= int(inner.keep.oldest(hour).0) {
        return Ok(false);
    }
    let share = format!(
        "SELECT coalesce(sum(f.bytes), 0)::bigint, \
         (SELECT coalesce(sum(bytes), 1)::bigint FROM frames_{number}) {needed}"
    );
    let rows = line.query(&share, &[]).await?;
    drop(line);
    let is_little = rows.first().is_some_and(|row| row.get::<_, i64>(0) < row.get::<_, i64>(1) / 2);
    if !is_little {
        return Ok(false);
    }
    loop {
        // All owners read frames without a lock: a frame is always in one of both.
        let tx = inner.begin_owned(tenure).await?;
        let moving = format!(
            "WITH moved AS (DELETE FROM frames_{number} \
             WHERE (shard, pos) IN (SELECT f.shard, f.pos {needed} LIMIT $1) \
             RETURNING shard, pos, pim, count, hour, earliest, latest, bytes, keys, body) \
             INSERT INTO frames (part, shard, pos, pim, count, hour, earliest, latest, bytes, keys, body) \
             SELECT 0, shard, pos, pim, count, hour, earliest, latest, bytes, keys, body FROM moved"
        );
        let moved = tx.execute(&moving, args![MOVED]).await.map_err(TenureError::from);
        if tx.end(moved).await? == 0 {
            return Ok(true);
        }
    }
}

/// Detaches a partition while others read and write the rest, and drops it.
async fn remove(inner: &Inner, table: &str, number: i32) -> Result<(), Failure> {
    let line = inner.changes.line().await?;
    let name = format!("{table}_{number}");
    let state = "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass($1::text)";
    match line.query(state, args![name]).await?.first() {
        // It was interrupted.
        Some(row) if row.get(0) => line.batch(&format!("ALTER TABLE {table} DETACH PARTITION {name} FINALIZE")).await?,
        Some(_) => line.batch(&format!("ALTER TABLE {table} DETACH PARTITION {name} CONCURRENTLY")).await?,
        None => {}
    }
    line.batch(&format!("DROP TABLE IF EXISTS {name}")).await?;
    line.execute(&format!("UPDATE part SET has_{table} = FALSE WHERE number = $1"), args![number]).await?;
    tracing::debug!(table = %name, "dropped a partition of the log that nobody needs");
    Ok(())
}

#[cfg(test)]
mod tests;
