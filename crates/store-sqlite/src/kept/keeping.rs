//! Which frames are kept, and what is deleted, in slices of the writer's transactions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{PimId, Position};
use rusqlite::{Connection, OptionalExtension};
use store::KeepBounds;
use store::kept::size;

use super::keys::{COLUMNS as KEY_COLUMNS, EVENT_BYTES, Segment};
use super::records;
use crate::batch::Batch;
use crate::event_log::first_since;
use crate::failure::Failure;

/// Frames deleted in one transaction: at most about 8 MB, so that appends wait a few milliseconds.
const FRAMES: usize = 128;
/// Frames that become kept in one transaction; only their index is read.
const RELEASED: usize = 8_192;
/// Records deleted in one transaction.
const RECORDS: usize = 1_000;
/// Frames of a PIM deleted at once, before the PIM that takes most is looked for again.
const STEP: usize = 8;
/// Frames deleted by one append on a nearly full disk.
const FRAMES_FOR_ROOM: usize = 1_024;

/// What may still be done in a transaction.
#[derive(Debug)]
pub(super) struct Slice {
    frames: usize,
    released: usize,
    pub(super) records: usize,
    /// Records of backlog are not deleted to make room.
    only_frames: bool,
}

impl Slice {
    fn new() -> Slice {
        Slice { frames: FRAMES, released: RELEASED, records: RECORDS, only_frames: false }
    }
}

/// A row of the table, read and changed in one transaction.
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

const COLUMNS: &str = "pim, floor, kept_from, swept, bytes";

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Keeping> {
    Ok(Keeping {
        pim: PimId(row.get(0)?),
        floor: Position(row.get(1)?),
        from: Position(row.get(2)?),
        swept: Position(row.get(3)?),
        bytes: row.get(4)?,
    })
}

/// The row of a PIM.
pub(super) fn of(connection: &Connection, pim: PimId) -> Result<Keeping, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM keeping WHERE pim = ?1");
    if let Some(keeping) = connection.prepare_cached(&sql)?.query_row([pim.0], row).optional()? {
        return Ok(keeping);
    }
    let since = "SELECT value FROM meta WHERE name = 'kept_since'";
    let since = Position(connection.prepare_cached(since)?.query_row([], |row| row.get(0))?);
    Ok(Keeping { pim, floor: Position::default(), from: since, swept: since, bytes: 0 })
}

fn all(connection: &Connection) -> Result<Vec<Keeping>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM keeping");
    Ok(connection.prepare_cached(&sql)?.query_map([], row)?.collect::<Result<_, _>>()?)
}

fn put(batch: &Batch<'_>, keeping: &Keeping) -> Result<(), Failure> {
    let Keeping { pim, floor, from, swept, bytes } = *keeping;
    let sql = format!("INSERT OR REPLACE INTO keeping ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)");
    batch.sql(&sql)?.execute((pim.0, floor.0, from.0, swept.0, bytes))?;
    Ok(())
}

/// Bytes of everything that is kept.
pub(crate) fn total(connection: &Connection) -> Result<u64, Failure> {
    let sql = "SELECT coalesce(sum(bytes), 0) FROM keeping";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Counts bytes of records.
pub(super) fn count(batch: &Batch<'_>, pim: PimId, more: u64, less: u64) -> Result<(), Failure> {
    if more != less {
        let mut keeping = of(batch.connection(), pim)?;
        keeping.bytes = (keeping.bytes + more).saturating_sub(less);
        put(batch, &keeping)?;
    }
    Ok(())
}

/// PIMs with frames: each step is one index lookup.
pub(crate) fn pims(connection: &Connection) -> Result<Vec<PimId>, Failure> {
    let mut next = connection.prepare_cached("SELECT min(pim) FROM frames WHERE pim > ?1")?;
    let (mut pims, mut after) = (Vec::new(), -1);
    while let Some(pim) = next.query_row([after], |row| row.get::<_, Option<i64>>(0))? {
        after = pim;
        pims.push(PimId(u32::try_from(pim).unwrap_or(u32::MAX)));
    }
    Ok(pims)
}

/// Floor of a PIM: the start of its backlog.
pub(crate) fn floor(connection: &Connection, pim: PimId) -> Result<Position, Failure> {
    Ok(of(connection, pim)?.floor)
}

/// Applies floors and bounds; returns the number of deleted events, more if something else is left to do. 0: nothing is
/// left.
pub(crate) fn trim(
    batch: &mut Batch<'_>,
    floors: &HashMap<PimId, Position>,
    rest: Position,
    keep: KeepBounds,
) -> Result<u64, Failure> {
    let head = batch.head()?;
    let hour = batch.hour()?;
    let began = first_since(batch.connection(), keep.oldest(hour), head)?;
    let (mut slice, mut handled) = (Slice::new(), 0);
    let mut rows: BTreeMap<PimId, Keeping> =
        all(batch.connection())?.into_iter().map(|keeping| (keeping.pim, keeping)).collect();
    let known: BTreeSet<PimId> = rows.keys().copied().collect();
    for pim in pims(batch.connection())? {
        if !known.contains(&pim) {
            rows.insert(pim, of(batch.connection(), pim)?);
        }
    }
    for keeping in rows.values_mut() {
        let before = *keeping;
        let floor = floors.get(&keeping.pim).copied().unwrap_or(rest).min(head);
        let released = release(batch, keeping, floor, &mut slice)?;
        let from = if keep.keep_any() { began.min(keeping.floor) } else { keeping.floor };
        handled += forget(batch, keeping, from, &mut slice)? + if keep.keep_any() { released } else { 0 };
        if *keeping != before {
            put(batch, keeping)?;
        }
    }
    if keep.keep_any() {
        handled += shed(batch, &mut rows, keep.bytes, &mut slice)?;
    }
    let is_all = slice.records > 0 && records::prune_counts(batch, hour, &slice)?;
    Ok(handled + u64::from(!is_all))
}

/// Raises the floor over frames that no lane needs.
fn release(batch: &mut Batch<'_>, keeping: &mut Keeping, to: Position, slice: &mut Slice) -> Result<u64, Failure> {
    if to <= keeping.floor || slice.released == 0 {
        return Ok(0);
    }
    let sql = "SELECT pos, length(body) FROM frames WHERE pim = ?1 AND pos >= ?2 AND pos < ?3 ORDER BY pos LIMIT ?4";
    let mut frames: Vec<(u64, u64)> = batch
        .sql(sql)?
        .query_map((keeping.pim.0, keeping.floor.0, to.0, slice.released), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let Some(&(last, _)) = frames.last() else { return Ok(0) };
    let count = batch.sql("SELECT count FROM frames WHERE pos = ?1")?.query_row([last], |row| row.get::<_, u64>(0))?;
    let mut end = last + count;
    if end > to.0 {
        // A frame is backlog as long as one of its events is needed.
        frames.pop();
        end = last;
    }
    if frames.is_empty() {
        return Ok(0);
    }
    let bytes: u64 = frames.iter().map(|(_, bytes)| bytes).sum();
    batch.trimmed(keeping.pim, bytes);
    let before = std::mem::replace(&mut keeping.floor, Position(end));
    keeping.bytes += bytes + segment_bytes(batch, keeping.pim, before, keeping.floor)?;
    slice.released -= frames.len();
    Ok(frames.len() as u64)
}

/// Bytes of the segments that end behind `after` and not behind `until`.
fn segment_bytes(batch: &Batch<'_>, pim: PimId, after: Position, until: Position) -> Result<u64, Failure> {
    let sql = "SELECT coalesce(sum(?5 * events + ?4), 0) FROM key_segments WHERE pim = ?1 AND first >= coalesce(\
               (SELECT first FROM key_segments WHERE pim = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1), 0) \
               AND first < ?3 AND until > ?2 AND until <= ?3";
    Ok(batch.sql(sql)?.query_row((pim.0, after.0, until.0, size::SEGMENT, EVENT_BYTES), |row| row.get(0))?)
}

/// Stores a segment, unless its events are gone.
pub(super) fn put_segment(batch: &Batch<'_>, segment: &Segment) -> Result<(), Failure> {
    let Segment { pim, first, until, earliest, latest, keys, .. } = segment;
    let (keeping, events) = (of(batch.connection(), *pim)?, segment.events() as u64);
    if *until <= keeping.from {
        return Ok(());
    }
    let sql = "INSERT INTO key_segments (pim, first, until, events, earliest, latest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    batch.sql(sql)?.execute((pim.0, first.0, until.0, events, earliest.as_micros(), latest.as_micros()))?;
    for (column, keys) in KEY_COLUMNS.into_iter().zip(keys) {
        let sql = "INSERT INTO segment_keys (pim, kind, first, body) VALUES (?1, ?2, ?3, ?4)";
        batch.sql(sql)?.execute((pim.0, column as u8, first.0, keys))?;
    }
    let bytes = if *until <= keeping.floor { events * EVENT_BYTES + size::SEGMENT } else { 0 };
    count(batch, *pim, bytes, 0)
}

/// Deletes what is known of a PIM before a position; frames that a lane needs stay. Returns the number of events.
fn forget(batch: &mut Batch<'_>, keeping: &mut Keeping, to: Position, slice: &mut Slice) -> Result<u64, Failure> {
    let to = to.max(keeping.from);
    let end = to.min(keeping.floor);
    let mut deleted = 0;
    let frames = oldest_frames(batch, keeping.pim, end, slice.frames)?;
    let is_all = frames.len() < slice.frames;
    for frame in frames.iter().filter(|frame| frame.end() <= end) {
        deleted += frame.count;
        slice.frames -= 1;
        delete(batch, keeping, frame)?;
    }
    if is_all {
        keeping.from = to;
    }
    if keeping.swept < keeping.from {
        // Another call goes on.
        deleted += u64::from(slice.records == 0 || !records::sweep(batch, keeping, slice)?);
    }
    Ok(deleted)
}

/// A frame to be deleted.
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

fn oldest_frames(batch: &Batch<'_>, pim: PimId, before: Position, limit: usize) -> Result<Vec<Frame>, Failure> {
    let sql = "SELECT pos, count, length(body) FROM frames WHERE pim = ?1 AND pos < ?2 ORDER BY pos LIMIT ?3";
    let frame = |row: &rusqlite::Row<'_>| Ok(Frame { pos: row.get(0)?, count: row.get(1)?, bytes: row.get(2)? });
    Ok(batch.sql(sql)?.query_map((pim.0, before.0, limit), frame)?.collect::<Result<_, _>>()?)
}

fn delete(batch: &mut Batch<'_>, keeping: &mut Keeping, frame: &Frame) -> Result<(), Failure> {
    batch.keep_head()?;
    batch.sql("DELETE FROM frames WHERE pos = ?1")?.execute([frame.pos])?;
    keeping.bytes = keeping.bytes.saturating_sub(frame.bytes);
    keeping.from = keeping.from.max(frame.end());
    Ok(())
}

/// Deletes the oldest of the PIM with the most bytes until all fit.
fn shed(
    batch: &mut Batch<'_>,
    rows: &mut BTreeMap<PimId, Keeping>,
    bound: u64,
    slice: &mut Slice,
) -> Result<u64, Failure> {
    let mut total: u64 = rows.values().map(|keeping| keeping.bytes).sum();
    let (mut deleted, mut stuck) = (0, BTreeSet::new());
    while total > bound && slice.frames > 0 && slice.records > 0 {
        let others = rows.values_mut().filter(|keeping| !stuck.contains(&keeping.pim));
        let Some(keeping) = others.max_by_key(|keeping| keeping.bytes) else { break };
        let before = *keeping;
        deleted += shed_of(batch, keeping, total - bound, slice)?;
        if *keeping == before {
            stuck.insert(keeping.pim);
        } else {
            put(batch, keeping)?;
        }
        total = (total + keeping.bytes).saturating_sub(before.bytes);
    }
    Ok(deleted)
}

/// Deletes the oldest frames of a PIM, up to this many bytes; without one, the oldest records if allowed.
fn shed_of(batch: &mut Batch<'_>, keeping: &mut Keeping, bytes: u64, slice: &mut Slice) -> Result<u64, Failure> {
    let frames = oldest_frames(batch, keeping.pim, keeping.floor, STEP.min(slice.frames))?;
    let mut to = None;
    if frames.is_empty() && !slice.only_frames {
        to = records::oldest(batch, keeping.pim)?;
    }
    let mut so_far = 0;
    for frame in frames.iter().filter(|frame| frame.end() <= keeping.floor) {
        if so_far < bytes {
            so_far += frame.bytes;
            to = Some(frame.end());
        }
    }
    match to {
        Some(to) => forget(batch, keeping, to, slice),
        None => Ok(0),
    }
}

/// On a nearly full disk: deletes kept frames until the file has this many bytes of free pages, or none is kept.
pub(crate) fn make_room(batch: &mut Batch<'_>, bytes: u64) -> Result<(), Failure> {
    let mut slice = Slice { frames: FRAMES_FOR_ROOM, released: 0, records: RECORDS, only_frames: true };
    let mut rows: BTreeMap<PimId, Keeping> =
        all(batch.connection())?.into_iter().map(|keeping| (keeping.pim, keeping)).collect();
    while free_pages(batch.connection())? < bytes && slice.frames > 0 {
        let total: u64 = rows.values().map(|keeping| keeping.bytes).sum();
        if shed(batch, &mut rows, total.saturating_sub(1 << 16), &mut slice)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Bytes of free pages in the file, which are used before it grows.
pub(crate) fn free_pages(connection: &Connection) -> Result<u64, Failure> {
    let number =
        |sql: &str| -> Result<u64, Failure> { Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?) };
    Ok(number("PRAGMA freelist_count")? * number("PRAGMA page_size")?)
}
