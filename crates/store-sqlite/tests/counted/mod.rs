//! The counters of kept events compared with what is stored.

use std::path::Path;

use rusqlite::Connection;

/// Approximate size of a record, as in `store::kept`.
const ROW: u64 = 100;

fn number(connection: &Connection, sql: &str, pim: u32) -> u64 {
    connection.query_row(sql, [pim], |row| row.get(0)).unwrap()
}

/// Panics unless the bytes counted per PIM are those of its frames before the floor, their segments, and its records,
/// and the keys in segments are those of the events. Returns the sum of bytes.
pub(crate) fn check(folder: &Path) -> u64 {
    let connection = Connection::open(folder.join("postrider.db")).unwrap();
    // One read snapshot.
    let connection = connection.unchecked_transaction().unwrap();
    let mut select = connection.prepare("SELECT pim, floor, kept_from, bytes FROM keeping").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    let mut total = 0;
    for row in rows {
        let (pim, floor, from, bytes): (u32, u64, u64, u64) = row.unwrap();
        let frames = format!("SELECT coalesce(sum(length(body)), 0) FROM frames WHERE pim = ?1 AND pos < {floor}");
        let segments = format!(
            "SELECT coalesce(sum(16 * events + {ROW}), 0) FROM key_segments WHERE pim = ?1 AND until <= {floor}"
        );
        let single = "SELECT (SELECT count(*) FROM given_up WHERE pim = ?1) \
                      + (SELECT count(*) FROM delivered_late WHERE pim = ?1)";
        let sizes = "SELECT (SELECT coalesce(sum(size), 0) FROM dropped WHERE pim = ?1) \
                     + (SELECT coalesce(sum(size), 0) FROM eras WHERE pim = ?1 AND ends IS NOT NULL)";
        let expect = number(&connection, &frames, pim)
            + number(&connection, &segments, pim)
            + ROW * number(&connection, single, pim)
            + number(&connection, sizes, pim);
        assert_eq!(bytes, expect, "bytes of PIM {pim}");
        total += bytes;
        let straddling =
            format!("SELECT count(*) FROM frames WHERE pim = ?1 AND pos < {floor} AND pos + count > {floor}");
        assert_eq!(number(&connection, &straddling, pim), 0, "PIM {pim}: a frame is kept or not");
        // Segments follow one another, and have a key for each event.
        let overlaps = "SELECT count(*) FROM key_segments AS one JOIN key_segments AS other ON one.pim = other.pim \
                        AND one.first < other.first AND one.until > other.first WHERE one.pim = ?1";
        assert_eq!(number(&connection, overlaps, pim), 0, "segments of PIM {pim} overlap");
        let keys = format!("SELECT coalesce(sum(events), 0) FROM key_segments WHERE pim = ?1 AND first >= {from}");
        let events = format!(
            "SELECT coalesce(sum(min(pos + count, (SELECT max(until) FROM key_segments WHERE pim = ?1)) \
             - max(pos, (SELECT min(first) FROM key_segments WHERE pim = ?1 AND first >= {from}))), 0) FROM frames \
             WHERE pim = ?1 AND pos + count > (SELECT min(first) FROM key_segments WHERE pim = ?1 AND first >= {from}) \
             AND pos < (SELECT max(until) FROM key_segments WHERE pim = ?1)"
        );
        assert_eq!(number(&connection, &keys, pim), number(&connection, &events, pim), "keys of PIM {pim}");
        let bodies = "SELECT coalesce(sum(length(body)), 0) FROM segment_keys WHERE pim = ?1";
        let all = "SELECT coalesce(sum(16 * events), 0) FROM key_segments WHERE pim = ?1";
        assert_eq!(number(&connection, bodies, pim), number(&connection, all, pim), "columns of PIM {pim}");
    }
    total
}
