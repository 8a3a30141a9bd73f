//! Writing events to the log: deduplicated, numbered, and encoded as frames.

mod room;
mod stored;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::{Event, LoggedEvent, PimId, Position, ServiceHour, Timestamp};
use parking_lot::Mutex;
use rusqlite::Connection;
use store::known::Key;
use store::{AppendError, AppendNewError, Appended, Backlog, StoreError, frame};

use crate::dedup::Dedup;
use crate::failure::Failure;
use crate::kept::keeping;
use crate::settings::Settings;

use room::Room;

pub(crate) use stored::{stored_backlog, stored_head, stored_hour};

/// Delay before a producer's retry: trimming runs every few seconds.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Bytes of pages that a commit needs besides its events: known ids, indexes.
const PAGES_FOR_A_COMMIT: u64 = 512 << 10;

/// Accepted events of one PIM without positions yet.
type Taken = (PimId, Vec<(Event, Timestamp)>);

/// Bytes of a PIM's events added to or removed from the log by the open transaction.
type Delta = (PimId, i64);

/// State of the log between transactions, and of the open one.
#[derive(Debug)]
pub(crate) struct LogWriter {
    /// `None` if another process serves: this one must not append.
    owned: Option<Owned>,
    /// SQLite's counter of other connections' writes.
    data_version: Option<i64>,
}

#[derive(Debug)]
struct Owned {
    dedup: Dedup,
    room: Room,
    /// Committed head and hour of service.
    committed: (Position, ServiceHour),
    /// The same including the open transaction.
    open: (Position, ServiceHour),
    taken: Vec<Taken>,
    deltas: Vec<Delta>,
    numbered: Vec<Arc<LoggedEvent>>,
}

/// A savepoint within a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    open: (Position, ServiceHour),
    added: usize,
    deltas: usize,
    numbered: usize,
}

impl LogWriter {
    /// For the serving process.
    pub(crate) fn owned(
        connection: &Connection,
        settings: &Settings,
        folder: PathBuf,
        backlog: Arc<Mutex<Backlog>>,
    ) -> Result<LogWriter, Failure> {
        let end = (stored_head(connection)?, stored_hour(connection)?);
        let owned = Owned {
            dedup: Dedup::load(connection, settings)?,
            room: Room::new(folder, backlog, settings.min_free_disk_bytes),
            committed: end,
            open: end,
            taken: Vec::new(),
            deltas: Vec::new(),
            numbered: Vec::new(),
        };
        Ok(LogWriter { owned: Some(owned), data_version: None })
    }

    /// For a process alongside the serving one.
    pub(crate) fn shared() -> LogWriter {
        LogWriter { owned: None, data_version: None }
    }

    /// Appends a request's events. The outer error fails the transaction.
    pub(crate) fn append(
        &mut self,
        connection: &Connection,
        pim: PimId,
        events: Vec<Event>,
        keys: &[Key],
        now: Timestamp,
    ) -> Result<Result<Appended, AppendError>, Failure> {
        let Some(owned) = &mut self.owned else {
            return Ok(Err(AppendError::Store(not_serving())));
        };
        let before = owned.dedup.added();
        let accepted = events.len();
        let mut fresh = Vec::with_capacity(accepted);
        for (event, key) in events.into_iter().zip(keys) {
            if !owned.dedup.add(connection, *key, owned.open.1)? {
                fresh.push((event, now));
            }
        }
        if fresh.is_empty() {
            return Ok(Ok(Appended { accepted, duplicates: accepted }));
        }
        let bytes = fresh.iter().map(|(event, _)| event.size() as u64).sum::<u64>();
        if let Some(message) = owned.lacks(connection, pim, bytes)? {
            owned.dedup.undo(before);
            return Ok(Err(AppendError::BacklogFull { message, retry_after: RETRY_AFTER }));
        }
        let duplicates = accepted - fresh.len();
        owned.count(pim, bytes.cast_signed());
        match owned.taken.iter_mut().find(|(of, _)| *of == pim) {
            Some((_, taken)) => taken.append(&mut fresh),
            None => owned.taken.push((pim, fresh)),
        }
        Ok(Ok(Appended { accepted, duplicates }))
    }

    /// Appends a request's events if none of them is known, and calls `beside` to write the related data. After an
    /// error only the writes of `beside` remain: the caller rolls them back.
    pub(crate) fn append_new(
        &mut self,
        connection: &Connection,
        pim: PimId,
        events: Vec<Event>,
        keys: &[Key],
        now: Timestamp,
        beside: impl FnOnce(&Connection) -> Result<(), Failure>,
    ) -> Result<(), AppendNewError> {
        let Some(owned) = &mut self.owned else { return Err(not_serving().into()) };
        let before = owned.dedup.added();
        let bytes = events.iter().map(|event| event.size() as u64).sum::<u64>();
        let prepared = owned.prepare_new(connection, pim, &events, keys, bytes).and_then(|()| Ok(beside(connection)?));
        if let Err(error) = prepared {
            owned.dedup.undo(before);
            return Err(error);
        }
        // Nothing fails from here on.
        owned.count(pim, bytes.cast_signed());
        let mut fresh = events.into_iter().map(|event| (event, now)).collect();
        match owned.taken.iter_mut().find(|(of, _)| *of == pim) {
            Some((_, taken)) => taken.append(&mut fresh),
            None => owned.taken.push((pim, fresh)),
        }
        Ok(())
    }

    /// Bytes of free pages in the file that an append of `more` bytes needs, because the disk is nearly full; 0 = none.
    pub(crate) fn needs_pages(&mut self, more: u64) -> Result<u64, Failure> {
        self.owned.as_mut().map_or(Ok(0), |owned| owned.needs_pages(more))
    }

    /// Numbers the accepted events and writes them.
    pub(crate) fn flush(&mut self, connection: &Connection) -> Result<(), Failure> {
        let Some(owned) = &mut self.owned else { return Ok(()) };
        let mut changed: Vec<Delta> = Vec::new();
        for (pim, taken) in owned.taken.drain(..) {
            let as_taken: usize = taken.iter().map(|(event, _)| event.size()).sum();
            let mut as_stored = 0;
            let start = owned.numbered.len();
            for (event, accepted_at) in taken {
                let position = owned.open.0;
                owned.open.0 = position.next();
                owned.numbered.push(Arc::new(LoggedEvent { position, pim, accepted_at, event }));
            }
            let sql = "INSERT INTO frames (pos, pim, count, latest, hour, body) VALUES (?1, ?2, ?3, 0, ?4, ?5)";
            let mut insert = connection.prepare_cached(sql)?;
            for piece in frame::split(&owned.numbered[start..]) {
                let Some(first) = piece.first() else { continue };
                let body = frame::encode(piece);
                as_stored += body.len();
                insert.execute((first.position.0, pim.0, piece.len(), owned.open.1.0, body))?;
            }
            // Counts stored bytes, so that the sum at a start is the same.
            changed.push((pim, as_stored as i64 - as_taken as i64));
        }
        for (pim, bytes) in changed {
            owned.count(pim, bytes);
        }
        Ok(())
    }

    /// Counts events deleted from the log.
    pub(crate) fn trimmed(&mut self, pim: PimId, bytes: u64) {
        if let Some(owned) = &mut self.owned {
            owned.count(pim, -bytes.cast_signed());
        }
    }

    /// Writes the ids of accepted events.
    pub(crate) fn write_dedup(&mut self, connection: &Connection) -> Result<(), Failure> {
        self.owned.as_ref().map_or(Ok(()), |owned| owned.dedup.write(connection))
    }

    /// Head of the log; call [`LogWriter::flush`] before.
    pub(crate) fn head(&self, connection: &Connection) -> Result<Position, Failure> {
        match &self.owned {
            Some(owned) => Ok(owned.open.0),
            None => stored_head(connection),
        }
    }

    /// Hour of service recorded in new rows.
    pub(crate) fn hour(&self, connection: &Connection) -> Result<ServiceHour, Failure> {
        self.owned.as_ref().map_or_else(|| stored_hour(connection), |owned| Ok(owned.open.1))
    }

    /// Adds running time of the platform; call [`LogWriter::flush`] before.
    pub(crate) fn served(&mut self, connection: &Connection, elapsed: Duration) -> Result<ServiceHour, Failure> {
        let Some(owned) = &mut self.owned else { return Err(Failure::Unavailable(NOT_SERVING.to_owned())) };
        let rest = "SELECT value FROM meta WHERE name = 'service_rest'";
        let rest: u64 = connection.prepare_cached(rest)?.query_row([], |row| row.get(0))?;
        let served = rest.saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        let hours = u32::try_from(served / HOUR_MILLIS).unwrap_or(u32::MAX);
        owned.open.1 = ServiceHour(owned.open.1.0.saturating_add(hours));
        let mut put = connection.prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?;
        put.execute(("service_hour", owned.open.1.0))?;
        put.execute(("service_rest", served % HOUR_MILLIS))?;
        Ok(owned.open.1)
    }

    /// Committed hour of service; `None` alongside the serving process.
    pub(crate) fn committed_hour(&self) -> Option<ServiceHour> {
        self.owned.as_ref().map(|owned| owned.committed.1)
    }

    /// Called after the commit; returns its events.
    pub(crate) fn committed(&mut self) -> Vec<Arc<LoggedEvent>> {
        let Some(owned) = &mut self.owned else { return Vec::new() };
        owned.committed = owned.open;
        owned.deltas.clear();
        owned.dedup.settle();
        std::mem::take(&mut owned.numbered)
    }

    /// Savepoint of the open transaction; call [`LogWriter::flush`] before.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let owned = self.owned.as_ref()?;
        Some(Mark {
            open: owned.open,
            added: owned.dedup.added(),
            deltas: owned.deltas.len(),
            numbered: owned.numbered.len(),
        })
    }

    /// Discards appends since the savepoint; the caller rolls back the writes.
    pub(crate) fn back_to(&mut self, mark: Option<Mark>) {
        if let (Some(owned), Some(mark)) = (&mut self.owned, mark) {
            owned.taken.clear();
            owned.count_back_to(mark.deltas);
            owned.open = mark.open;
            owned.dedup.undo(mark.added);
            owned.numbered.truncate(mark.numbered);
        }
    }

    /// Called after a rollback.
    pub(crate) fn rolled_back(&mut self) {
        self.data_version = None;
        if let Some(owned) = &mut self.owned {
            owned.open = owned.committed;
            owned.dedup.undo(0);
            owned.taken.clear();
            owned.count_back_to(0);
            owned.numbered.clear();
        }
    }

    /// Whether another process wrote since the last call.
    pub(crate) fn others_wrote(&mut self, connection: &Connection) -> Result<bool, Failure> {
        let now: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        Ok(self.data_version.replace(now) != Some(now))
    }

    pub(crate) fn dedup_is_full(&self) -> bool {
        self.owned.as_ref().is_some_and(|owned| owned.dedup.is_full())
    }

    pub(crate) fn tidy_dedup(&mut self, connection: &Connection) {
        let Some(owned) = &mut self.owned else { return };
        if let Err(error) = owned.dedup.tidy(connection) {
            tracing::warn!(%error, "could not move known ids to disk; keeping them in memory");
            owned.dedup.tidy_later();
        }
    }
}

impl Owned {
    /// Counts bytes added to or removed from the log by the open transaction.
    fn count(&mut self, pim: PimId, bytes: i64) {
        self.room.backlog.lock().count(pim, bytes);
        self.deltas.push((pim, bytes));
    }

    /// Undoes counts beyond the first `keep`.
    fn count_back_to(&mut self, keep: usize) {
        let mut backlog = self.room.backlog.lock();
        for (pim, bytes) in self.deltas.drain(keep.min(self.deltas.len())..).rev() {
            backlog.count(pim, -bytes);
        }
    }

    /// The resource, with figures, that has no room for `more` bytes of a PIM.
    fn lacks(&mut self, connection: &Connection, pim: PimId, more: u64) -> Result<Option<String>, Failure> {
        if let Some(message) = self.room.backlog.lock().lacks(pim, more) {
            return Ok(Some(message));
        }
        let needed = self.needs_pages(more)?;
        if needed > 0 && keeping::free_pages(connection)? < needed {
            return Ok(Some(self.room.disk_is_low()?));
        }
        Ok(None)
    }

    /// Bytes of free pages in the file that an append of `more` bytes needs, because the disk is nearly full.
    fn needs_pages(&mut self, more: u64) -> Result<u64, Failure> {
        if self.room.free()? >= self.room.min_free_disk_bytes.saturating_add(more) {
            return Ok(0);
        }
        // Events of the open transaction may not be written yet.
        let events = self.taken.iter().flat_map(|(_, events)| events);
        let pending: u64 = events.map(|(event, _)| event.size() as u64).sum();
        Ok(2 * (pending + more) + PAGES_FOR_A_COMMIT)
    }

    /// Checks that all events are new and fit. Their ids are known from here on.
    fn prepare_new(
        &mut self,
        connection: &Connection,
        pim: PimId,
        events: &[Event],
        keys: &[Key],
        bytes: u64,
    ) -> Result<(), AppendNewError> {
        let mut known = Vec::new();
        for (event, key) in events.iter().zip(keys) {
            if self.dedup.add(connection, *key, self.open.1)? {
                known.push(event.id().to_owned());
            }
        }
        if !known.is_empty() {
            return Err(AppendNewError::Known(known));
        }
        match self.lacks(connection, pim, bytes)? {
            Some(message) => Err(AppendError::BacklogFull { message, retry_after: RETRY_AFTER }.into()),
            None => Ok(()),
        }
    }
}

const HOUR_MILLIS: u64 = 60 * 60 * 1000;

const NOT_SERVING: &str = "only the serving process writes the event log and the ledger";

/// Error of a process that opened the store alongside the serving one.
pub(crate) fn not_serving() -> StoreError {
    StoreError::Unavailable(NOT_SERVING.to_owned())
}
