//! One transaction with many requests, each of which is all or nothing.

use std::time::Duration;

use domain::{Event, PimId, Position, ServiceHour, Timestamp};
use rusqlite::{CachedStatement, Connection};
use store::known::Key;
use store::{AppendError, AppendNewError, Appended, Condition, StoreError};
use tokio::sync::oneshot;

use crate::catalog;
use crate::failure::Failure;
use crate::kept::keeping;
use crate::log_writer::LogWriter;
use store::figures::{Bounds, Meters};

/// Number of conditions remembered before they are forgotten: each append is compared with all of them.
const MAX_HELD: usize = 64;

/// The open transaction.
pub(crate) struct Batch<'a> {
    connection: &'a Connection,
    log: &'a mut LogWriter,
    meters: &'a Meters,
    bounds: Bounds,
    /// Version of the catalogue, if it was changed.
    version: Option<u64>,
    /// Conditions found to hold since the last request that can change anything.
    held: Vec<Condition>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        log: &'a mut LogWriter,
        meters: &'a Meters,
        bounds: Bounds,
    ) -> Batch<'a> {
        Batch { connection, log, meters, bounds, version: None, held: Vec::new() }
    }

    /// A statement, prepared once for all batches.
    pub(crate) fn sql(&self, sql: &str) -> Result<CachedStatement<'a>, Failure> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    pub(crate) fn meters(&self) -> &'a Meters {
        self.meters
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(crate) fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// Head of the log, including earlier appends of the batch.
    pub(crate) fn head(&mut self) -> Result<Position, Failure> {
        self.log.flush(self.connection)?;
        self.log.head(self.connection)
    }

    /// Version of the catalogue, if another process wrote since the last transaction.
    pub(crate) fn others_version(&mut self) -> Result<Option<u64>, Failure> {
        if self.log.others_wrote(self.connection)? { self.stored_version().map(Some) } else { Ok(None) }
    }

    pub(crate) fn stored_version(&self) -> Result<u64, Failure> {
        let version = self.sql("SELECT value FROM meta WHERE name = 'version'")?.query_row([], |row| row.get(0))?;
        Ok(version)
    }

    /// Increments the catalogue's version.
    pub(crate) fn next_version(&mut self) -> Result<u64, Failure> {
        let version = self.stored_version()? + 1;
        self.sql("UPDATE meta SET value = ?1 WHERE name = 'version'")?.execute([version])?;
        self.version = Some(version);
        Ok(version)
    }

    /// Hour of service recorded in new rows.
    pub(crate) fn hour(&self) -> Result<ServiceHour, Failure> {
        self.log.hour(self.connection)
    }

    /// Adds running time of the platform.
    pub(crate) fn served(&mut self, elapsed: Duration) -> Result<ServiceHour, Failure> {
        self.log.served(self.connection, elapsed)
    }

    /// Counts events of a PIM that were deleted from the log.
    pub(crate) fn trimmed(&mut self, pim: PimId, bytes: u64) {
        self.log.trimmed(pim, bytes);
    }

    /// Persists the head after events were deleted up to here: positions continue even if none is left.
    pub(crate) fn keep_head(&mut self) -> Result<(), Failure> {
        let head = self.head()?;
        self.sql("UPDATE meta SET value = ?1 WHERE name = 'head_floor'")?.execute([head.0])?;
        Ok(())
    }

    pub(crate) fn append(
        &mut self,
        pim: PimId,
        events: Vec<Event>,
        keys: &[Key],
        now: Timestamp,
        conditions: &[Condition],
    ) -> Result<Result<Appended, AppendError>, Failure> {
        // Appends of many producers with the same key follow one another.
        if !conditions.iter().all(|condition| self.held.contains(condition)) {
            if !catalog::hold(self, conditions)? {
                return Ok(Err(AppendError::Outdated));
            }
            if self.held.len() >= MAX_HELD {
                self.held.clear();
            }
            self.held.extend_from_slice(conditions);
        }
        self.make_room(&events)?;
        self.log.append(self.connection, pim, events, keys, now)
    }

    /// Runs a request that may change anything.
    pub(crate) fn run(&mut self, job: &mut dyn Job) -> Result<(), Failure> {
        self.held.clear();
        job.run(self)
    }

    /// Appends events that are all new, together with the writes of `beside`; see [`LogWriter::append_new`].
    pub(crate) fn append_new(
        &mut self,
        pim: PimId,
        events: Vec<Event>,
        keys: &[Key],
        now: Timestamp,
        beside: impl FnOnce(&Connection) -> Result<(), Failure>,
    ) -> Result<(), AppendNewError> {
        self.make_room(&events)?;
        self.log.append_new(self.connection, pim, events, keys, now, beside)
    }

    /// Kept events cost no acceptance: they are deleted if the disk is nearly full.
    fn make_room(&mut self, events: &[Event]) -> Result<(), Failure> {
        let needed = self.log.needs_pages(events.iter().map(|event| event.size() as u64).sum())?;
        if needed > 0 { keeping::make_room(self, needed) } else { Ok(()) }
    }

    /// Performs the last writes before the commit. Returns the catalogue's version if it was changed.
    pub(crate) fn finish(self) -> Result<Option<u64>, Failure> {
        self.log.flush(self.connection)?;
        self.log.write_dedup(self.connection)?;
        Ok(self.version)
    }
}

/// A request that is not an append.
pub(crate) trait Job: Send {
    /// Runs it in the open transaction. An error fails the transaction, not only the request.
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), Failure>;

    /// Replies after the commit, or with the error that prevented it.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

/// A job made from a closure.
pub(crate) struct Call<W, T, E> {
    work: Option<W>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<W, T, E> Call<W, T, E> {
    pub(crate) fn new(work: W, answer: oneshot::Sender<Result<T, E>>) -> Call<W, T, E> {
        Call { work: Some(work), result: None, answer }
    }
}

impl<W, T, E> Job for Call<W, T, E>
where
    W: FnOnce(&mut Batch<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), Failure> {
        let Some(work) = self.work.take() else { return Ok(()) };
        // Earlier appends are not rolled back with it.
        batch.log.flush(batch.connection)?;
        let (version, mark) = (batch.version, batch.log.mark());
        batch.sql("SAVEPOINT job")?.execute([])?;
        let result = work(batch);
        if result.is_err() {
            batch.version = version;
            batch.log.back_to(mark);
            // Fails if the error has ended the whole transaction.
            batch.sql("ROLLBACK TO job")?.execute([])?;
        }
        batch.sql("RELEASE job")?.execute([])?;
        self.result = Some(result);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<&StoreError>) {
        let lost = || StoreError::Unavailable("it was not done".to_owned());
        let result = match failure {
            Some(failure) => Err(failure.clone().into()),
            None => self.result.unwrap_or_else(|| Err(lost().into())),
        };
        // The caller is gone: not an error.
        let _ = self.answer.send(result);
    }
}
