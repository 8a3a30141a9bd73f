//! Known events: (pim, producer's source, id) of the dedup window, in bounded memory and without a random write per
//! event.
//!
//! An id is stored as 16 bytes of a keyed hash, whose collisions are negligible (about 1 in 2^64). The newest ids are
//! in an in-memory table; on disk they are in commit order, one row per commit, from which a start rebuilds the table.
//! A full table is sorted and written as a run: blocks of one page each, found by their first keys, behind an in-memory
//! filter for absent ids. A run is deleted when its newest id is older than the window.

mod filter;
mod run;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use domain::ServiceHour;
use rusqlite::Connection;
use store::known::{Key, Keyed};

use self::run::Run;
use crate::failure::Failure;
use crate::settings::Settings;

/// Bytes of an id on disk: hash and hour of acceptance.
const ENTRY_LEN: usize = 20;

/// Loads the maker of keys.
pub(crate) fn keyed(connection: &Connection) -> Result<Keyed, Failure> {
    let sql = "SELECT value FROM meta WHERE name = 'dedup_secret'";
    Ok(Keyed::new(connection.query_row(sql, [], |row| row.get(0))?))
}

/// Calls `each` with all ids on disk, as long as it returns `true`.
pub(crate) fn each_known(
    connection: &Connection,
    mut each: impl FnMut(u128, ServiceHour) -> bool,
) -> Result<(), Failure> {
    let mut statement = connection.prepare("SELECT keys FROM dedup_recent UNION ALL SELECT keys FROM dedup_blocks")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (entries, _) = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?.as_chunks::<ENTRY_LEN>();
        for entry in entries.iter().map(Entry::read) {
            if !each(entry.key.0, entry.hour) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Earlier versions stored wall-clock seconds instead of hours of service. Seconds have exceeded this number since
/// 2001; hours will in a hundred thousand years.
const SECONDS_FROM: u32 = 1_000_000_000;

/// An id with the hour of service of its acceptance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    key: Key,
    hour: ServiceHour,
}

impl Entry {
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.0.to_be_bytes());
        out.extend_from_slice(&self.hour.0.to_be_bytes());
    }

    fn read(bytes: &[u8; ENTRY_LEN]) -> Entry {
        let (mut key, mut hour) = ([0; 16], [0; 4]);
        key.copy_from_slice(&bytes[..16]);
        hour.copy_from_slice(&bytes[16..]);
        let hour = Some(u32::from_be_bytes(hour)).filter(|hour| *hour < SECONDS_FROM).unwrap_or(0);
        Entry { key: Key(u128::from_be_bytes(key)), hour: ServiceHour(hour) }
    }
}

/// Identity hasher: keys are random already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, number: u128) {
        self.0 = number as u64;
    }
}

/// The known ids.
#[derive(Debug)]
pub(crate) struct Dedup {
    recent: HashMap<Key, ServiceHour, BuildHasherDefault<AsItIs>>,
    runs: Vec<Run>,
    /// Added by the open transaction, with the values they replaced.
    added: Vec<(Entry, Option<ServiceHour>)>,
    window: Duration,
    most_recent: usize,
    filter_bytes: usize,
    /// Size of the table that triggers the next tidying.
    full_at: usize,
    latest: ServiceHour,
}

impl Dedup {
    /// Loads the ids on disk.
    pub(crate) fn load(connection: &Connection, settings: &Settings) -> Result<Dedup, Failure> {
        let mut recent = HashMap::default();
        let mut statement = connection.prepare("SELECT keys FROM dedup_recent ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (entries, rest) = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?.as_chunks::<ENTRY_LEN>();
            if !rest.is_empty() {
                return Err(Failure::Corrupt("a row of dedup_recent has a wrong length".to_owned()));
            }
            recent.extend(entries.iter().map(Entry::read).map(|entry| (entry.key, entry.hour)));
        }
        let mut dedup = Dedup {
            recent,
            runs: Run::load_all(connection)?,
            added: Vec::new(),
            window: settings.dedup_window,
            most_recent: settings.dedup_recent.max(1),
            filter_bytes: settings.dedup_filter_bytes,
            full_at: settings.dedup_recent.max(1),
            latest: ServiceHour::default(),
        };
        dedup.bound_filters();
        Ok(dedup)
    }

    fn in_window(&self, hour: ServiceHour, now: ServiceHour) -> bool {
        hour >= now.ago(self.window)
    }

    /// Whether an id is known within the window.
    pub(crate) fn knows(&self, connection: &Connection, key: Key, now: ServiceHour) -> Result<bool, Failure> {
        if let Some(hour) = self.recent.get(&key).copied()
            && self.in_window(hour, now)
        {
            return Ok(true);
        }
        for run in self.runs.iter().rev() {
            if let Some(hour) = run.find(connection, key)?
                && self.in_window(hour, now)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds an id; returns whether it was known.
    pub(crate) fn add(&mut self, connection: &Connection, key: Key, now: ServiceHour) -> Result<bool, Failure> {
        self.latest = self.latest.max(now);
        if self.knows(connection, key, now)? {
            return Ok(true);
        }
        let entry = Entry { key, hour: now };
        let before = self.recent.insert(key, entry.hour);
        self.added.push((entry, before));
        Ok(false)
    }

    /// Number of ids added by the transaction so far.
    pub(crate) fn added(&self) -> usize {
        self.added.len()
    }

    /// Undoes the transaction's additions beyond the first `keep`.
    pub(crate) fn undo(&mut self, keep: usize) {
        while self.added.len() > keep {
            let Some((entry, before)) = self.added.pop() else { break };
            match before {
                Some(hour) => self.recent.insert(entry.key, hour),
                None => self.recent.remove(&entry.key),
            };
        }
    }

    /// Writes the transaction's additions before the commit.
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), Failure> {
        let Some(newest) = self.added.iter().map(|(entry, _)| entry.hour).max() else { return Ok(()) };
        let mut keys = Vec::with_capacity(self.added.len() * ENTRY_LEN);
        for (entry, _) in &self.added {
            entry.write(&mut keys);
        }
        let sql = "INSERT INTO dedup_recent (newest, keys) VALUES (?1, ?2)";
        connection.prepare_cached(sql)?.execute((newest.0, keys))?;
        Ok(())
    }

    /// Called after the commit.
    pub(crate) fn settle(&mut self) {
        self.added.clear();
    }

    /// Whether [`Dedup::tidy`] is due.
    pub(crate) fn is_full(&self) -> bool {
        self.recent.len() >= self.full_at
    }

    /// Makes room in the table, in a transaction of its own: deletes ids older than the window, and moves the rest to
    /// disk as a run if that is worthwhile.
    pub(crate) fn tidy(&mut self, connection: &Connection) -> Result<(), Failure> {
        let now = self.latest;
        let transaction = connection.unchecked_transaction()?;
        let mut kept: Vec<Entry> = self
            .recent
            .iter()
            .filter(|(_, hour)| self.in_window(**hour, now))
            .map(|(key, hour)| Entry { key: *key, hour: *hour })
            .collect();
        let old: BTreeSet<i64> =
            self.runs.iter().filter(|run| !self.in_window(run.newest(), now)).map(Run::id).collect();
        for run in &old {
            Run::delete(&transaction, *run)?;
        }
        let run = if kept.len() * 2 > self.most_recent {
            kept.sort_unstable();
            let id = self.runs.iter().map(Run::id).max().unwrap_or(0) + 1;
            transaction.execute("DELETE FROM dedup_recent", [])?;
            Some(Run::write(&transaction, id, &kept)?)
        } else {
            transaction.execute("DELETE FROM dedup_recent WHERE newest < ?1", [now.ago(self.window).0])?;
            None
        };
        transaction.commit()?;
        self.runs.retain(|run| !old.contains(&run.id()));
        match run {
            Some(run) => {
                self.recent.clear();
                self.runs.push(run);
                self.bound_filters();
            }
            None => self.recent = kept.into_iter().map(|entry| (entry.key, entry.hour)).collect(),
        }
        self.full_at = self.most_recent;
        Ok(())
    }

    /// Called after a failure, so that tidying isn't retried with each commit.
    pub(crate) fn tidy_later(&mut self) {
        self.full_at = self.recent.len() + self.most_recent / 8 + 1;
    }

    /// Drops the filters of the oldest runs beyond the bound.
    fn bound_filters(&mut self) {
        let mut bytes = 0;
        for run in self.runs.iter_mut().rev() {
            bytes += run.filter_bytes();
            if bytes > self.filter_bytes {
                run.drop_filter();
            }
        }
    }
}

#[cfg(test)]
mod tests;
