//! Finding kept events: newest first, with a bounded amount of work per call.
//!
//! The keys in segments preselect frames; the frames of events that are not in segments yet are read. Each event is
//! checked itself, so equal hashes cost time and no correctness.

use std::ops::Range;
use std::sync::Arc;

use domain::{LoggedEvent, PimId, Position, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};
use store::{KeptPage, KeptQuery, frame};

use super::keys::{Column, Wanted};
use super::{keeping, keys};
use crate::failure::Failure;

/// Bytes of frames read per call.
const FRAME_BYTES: usize = 16 << 20;
/// Segments read per call: 8 KiB each.
const SEGMENTS: usize = 4_096;

/// A search under way.
struct Search<'a> {
    connection: &'a Connection,
    pim: PimId,
    query: &'a KeptQuery,
    found: Vec<Arc<LoggedEvent>>,
    bytes: usize,
}

/// Why a search stops.
enum Stop {
    /// There is one event more than requested.
    Full,
    /// The work is done; it goes on before this position.
    Tired(Position),
}

pub(super) fn find(
    connection: &Connection,
    pim: PimId,
    query: &KeptQuery,
    head: Position,
) -> Result<KeptPage, Failure> {
    // One read snapshot.
    let transaction = connection.unchecked_transaction()?;
    let mut search = Search { connection: &transaction, pim, query, found: Vec::new(), bytes: 0 };
    let end = query.before.unwrap_or(head).min(head);
    let stop = search.run(keeping::of(&transaction, pim)?.from..end)?;
    let mut events = search.found;
    let next = match stop {
        None => None,
        Some(Stop::Tired(before)) => Some(before),
        Some(Stop::Full) => {
            events.truncate(query.limit);
            events.last().map(|event| event.position)
        }
    };
    Ok(KeptPage { events, next })
}

impl Search<'_> {
    fn run(&mut self, within: Range<Position>) -> Result<Option<Stop>, Failure> {
        if within.is_empty() || self.query.limit == 0 {
            return Ok(None);
        }
        let indexed = indexed_until(self.connection, self.pim)?.clamp(within.start, within.end);
        if let Some(stop) = self.frames(indexed..within.end)? {
            return Ok(Some(stop));
        }
        let wanted = Wanted::of(self.query);
        if wanted.is_none() && self.query.since.is_none() && self.query.until.is_none() {
            return self.frames(within.start..indexed);
        }
        self.segments(wanted.as_ref(), within.start..indexed)
    }

    /// Looks at the events of segments, newest first.
    fn segments(&mut self, wanted: Option<&Wanted>, within: Range<Position>) -> Result<Option<Stop>, Failure> {
        let sql = "SELECT first, until, earliest, latest FROM key_segments WHERE pim = ?1 AND first < ?2 \
                   ORDER BY first DESC";
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query((self.pim.0, within.end.0))?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            let (first, until) = (Position(row.get(0)?), Position(row.get(1)?));
            if until <= within.start {
                break;
            }
            if !overlaps(row, self.query)? {
                continue;
            }
            let range = first.max(within.start)..until.min(within.end);
            if read == SEGMENTS {
                return Ok(Some(Stop::Tired(range.end)));
            }
            let stop = match wanted {
                None => self.frames(range)?,
                Some(wanted) => {
                    read += 1;
                    self.hits(self.candidates(wanted, first)?, &range)?
                }
            };
            if stop.is_some() {
                return Ok(stop);
            }
        }
        Ok(None)
    }

    /// Positions of events in a segment that may match, ascending.
    fn candidates(&self, wanted: &Wanted, first: Position) -> Result<Vec<Position>, Failure> {
        let sql = "SELECT body FROM segment_keys WHERE pim = ?1 AND kind = ?2 AND first = ?3";
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query((self.pim.0, wanted.column as u8, first.0))?;
        let Some(row) = rows.next()? else { return Ok(Vec::new()) };
        let places = wanted.hits(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
        if places.is_empty() {
            return Ok(Vec::new());
        }
        drop(rows);
        let mut rows = select.query((self.pim.0, Column::Position as u8, first.0))?;
        let Some(row) = rows.next()? else { return Ok(Vec::new()) };
        Ok(keys::positions(first, row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?, &places))
    }

    /// Looks at the frames of hits, which are ascending.
    fn hits(&mut self, mut hits: Vec<Position>, within: &Range<Position>) -> Result<Option<Stop>, Failure> {
        hits.retain(|position| within.contains(position));
        let sql = "SELECT pos, body FROM frames WHERE pim = ?1 AND pos <= ?2 ORDER BY pos DESC LIMIT 1";
        let mut select = self.connection.prepare_cached(sql)?;
        while let Some(newest) = hits.last().copied() {
            let mut rows = select.query((self.pim.0, newest.0))?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let first = Position(row.get(0)?);
            if let Some(stop) = self.frame(row, within)? {
                return Ok(Some(stop));
            }
            hits.truncate(hits.partition_point(|position| *position < first));
        }
        Ok(None)
    }

    /// Looks at all frames of a range, newest first.
    fn frames(&mut self, within: Range<Position>) -> Result<Option<Stop>, Failure> {
        if within.is_empty() {
            return Ok(None);
        }
        let sql = "SELECT pos, body FROM frames WHERE pim = ?1 AND pos < ?2 AND pos >= coalesce(\
                   (SELECT pos FROM frames WHERE pim = ?1 AND pos <= ?3 ORDER BY pos DESC LIMIT 1), ?3) \
                   ORDER BY pos DESC";
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query((self.pim.0, within.end.0, within.start.0))?;
        while let Some(row) = rows.next()? {
            if let Some(stop) = self.frame(row, &within)? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    fn frame(&mut self, row: &Row<'_>, within: &Range<Position>) -> Result<Option<Stop>, Failure> {
        let first = Position(row.get(0)?);
        let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        for event in decode(self.pim, first, within.clone(), body)?.into_iter().rev() {
            if self.query.asks_for(&event) {
                self.found.push(event);
                if self.found.len() > self.query.limit {
                    return Ok(Some(Stop::Full));
                }
            }
        }
        self.bytes += body.len();
        let is_tired = self.bytes >= FRAME_BYTES && first > within.start;
        Ok(is_tired.then_some(Stop::Tired(first)))
    }
}

fn decode(pim: PimId, first: Position, within: Range<Position>, body: &[u8]) -> Result<Vec<Arc<LoggedEvent>>, Failure> {
    frame::decode(pim, first, within, body)
        .map_err(|error| Failure::Corrupt(format!("the events from position {first} on: {error}")))
}

/// Whether a segment may contain events of the query's time span.
fn overlaps(row: &Row<'_>, query: &KeptQuery) -> Result<bool, Failure> {
    let (earliest, latest) = (Timestamp::from_micros(row.get(2)?), Timestamp::from_micros(row.get(3)?));
    Ok(query.since.is_none_or(|since| latest >= since) && query.until.is_none_or(|until| earliest < until))
}

/// Events of the PIM before this position are in segments, as far as they are kept.
fn indexed_until(connection: &Connection, pim: PimId) -> Result<Position, Failure> {
    let sql = "SELECT until FROM key_segments WHERE pim = ?1 ORDER BY first DESC LIMIT 1";
    let until = connection.prepare_cached(sql)?.query_row([pim.0], |row| row.get(0)).optional()?;
    Ok(Position(until.unwrap_or_default()))
}

/// The first event of a PIM that is not deleted and whose history is known.
pub(super) fn oldest(connection: &Connection, pim: PimId) -> Result<Option<Timestamp>, Failure> {
    let from = keeping::of(connection, pim)?.from;
    let sql = "SELECT pos, body FROM frames WHERE pim = ?1 AND pos >= coalesce(\
               (SELECT pos FROM frames WHERE pim = ?1 AND pos <= ?2 ORDER BY pos DESC LIMIT 1), ?2) ORDER BY pos";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query((pim.0, from.0))?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let events = decode(pim, Position(row.get(0)?), from..Position(u64::MAX), body)?;
        if let Some(event) = events.first() {
            return Ok(Some(event.accepted_at));
        }
    }
    Ok(None)
}

/// Positions that contain all events accepted in a time span.
pub(super) fn positions(
    connection: &Connection,
    pim: PimId,
    accepted: &Range<Timestamp>,
    head: Position,
) -> Result<Range<Position>, Failure> {
    // One read snapshot.
    let transaction = connection.unchecked_transaction()?;
    let from = keeping::of(&transaction, pim)?.from;
    let indexed = indexed_until(&transaction, pim)?.clamp(from, head.max(from));
    // The few events that are not in segments yet are read.
    let span =
        KeptQuery { since: Some(accepted.start), until: Some(accepted.end), limit: usize::MAX, ..KeptQuery::default() };
    let mut search = Search { connection: &transaction, pim, query: &span, found: Vec::new(), bytes: 0 };
    let stop = search.frames(indexed..head)?;
    let newest = search.found.first().map(|event| event.position.next());
    let (oldest, newest) = match stop {
        // All that were not read may be in the span.
        Some(Stop::Tired(before)) => (Some(indexed), newest.max(Some(before))),
        Some(Stop::Full) => (Some(indexed), newest),
        None => (search.found.last().map(|event| event.position), newest),
    };
    let sql = "SELECT min(first), max(until) FROM key_segments WHERE pim = ?1 AND latest >= ?2 AND earliest < ?3 \
               AND until > ?4";
    let (first, until): (Option<u64>, Option<u64>) = transaction
        .prepare_cached(sql)?
        .query_row((pim.0, accepted.start.as_micros(), accepted.end.as_micros(), from.0), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let start = first.map(|first| Position(first).max(from)).or(oldest);
    let end = newest.max(until.map(Position));
    Ok(match (start, end) {
        (Some(start), Some(end)) => start..end,
        _ => Position::FIRST..Position::FIRST,
    })
}

#[cfg(test)]
mod tests {
    use domain::Event;
    use domain::event::EventParts;

    use super::*;
    use crate::database::Folder;

    /// Statements of a search read neither all PIMs nor all frames.
    #[test]
    fn a_search_reads_indexes() {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = Folder::open(folder.path()).and_then(|folder| folder.writer()).expect("a database");
        let check = |sql: &str, expect: &str| {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
            let steps: Vec<String> =
                plan.query_map([], |row| row.get(3)).and_then(|rows| rows.collect()).expect("a plan");
            assert!(steps.iter().any(|step| step.contains(expect)), "{sql}: {steps:?}");
            assert!(
                !steps.iter().any(|step| step.contains("SCAN") || step.contains("TEMP B-TREE")),
                "{sql}: {steps:?}"
            );
        };
        let by_pim = "SEARCH frames USING INDEX frames_by_pim (pim=? AND pos<?)";
        check("SELECT pos, body FROM frames WHERE pim = 1 AND pos <= 2 ORDER BY pos DESC LIMIT 1", by_pim);
        check(
            "SELECT first, until, earliest, latest FROM key_segments WHERE pim = 1 AND first < 2 ORDER BY first DESC",
            "SEARCH key_segments USING PRIMARY KEY (pim=? AND first<?)",
        );
        check(
            "SELECT body FROM segment_keys WHERE pim = 1 AND kind = 2 AND first = 3",
            "SEARCH segment_keys USING PRIMARY KEY (pim=? AND kind=? AND first=?)",
        );
    }
    /// Appends a frame of one event that was accepted at this second; its data has this size.
    fn append(connection: &Connection, position: Position, second: i64, size: usize) {
        let data = format!(r#"{{"text":"{}"}}"#, "x".repeat(size));
        let event = Event::new(EventParts {
            id: "event",
            event_type: "com.akeneo.pim.v1.product.updated",
            time: "2026-11-02T08:00:00Z",
            extensions: "",
            data: &data,
            product_identifier: None,
        });
        let accepted_at = Timestamp::from_micros(second * 1_000_000);
        let body = frame::encode(&[Arc::new(LoggedEvent { position, pim: PimId(1), accepted_at, event })]);
        let sql = "INSERT INTO frames (pos, pim, count, latest, hour, body) VALUES (?1, 1, 1, 0, 0, ?2)";
        connection.execute(sql, (position.0, body)).expect("a frame");
    }

    /// The search for a span stops before it has read all events that are not in segments yet: those that were not
    /// read may be in the span.
    #[test]
    fn a_span_behind_unread_events_is_contained() {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = Folder::open(folder.path()).and_then(|folder| folder.writer()).expect("a database");
        let of = |position: u64| Position(Position::FIRST.0 + position);
        for position in 0..4 {
            append(&connection, of(position), 10 * position as i64, FRAME_BYTES / 2);
        }
        let span =
            |from: i64, to: i64| Timestamp::from_micros(from * 1_000_000)..Timestamp::from_micros(to * 1_000_000);
        let found = positions(&connection, PimId(1), &span(5, 15), of(4)).expect("positions");
        assert!(found.contains(&of(1)), "{found:?}");
        let found = positions(&connection, PimId(1), &span(25, 35), of(4)).expect("positions");
        assert!(found.contains(&of(3)) && found.end == of(4), "{found:?}");
    }
}
