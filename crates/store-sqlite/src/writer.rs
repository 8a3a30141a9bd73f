//! The writer thread: it runs all pending requests in one transaction, commits once for all of them, and then replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use domain::{Event, PimId, Timestamp};
use rusqlite::Connection;
use store::known::Key;
use store::{AppendError, Appended, Changes, Condition, StoreError, Tail};
use tokio::sync::{mpsc, oneshot};

use crate::batch::{Batch, Job};
use crate::checkpoint::Checkpoints;
use crate::failure::Failure;
use crate::health::Health;
use crate::kept::indexer::Signal;
use crate::log_writer::LogWriter;
use crate::threads::Threads;
use store::figures::{Bounds, Meters};

/// Maximum number of pending requests; further callers wait for a slot.
const QUEUE: usize = 1024;
/// Maximum bytes of events per transaction, so that no caller waits for a huge commit.
const BATCH_BYTES: usize = 2 << 20;

/// A write request.
pub(crate) enum Request {
    /// Events.
    Append(Append),
    /// Anything else.
    Job(Box<dyn Job>),
}

/// Events of a request, with their keys.
pub(crate) struct Append {
    pub(crate) pim: PimId,
    pub(crate) events: Vec<Event>,
    pub(crate) keys: Vec<Key>,
    pub(crate) now: Timestamp,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// A request that was run but not committed.
enum Done {
    Append(oneshot::Sender<Result<Appended, AppendError>>, Result<Appended, AppendError>),
    Job(Box<dyn Job>),
}

impl Done {
    fn answer(self, failure: Option<&StoreError>) {
        match self {
            Done::Append(answer, result) => {
                let result = failure.map_or(result, |failure| Err(AppendError::Store(failure.clone())));
                // The caller is gone: not an error.
                let _ = answer.send(result);
            }
            Done::Job(job) => job.answer(failure),
        }
    }
}

/// State of the thread.
pub(crate) struct Worker {
    pub(crate) connection: Connection,
    pub(crate) log: LogWriter,
    pub(crate) tail: Arc<Tail>,
    pub(crate) changes: Arc<Changes>,
    /// The hour of service, for readers.
    pub(crate) hour: Arc<AtomicU32>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) meters: Arc<Meters>,
    pub(crate) bounds: Bounds,
    pub(crate) health: Arc<Health>,
    /// For the thread that indexes events.
    pub(crate) indexed: Arc<Signal>,
    /// Number of commits with anything but events.
    pub(crate) changed: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(threads: &Threads, worker: Worker) -> std::io::Result<Writer> {
        let (queue, requests) = mpsc::channel(QUEUE);
        let thread = threads.start("store-write", move || worker.run(requests))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    /// The queue, for threads that end before this one.
    pub(crate) fn queue(&self) -> Option<mpsc::Sender<Request>> {
        self.queue.clone()
    }

    pub(crate) async fn send(&self, request: Request) -> Result<(), StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        self.queue.as_ref().ok_or_else(closed)?.send(request).await.map_err(|_| closed())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // The thread has reported a panic itself.
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        self.connection.wal_hook(Some(pages::remember));
        let mut waiting = Vec::with_capacity(QUEUE);
        while requests.blocking_recv_many(&mut waiting, QUEUE) > 0 {
            let mut waiting = waiting.drain(..).peekable();
            while waiting.peek().is_some() {
                self.transact(&mut waiting);
            }
            if self.log.dedup_is_full() {
                self.log.tidy_dedup(&self.connection);
            }
        }
    }

    /// Runs requests in one transaction until none are pending or it is large enough.
    fn transact(&mut self, requests: &mut impl Iterator<Item = Request>) {
        let mut done = Vec::new();
        let mut version = None;
        let started = Instant::now();
        let result = self.write(requests, &mut done, &mut version);
        let failure = match result {
            Ok(()) => {
                if done.iter().any(|request| matches!(request, Done::Job(_))) {
                    self.changed.fetch_add(1, Ordering::SeqCst);
                }
                // First the changes, then the events that they apply to.
                if let Some(version) = version {
                    self.changes.commit(version);
                }
                self.meters.commit_duration.observe(started.elapsed());
                self.meters.requests.add(done.len() as u64);
                let events = self.log.committed();
                if !events.is_empty() {
                    self.health.works();
                }
                self.meters.events.add(events.len() as u64);
                self.meters.event_bytes.add(events.iter().map(|event| event.event.size() as u64).sum());
                if let Some(hour) = self.log.committed_hour() {
                    self.hour.store(hour.0, Ordering::Relaxed);
                }
                let count = events.len();
                self.tail.push(events);
                self.indexed.committed(count);
                None
            }
            Err(failure) => {
                if !self.connection.is_autocommit()
                    && let Err(error) = self.connection.execute_batch("ROLLBACK")
                {
                    tracing::error!(%error, "could not roll back a failed transaction");
                }
                self.log.rolled_back();
                self.meters.failed_commits.one();
                self.health.has_failed(failure.lack());
                let failure = StoreError::from(failure);
                tracing::error!(error = %failure, requests = done.len(), "a write failed and was rolled back");
                Some(failure)
            }
        };
        for request in done {
            request.answer(failure.as_ref());
        }
        self.checkpoints.after_commit(&self.connection, pages::now());
    }

    fn write(
        &mut self,
        requests: &mut impl Iterator<Item = Request>,
        done: &mut Vec<Done>,
        version: &mut Option<u64>,
    ) -> Result<(), Failure> {
        let begun = self.connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
        if let Err(error) = begun {
            // All pending requests fail: each would otherwise wait as long again.
            done.extend(requests.map(|request| match request {
                Request::Append(append) => Done::Append(append.answer, Ok(Appended::default())),
                Request::Job(job) => Done::Job(job),
            }));
            return Err(error.into());
        }
        let mut batch = Batch::new(&self.connection, &mut self.log, &self.meters, self.bounds);
        // Other processes' changes are announced before later events.
        *version = batch.others_version()?;
        let mut bytes = 0;
        while bytes < BATCH_BYTES {
            let Some(request) = requests.next() else { break };
            match request {
                Request::Append(append) => {
                    bytes += append.events.iter().map(Event::size).sum::<usize>();
                    let Append { pim, events, keys, now, conditions, answer } = append;
                    let result = batch.append(pim, events, &keys, now, &conditions);
                    let (result, failure) = match result {
                        Ok(result) => (result, None),
                        Err(failure) => (Ok(Appended::default()), Some(failure)),
                    };
                    done.push(Done::Append(answer, result));
                    failure.map_or(Ok(()), Err)?;
                }
                Request::Job(mut job) => {
                    let result = batch.run(&mut *job);
                    done.push(Done::Job(job));
                    result?;
                }
            }
        }
        *version = batch.finish()?.or(*version);
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

/// Length of the write-ahead log, reported by SQLite to the committing thread.
mod pages {
    use std::cell::Cell;
    use std::os::raw::c_int;

    thread_local! {
        static PAGES: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn remember(_: &rusqlite::hooks::Wal, pages: c_int) -> rusqlite::Result<()> {
        PAGES.set(u32::try_from(pages).unwrap_or(0));
        Ok(())
    }

    pub(super) fn now() -> u32 {
        PAGES.get()
    }
}
