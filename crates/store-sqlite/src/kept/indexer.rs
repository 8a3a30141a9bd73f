//! The thread that writes the keys of events, behind the head of the log, so that an append pays nothing for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use domain::{LoggedEvent, PimId, Position};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use store::{ReadLimit, StoreError, Tail};
use tokio::sync::{mpsc, oneshot};

use super::keeping;
use super::keys::Segment;
use crate::batch::{Batch, Call};
use crate::event_log;
use crate::failure::Failure;
use crate::threads::Threads;
use crate::writer::Request;

/// Number of events read at once.
const CHUNK: usize = 2_048;
/// Number of committed events after which the thread looks.
const NEWS: usize = 512;
/// Events in segments that are not complete. Beyond it all of them are written, so that a start reads no more than
/// these.
const OPEN: usize = 1 << 16;

/// Nice value of the thread.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Tells the thread about commits.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<News>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct News {
    events: usize,
    stop: bool,
}

impl Signal {
    /// Called by the writer after a commit with this many events.
    pub(crate) fn committed(&self, events: usize) {
        if events > 0 {
            let mut state = self.state.lock();
            state.events += events;
            if state.events >= NEWS {
                self.changed.notify_one();
            }
        }
    }

    /// Waits for news; `false` at the end.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while state.events < NEWS && !state.stop {
            self.changed.wait(&mut state);
        }
        state.events = 0;
        !state.stop
    }

    fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_one();
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().stop
    }
}

/// The running thread. Must be dropped before the writer.
#[derive(Debug)]
pub(crate) struct Indexer {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Indexer {
    pub(crate) fn start(
        threads: &Threads,
        signal: Arc<Signal>,
        connection: Connection,
        tail: Arc<Tail>,
        writer: mpsc::Sender<Request>,
    ) -> std::io::Result<Indexer> {
        let work = Work {
            signal: Arc::clone(&signal),
            connection,
            tail,
            writer,
            next: Position::FIRST,
            done: BTreeMap::new(),
            open: BTreeMap::new(),
            open_events: 0,
            full: Vec::new(),
        };
        let thread = threads.start("store-keys", move || work.run())?;
        Ok(Indexer { signal, thread: Some(thread) })
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.signal.stop();
        if let Some(thread) = self.thread.take() {
            // The thread has reported a panic itself.
            let _ = thread.join();
        }
    }
}

struct Work {
    signal: Arc<Signal>,
    connection: Connection,
    tail: Arc<Tail>,
    writer: mpsc::Sender<Request>,
    /// All events before it are in segments.
    next: Position,
    /// Ends of stored segments beyond the start's `keys_until`.
    done: BTreeMap<PimId, Position>,
    /// Segments that are not complete.
    open: BTreeMap<PimId, Segment>,
    /// Number of events in them.
    open_events: usize,
    /// Complete segments that are not written.
    full: Vec<Segment>,
}

impl Work {
    fn run(mut self) {
        // On a busy machine appends come first: the thread falls behind and catches up. Only Linux sets the priority of
        // the calling thread alone.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "the thread that indexes events keeps its priority");
        }
        let mut loaded = false;
        loop {
            if !loaded {
                match self.load() {
                    Ok(()) => loaded = true,
                    Err(failure) => tracing::warn!(%failure, "cannot read how far events are indexed; retrying"),
                }
            }
            if loaded && let Err(failure) = self.catch_up() {
                tracing::warn!(%failure, "cannot index events; queries read more until it succeeds");
            }
            if !self.signal.wait() {
                return;
            }
        }
    }

    fn load(&mut self) -> Result<(), Failure> {
        let next = "SELECT value FROM meta WHERE name = 'keys_until'";
        self.next = Position(self.connection.query_row(next, [], |row| row.get(0))?);
        let mut select = self.connection.prepare("SELECT pim, max(until) FROM key_segments GROUP BY pim")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let until = Position(row.get(1)?);
            if until > self.next {
                self.done.insert(PimId(row.get(0)?), until);
            }
        }
        Ok(())
    }

    fn catch_up(&mut self) -> Result<(), Failure> {
        while !self.signal.is_stopped() {
            self.write()?;
            let (events, next) = self.read()?;
            if next == self.next {
                return Ok(());
            }
            for event in &events {
                self.index(event);
            }
            self.next = next;
        }
        Ok(())
    }

    /// The next events, and the position behind them.
    fn read(&self) -> Result<(Vec<Arc<LoggedEvent>>, Position), Failure> {
        let head = self.tail.head();
        if let Some(events) = self.tail.since(self.next, CHUNK) {
            let next = events.last().map_or(self.next, |event| event.position.next());
            return Ok((events, next));
        }
        let limit = ReadLimit { events: CHUNK, bytes: 2 << 20, until: head };
        let chunk = event_log::read(&self.connection, None, self.next, head, limit)?;
        Ok((chunk.events, chunk.next))
    }

    fn index(&mut self, event: &LoggedEvent) {
        if self.done.get(&event.pim).is_some_and(|done| event.position < *done) {
            return;
        }
        self.open_events += 1;
        let open = self.open.get_mut(&event.pim);
        let is_full = match open {
            Some(segment) => !segment.add(event) || segment.is_full(),
            None => {
                let segment = Segment::new(event);
                let is_full = segment.is_full();
                self.open.insert(event.pim, segment);
                is_full
            }
        };
        if is_full && let Some(segment) = self.open.remove(&event.pim) {
            self.open_events = self.open_events.saturating_sub(segment.events());
            let is_left_out = segment.until <= event.position;
            self.full.push(segment);
            if is_left_out {
                self.open.insert(event.pim, Segment::new(event));
            }
        }
    }

    /// Writes complete segments, and the others if there are many.
    fn write(&mut self) -> Result<(), Failure> {
        let all = self.open_events >= OPEN;
        if all {
            self.full.extend(std::mem::take(&mut self.open).into_values());
            self.open_events = 0;
        }
        if self.full.is_empty() {
            return Ok(());
        }
        // Whatever is not written in this order is read again by the next start.
        let until = if self.open.is_empty() { Some(self.next) } else { None };
        let segments = Arc::new(std::mem::take(&mut self.full));
        let of_job = Arc::clone(&segments);
        let (answer, answered) = oneshot::channel();
        let work = move |batch: &mut Batch<'_>| put(batch, &of_job, until).map_err(StoreError::from);
        let sent = self.writer.blocking_send(Request::Job(Box::new(Call::new(work, answer))));
        let result = match sent {
            Ok(()) => answered.blocking_recv().unwrap_or_else(|_| Err(closed())),
            Err(_) => Err(closed()),
        };
        if let Err(error) = result {
            self.full = Arc::try_unwrap(segments).unwrap_or_default();
            return Err(Failure::Unavailable(error.to_string()));
        }
        Ok(())
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// Stores segments, and how far all events are in segments.
fn put(batch: &mut Batch<'_>, segments: &[Segment], until: Option<Position>) -> Result<(), Failure> {
    for segment in segments {
        keeping::put_segment(batch, segment)?;
    }
    if let Some(until) = until {
        batch.sql("UPDATE meta SET value = ?1 WHERE name = 'keys_until'")?.execute([until.0])?;
    }
    Ok(())
}
