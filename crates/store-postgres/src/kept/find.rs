//! Finding kept events: newest first, with a bounded amount of work per call. The hashes beside a frame preselect; each
//! event is checked itself, so equal hashes cost time and no correctness.

use std::ops::Range;

use domain::{PimId, Position, Timestamp};
use store::{KeptPage, KeptQuery};

use crate::args::{args, int, long, natural};
use crate::event_log::decode;
use crate::failure::Failure;
use crate::hashes;
use crate::lines::Line;

/// Frames looked at by one statement, without their events.
const SCANNED: i64 = 20_000;
/// Frames with hits read by one statement.
const READ: i64 = 64;
/// Bytes of frames read per call.
const FRAME_BYTES: usize = 16 << 20;
/// Statements per call.
const STEPS: usize = 16;

/// Frames of a PIM that are not deleted and whose history is known, newest first: `$1` the PIM, `$2` the exclusive end.
/// `kept_from` may lie within a frame.
const KNOWN: &str = "FROM frames f LEFT JOIN keeping k ON k.pim = f.pim WHERE f.pim = $1 AND f.pos < $2 \
                     AND f.pos + f.count > coalesce(k.kept_from, 1) ";

pub(super) async fn find(line: &Line, pim: PimId, query: &KeptQuery) -> Result<KeptPage, Failure> {
    if query.limit == 0 {
        return Ok(KeptPage::default());
    }
    // Bodies are read of hits alone: those of all frames looked at would not fit into the server's `work_mem`.
    let sql = format!(
        "WITH known AS (SELECT f.shard, f.pos, f.part, f.count, f.keys, f.earliest, f.latest, \
         coalesce(k.kept_from, 1) AS since {KNOWN} ORDER BY f.pos DESC LIMIT $3), \
         hits AS (SELECT shard, pos, part, since FROM known WHERE latest >= $4 AND earliest < $5 \
         AND ($6 = '{{}}' OR keys && $6) AND ($7 = '{{}}' OR keys && $7) AND ($8 = '{{}}' OR keys && $8) \
         AND ($9 = '{{}}' OR keys && $9) ORDER BY pos DESC LIMIT $10) \
         SELECT (SELECT min(pos) FROM known), (SELECT count(*) FROM known), pos, f.body, since \
         FROM hits JOIN frames f USING (shard, pos, part) \
         UNION ALL SELECT min(pos), count(*), NULL, NULL, NULL FROM known ORDER BY pos DESC NULLS LAST"
    );
    let [types, ids, authors, entities] = hashes::wanted(query);
    let since = query.since.map_or(i64::MIN, Timestamp::as_micros);
    let until = query.until.map_or(i64::MAX, Timestamp::as_micros);
    let mut end = query.before.map_or(i64::MAX, |before| long(before.0));
    let mut page = KeptPage::default();
    let mut bytes = 0;
    for _ in 0..STEPS {
        let rows = line
            .query(&sql, args![int(pim.0), end, SCANNED, since, until, types, ids, authors, entities, READ])
            .await?;
        let (mut hits, mut first) = (0, end);
        for row in &rows {
            let Some(pos) = row.get::<_, Option<i64>>(2) else { continue };
            hits += 1;
            first = pos;
            let from = Position(natural(row.get(4)));
            let body: &[u8] = row.get(3);
            bytes += body.len();
            let events = decode(pim, Position(natural(pos)), from..Position(natural(end)), body)?;
            for event in events.into_iter().rev().filter(|event| query.asks_for(event)) {
                if page.events.len() == query.limit {
                    page.next = page.events.last().map(|event| event.position);
                    return Ok(page);
                }
                page.events.push(event);
            }
        }
        let Some(last) = rows.last() else { return Ok(page) };
        let (lowest, scanned): (Option<i64>, i64) = (last.get(0), last.get(1));
        let more_hits = hits == READ;
        let Some(lowest) = lowest.filter(|_| more_hits || scanned == SCANNED) else { return Ok(page) };
        // Frames with hits beyond those read come before the end of what was scanned.
        end = if more_hits { first } else { lowest };
        if bytes >= FRAME_BYTES {
            break;
        }
    }
    page.next = Some(Position(natural(end)));
    Ok(page)
}

/// The first event of a PIM that is not deleted and whose history is known.
pub(super) async fn oldest(line: &Line, pim: PimId) -> Result<Option<Timestamp>, Failure> {
    let sql = format!("SELECT f.pos, f.body, coalesce(k.kept_from, 1) {KNOWN} ORDER BY f.pos LIMIT 1");
    let rows = line.query(&sql, args![int(pim.0), i64::MAX]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let from = Position(natural(row.get(2)));
    let events = decode(pim, Position(natural(row.get(0))), from..Position(u64::MAX), row.get(1))?;
    Ok(events.first().map(|event| event.accepted_at))
}

/// Positions that contain all events accepted in a time span.
pub(super) async fn positions(
    line: &Line,
    pim: PimId,
    accepted: &Range<Timestamp>,
) -> Result<Range<Position>, Failure> {
    let sql = format!(
        "SELECT min(greatest(f.pos, coalesce(k.kept_from, 1))), max(f.pos + f.count) {KNOWN} AND f.latest >= $3 \
         AND f.earliest < $4"
    );
    let (start, end) = (accepted.start.as_micros(), accepted.end.as_micros());
    let rows = line.query(&sql, args![int(pim.0), i64::MAX, start, end]).await?;
    let span = rows.first().and_then(|row| Some((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)));
    Ok(span.map_or(Position::FIRST..Position::FIRST, |(start, end)| Position(natural(start))..Position(natural(end))))
}
