//! Which frames are kept, and what is deleted. A frame is deleted by raising a number: it is not visible any more, and
//! its partition is dropped once nobody needs any of its frames.

use std::collections::HashMap;

use domain::{PimId, Position, ServiceHour};
use store::{KeepBounds, Shard};
use tokio_postgres::Row;

use super::records;
use crate::args::{args, int, long, natural, unsigned};
use crate::failure::Failure;
use crate::inner::{self, Inner, number, shard_of};
use crate::lines::Tx;

/// Frames that become kept in one transaction; only their index and numbers are read.
const RELEASED: i64 = 4_096;
/// Frames forgotten in one transaction, of each PIM.
const FORGOTTEN: i64 = 1_024;
/// Records deleted in one transaction.
const RECORDS: usize = 1_000;
/// Frames of a PIM forgotten at once, before the PIM that takes most is looked for again.
const STEP: i64 = 8;
/// Such steps of one transaction.
const STEPS: usize = 64;

/// What may still be done in a transaction.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) records: usize,
    steps: usize,
}

/// A row of the table, read and changed in one transaction of the shard's owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Keeping {
    pub(super) pim: PimId,
    /// Start of the first frame that is not kept.
    pub(super) floor: Position,
    /// Events before it were deleted, or count as such.
    pub(super) from: Position,
    /// Records about events before it were deleted.
    pub(super) swept: Position,
    pub(super) bytes: u64,
}

impl Keeping {
    /// Frames before it are gone.
    fn bound(&self) -> Position {
        self.floor.min(self.from)
    }
}

fn row(row: &Row) -> Keeping {
    let position = |column| Position(natural(row.get(column)));
    Keeping {
        pim: inner::pim(row, 0),
        floor: position(1),
        from: position(2),
        swept: position(3),
        bytes: natural(row.get(4)),
    }
}

async fn put(tx: &Tx, keeping: &Keeping) -> Result<(), Failure> {
    let Keeping { pim, floor, from, swept, bytes } = *keeping;
    let sql = "UPDATE keeping SET floor = $2, kept_from = $3, swept = $4, bytes = $5 WHERE pim = $1";
    tx.execute(sql, args![int(pim.0), long(floor.0), long(from.0), long(swept.0), long(bytes)]).await?;
    Ok(())
}

/// Counts bytes of records. The caller holds the progress of the PIM's shard.
pub(super) async fn count(tx: &Tx, pim: PimId, more: u64, less: u64) -> Result<(), Failure> {
    if more != less {
        let sql = "INSERT INTO keeping AS k (pim, shard, bytes) VALUES ($1, $2, greatest($3, 0)) \
                   ON CONFLICT (pim) DO UPDATE SET bytes = greatest(k.bytes + $3, 0)";
        let change = long(more) - long(less);
        tx.execute(sql, args![int(pim.0), shard_of(pim), change]).await?;
    }
    Ok(())
}

/// Result of a trim.
#[derive(Debug, Default)]
pub(crate) struct Trimmed {
    /// Events deleted, and more if something else is left to do. 0: nothing is left.
    pub(crate) handled: u64,
    /// Bytes that are no backlog any more.
    pub(crate) released: Vec<(PimId, u64)>,
}

/// A frame, without its events.
struct Frame {
    pos: u64,
    count: u64,
    bytes: u64,
}

impl Frame {
    fn end(&self) -> Position {
        Position(self.pos + self.count)
    }
}

/// Applies floors and bounds to the PIMs of a shard.
pub(crate) async fn trim(
    tx: &Tx,
    inner: &Inner,
    shard: Shard,
    floors: &HashMap<PimId, Position>,
    rest: Position,
) -> Result<Trimmed, Failure> {
    let keep = inner.keep;
    let sql = "SELECT h.pos, p.service_hour FROM head h, platform p WHERE h.shard = $1";
    let here = tx.row(sql, args![number(shard)]).await?;
    let here = here.ok_or_else(|| Failure::Corrupt("a shard has no head".to_owned()))?;
    let (head, hour) = (Position(natural(here.get(0))), ServiceHour(unsigned(here.get(1))));
    let began = began(tx, shard, keep.oldest(hour)).await?.unwrap_or(head);
    let sql = "SELECT pim, floor, kept_from, swept, bytes FROM keeping WHERE shard = $1 ORDER BY pim";
    let mut rows: Vec<Keeping> = tx.query(sql, args![number(shard)]).await?.iter().map(row).collect();
    let before = rows.clone();
    let to = |pim: PimId| floors.get(&pim).copied().unwrap_or(rest).min(head);
    let mut trimmed = Trimmed::default();
    let mut slice = Slice { records: RECORDS, steps: STEPS };

    let ranges: Vec<_> = rows.iter().map(|of| (of.pim, of.floor, to(of.pim))).collect();
    let mut found = frames(tx, &ranges, RELEASED).await?;
    for keeping in &mut rows {
        let frames = found.remove(&keeping.pim).unwrap_or_default();
        // A frame is backlog as long as one of its events is needed.
        let frames: Vec<_> = frames.into_iter().filter(|frame| frame.end() <= to(keeping.pim)).collect();
        let Some(end) = frames.last().map(Frame::end) else { continue };
        let bytes: u64 = frames.iter().map(|frame| frame.bytes).sum();
        trimmed.released.push((keeping.pim, bytes));
        keeping.floor = end;
        keeping.bytes += bytes;
        trimmed.handled += if keep.keep_any() { frames.len() as u64 } else { 0 };
    }
    let target = |of: &Keeping| if keep.keep_any() { began.min(of.floor) } else { of.floor }.max(of.from);
    let ranges: Vec<_> = rows.iter().map(|of| (of.pim, of.bound(), target(of).min(of.floor))).collect();
    let mut found = frames(tx, &ranges, FORGOTTEN).await?;
    for keeping in &mut rows {
        let frames = found.remove(&keeping.pim).unwrap_or_default();
        let to = target(keeping);
        trimmed.handled += forget(tx, keeping, to, frames, FORGOTTEN, &mut slice).await?;
    }
    for (keeping, before) in rows.iter().zip(&before) {
        if keeping != before {
            put(tx, keeping).await?;
        }
    }
    if keep.keep_any() {
        trimmed.handled += shed(tx, shard, &mut rows, keep, &mut slice).await?;
    }
    let is_all = slice.records > 0 && records::prune_counts(tx, shard, hour, &slice).await?;
    trimmed.handled += u64::from(!is_all);
    publish(tx, shard, &rows, head).await?;
    Ok(trimmed)
}

/// Head of the log when an hour of service began; `None` if nothing was accepted since.
async fn began(tx: &Tx, shard: Shard, hour: ServiceHour) -> Result<Option<Position>, Failure> {
    let sql = "SELECT pos FROM hours WHERE shard = $1 AND hour >= $2 ORDER BY hour LIMIT 1";
    Ok(tx.row(sql, args![number(shard), int(hour.0)]).await?.map(|row| Position(natural(row.get(0)))))
}

/// The first frames of PIMs that begin in ranges, or reach into them, in order.
async fn frames(
    tx: &Tx,
    ranges: &[(PimId, Position, Position)],
    at_most: i64,
) -> Result<HashMap<PimId, Vec<Frame>>, Failure> {
    let ranges: Vec<_> = ranges.iter().filter(|(_, from, to)| from < to).collect();
    if ranges.is_empty() {
        return Ok(HashMap::new());
    }
    let pims: Vec<i32> = ranges.iter().map(|(pim, ..)| int(pim.0)).collect();
    let from: Vec<i64> = ranges.iter().map(|(_, from, _)| long(from.0)).collect();
    let to: Vec<i64> = ranges.iter().map(|(.., to)| long(to.0)).collect();
    let sql = "SELECT f.pim, f.pos, f.count, f.bytes FROM unnest($1, $2, $3) AS r (pim, since, until) \
               CROSS JOIN LATERAL (SELECT pim, pos, count, bytes FROM frames WHERE pim = r.pim \
               AND pos > r.since - 256 AND pos + count > r.since AND pos < r.until ORDER BY pos LIMIT $4) AS f \
               ORDER BY f.pim, f.pos";
    const { assert!(store::frame::MAX_EVENTS == 256) };
    let mut found: HashMap<PimId, Vec<Frame>> = HashMap::new();
    for row in tx.query(sql, args![pims, from, to, at_most]).await? {
        let frame = Frame {
            pos: natural(row.get(1)),
            count: u64::from(unsigned(row.get(2))),
            bytes: u64::from(unsigned(row.get(3))),
        };
        found.entry(inner::pim(&row, 0)).or_default().push(frame);
    }
    Ok(found)
}

/// Forgets what is known of a PIM before a position; frames that a lane needs stay. `frames` are its oldest, at most
/// `limit`. Returns the number of events.
async fn forget(
    tx: &Tx,
    keeping: &mut Keeping,
    to: Position,
    frames: Vec<Frame>,
    limit: i64,
    slice: &mut Slice,
) -> Result<u64, Failure> {
    let to = to.max(keeping.from);
    let end = to.min(keeping.floor);
    let is_all = (frames.len() as i64) < limit;
    let mut deleted = 0;
    for frame in frames.iter().filter(|frame| frame.end() <= end) {
        deleted += frame.count;
        keeping.bytes = keeping.bytes.saturating_sub(frame.bytes);
        keeping.from = keeping.from.max(frame.end());
    }
    if is_all {
        keeping.from = to;
    }
    if deleted > 0 {
        // Those that outlived their partition go by row.
        let sql = "DELETE FROM frames WHERE part = 0 AND pim = $1 AND pos + count <= $2";
        tx.execute(sql, args![int(keeping.pim.0), long(keeping.bound().0)]).await?;
    }
    if keeping.swept < keeping.from {
        // Another call goes on.
        deleted += u64::from(slice.records == 0 || !records::sweep(tx, keeping, slice).await?);
    }
    Ok(deleted)
}

/// Forgets the oldest of the PIM with the most bytes until all fit. Where that is a PIM of another shard, its owner
/// does.
async fn shed(
    tx: &Tx,
    shard: Shard,
    rows: &mut [Keeping],
    keep: KeepBounds,
    slice: &mut Slice,
) -> Result<u64, Failure> {
    let sql = "SELECT coalesce(sum(bytes), 0)::bigint, coalesce(max(bytes), 0) FROM keeping WHERE shard <> $1";
    let others = tx.row(sql, args![number(shard)]).await?;
    let (others, most_of_others) = others.map_or((0, 0), |row| (natural(row.get(0)), natural(row.get(1))));
    let mut total = others + rows.iter().map(|of| of.bytes).sum::<u64>();
    let (mut deleted, mut stuck) = (0, Vec::new());
    while total > keep.bytes && slice.steps > 0 && slice.records > 0 {
        let ours = rows.iter_mut().filter(|of| !stuck.contains(&of.pim));
        let Some(most) = ours.max_by_key(|of| of.bytes).filter(|of| of.bytes >= most_of_others) else { break };
        let before = *most;
        slice.steps -= 1;
        deleted += shed_of(tx, most, total - keep.bytes, slice).await?;
        if *most == before {
            stuck.push(most.pim);
        } else {
            put(tx, most).await?;
        }
        total = (total + most.bytes).saturating_sub(before.bytes);
    }
    Ok(deleted)
}

/// Forgets the oldest frames of a PIM, up to this many bytes; without one, the oldest records.
async fn shed_of(tx: &Tx, keeping: &mut Keeping, bytes: u64, slice: &mut Slice) -> Result<u64, Failure> {
    let ranges = [(keeping.pim, keeping.bound(), keeping.floor)];
    let frames = frames(tx, &ranges, STEP).await?.remove(&keeping.pim).unwrap_or_default();
    let mut to = if frames.is_empty() { records::oldest(tx, keeping.pim).await? } else { None };
    let mut so_far = 0;
    for frame in frames.iter().filter(|frame| frame.end() <= keeping.floor) {
        if so_far < bytes {
            so_far += frame.bytes;
            to = Some(frame.end());
        }
    }
    match to {
        Some(to) => forget(tx, keeping, to, frames, i64::MAX, slice).await,
        None => Ok(0),
    }
}

/// Says from where on frames of the shard are needed.
async fn publish(tx: &Tx, shard: Shard, rows: &[Keeping], head: Position) -> Result<(), Failure> {
    let first = rows.iter().map(Keeping::bound).min().unwrap_or(head).min(head);
    let sql = "UPDATE progress SET floors = $2 WHERE shard = $1 AND floors <> $2";
    // A frame may reach beyond it.
    let first = first.0.saturating_sub(store::frame::MAX_EVENTS as u64);
    tx.execute(sql, args![number(shard), long(first)]).await?;
    Ok(())
}
