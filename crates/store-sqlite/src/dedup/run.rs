//! A sorted run of known ids on disk.

use domain::ServiceHour;
use rusqlite::{Connection, OptionalExtension};

use super::filter::Filter;
use super::{ENTRY_LEN, Entry, Key};
use crate::failure::Failure;

/// Entries per block, so that one row fills a page of 8 KiB.
const BLOCK_ENTRIES: usize = 400;
/// Number of low bits of a block's row id below the run's id.
const BLOCK_BITS: u32 = 20;

/// In-memory part of a run.
#[derive(Debug)]
pub(super) struct Run {
    id: i64,
    newest: ServiceHour,
    /// First key of each block.
    fences: Vec<Key>,
    filter: Option<Filter>,
}

impl Run {
    pub(super) fn load_all(connection: &Connection) -> Result<Vec<Run>, Failure> {
        let mut statement = connection.prepare("SELECT run, newest, fences, filter FROM dedup_runs ORDER BY run")?;
        let mut rows = statement.query([])?;
        let mut runs = Vec::new();
        while let Some(row) = rows.next()? {
            let fences = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            let fences = fences.as_chunks::<16>().0.iter().map(|fence| Key(u128::from_be_bytes(*fence))).collect();
            let filter = Filter::from_bytes(row.get(3)?);
            runs.push(Run { id: row.get(0)?, newest: ServiceHour(row.get(1)?), fences, filter });
        }
        Ok(runs)
    }

    /// Writes sorted entries.
    pub(super) fn write(connection: &Connection, id: i64, entries: &[Entry]) -> Result<Run, Failure> {
        let newest = entries.iter().map(|entry| entry.hour).max().unwrap_or_default();
        let filter = Filter::of(entries.iter().map(|entry| entry.key));
        let mut fences = Vec::new();
        let mut insert = connection.prepare_cached("INSERT INTO dedup_blocks (id, keys) VALUES (?1, ?2)")?;
        for (number, block) in entries.chunks(BLOCK_ENTRIES).enumerate() {
            fences.extend(block.first().map(|entry| entry.key));
            let mut keys = Vec::with_capacity(block.len() * ENTRY_LEN);
            for entry in block {
                entry.write(&mut keys);
            }
            insert.execute(((id << BLOCK_BITS) + number as i64, keys))?;
        }
        let fence_bytes: Vec<u8> = fences.iter().flat_map(|fence| fence.0.to_be_bytes()).collect();
        let sql = "INSERT INTO dedup_runs (run, newest, fences, filter) VALUES (?1, ?2, ?3, ?4)";
        connection.execute(sql, (id, newest.0, fence_bytes, filter.bytes()))?;
        Ok(Run { id, newest, fences, filter: Some(filter) })
    }

    pub(super) fn delete(connection: &Connection, id: i64) -> Result<(), Failure> {
        connection.execute("DELETE FROM dedup_runs WHERE run = ?1", [id])?;
        let blocks = (id << BLOCK_BITS, (id + 1) << BLOCK_BITS);
        connection.execute("DELETE FROM dedup_blocks WHERE id >= ?1 AND id < ?2", blocks)?;
        Ok(())
    }

    pub(super) fn id(&self) -> i64 {
        self.id
    }

    pub(super) fn newest(&self) -> ServiceHour {
        self.newest
    }

    pub(super) fn filter_bytes(&self) -> usize {
        self.filter.as_ref().map_or(0, |filter| filter.bytes().len())
    }

    pub(super) fn drop_filter(&mut self) {
        self.filter = None;
    }

    /// Hour of the id's acceptance, if it is in the run.
    pub(super) fn find(&self, connection: &Connection, key: Key) -> Result<Option<ServiceHour>, Failure> {
        if self.filter.as_ref().is_some_and(|filter| !filter.may_contain(key)) {
            return Ok(None);
        }
        let Some(block) = self.fences.partition_point(|fence| *fence <= key).checked_sub(1) else { return Ok(None) };
        let mut select = connection.prepare_cached("SELECT keys FROM dedup_blocks WHERE id = ?1")?;
        let find = |row: &rusqlite::Row<'_>| {
            let (entries, _) = row.get_ref(0)?.as_blob()?.as_chunks::<ENTRY_LEN>();
            let found = entries.binary_search_by_key(&key, |entry| Entry::read(entry).key);
            Ok(found.ok().and_then(|at| entries.get(at)).map(|entry| Entry::read(entry).hour))
        };
        let found = select.query_row([(self.id << BLOCK_BITS) + block as i64], find).optional()?;
        found.ok_or_else(|| Failure::Corrupt(format!("block {block} of run {} of known ids is missing", self.id)))
    }
}
