//! The bridge: processes verified requests in order, and appends the resulting events in one commit with the snapshots.
//!
//! **Order.** Requests of a PIM are processed sequentially, in the order in which they were read; a PIM sends at most
//! five at a time, and one takes a few milliseconds. So a delta is always computed from the previous state.
//!
//! **Duplicates and crashes.** The store commits a request completely or not at all, and only if all of its events are
//! new and no snapshot was changed meanwhile. Known events are omitted together with their consequences; the rest is
//! recomputed from the current state. So a request that is sent twice leads to the same events once, whenever the
//! platform was killed.
//!
//! **Trouble.** A PIM sends each request once. So while the store is away, requests wait in memory, in their order.
//!
//! **Isolation.** Computation is linear in the sent and stored data; larger pieces of it run outside the runtime's
//! threads, shared fairly among PIMs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::pim::Pim;
use domain::{Clock, Event, PimId, Timestamp};
use fair::{Aside, Holder, Stopping};
use parking_lot::Mutex;
use store::trace::{AppendTracer, Appending};
use store::{AppendError, AppendNewError, Appended, Snapshot, SnapshotKey, SnapshotSave, Store, StoreError};
use tokio::sync::Mutex as AsyncMutex;
use wire::signature::{SignatureError, SigningKey};

use crate::TOLERANCE;
use crate::attributes::{AttributeSource, Attributes};
use crate::notice::{BodyError, Notice, Received, read};
use crate::seldom::Lines;

use counts::{Counters, add};
use noting::{LeftOut, Notes};
use uncompared::Uncompared;
use waiting::{Waiting, is_worth_waiting};
use work::{Made, Work};

mod counts;
mod filling;
mod noting;
mod uncompared;
mod waiting;
mod work;

pub use counts::Counts;
pub use filling::{Filled, Window};

/// Each round omits at least one known event, or is lost to a concurrent change.
const MAX_ROUNDS: usize = 100;
/// Work on more bytes than this runs aside.
const INLINE: usize = 256 * 1024;

/// Result of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Valid events.
    pub accepted: usize,
    /// Duplicates among them.
    pub duplicates: usize,
    /// Deltas of the others.
    pub deltas: usize,
    /// Unrecognisable events.
    pub bad: usize,
    /// Events with an unknown action.
    pub unknown: usize,
    /// Events without a delta because their entity cannot be compared.
    pub uncompared: usize,
}

/// A failed request.
#[derive(Clone, Debug)]
pub enum TakeError {
    /// Invalid body.
    Body(BodyError),
    /// The store failed.
    Append(AppendError),
}

/// The bridge of all PIMs.
pub struct Bridge {
    store: Arc<dyn Store>,
    attributes: Attributes,
    turns: Mutex<HashMap<PimId, Arc<AsyncMutex<()>>>>,
    notes: Notes,
    /// Entities mentioned by requests while a page of the REST API is being fetched, for PIMs with such a fetch.
    reported: Mutex<HashMap<PimId, HashSet<SnapshotKey>>>,
    uncompared: Uncompared,
    waiting: Waiting,
    counters: Counters,
    seldom: Lines,
    aside: Aside,
    tracer: Option<Arc<dyn AppendTracer>>,
    clock: Clock,
}

impl Bridge {
    /// A bridge into this store, with attribute types from this source; `tracer` follows events into the log.
    pub fn new(
        store: Arc<dyn Store>,
        source: Option<Arc<dyn AttributeSource>>,
        tracer: Option<Arc<dyn AppendTracer>>,
        clock: Clock,
    ) -> Bridge {
        Bridge {
            store,
            attributes: Attributes::new(source),
            turns: Mutex::default(),
            notes: Arc::default(),
            reported: Mutex::default(),
            uncompared: Uncompared::default(),
            waiting: Waiting::default(),
            counters: Counters::default(),
            seldom: Lines::default(),
            aside: Aside::new(INLINE),
            tracer,
            clock,
        }
    }

    /// Executor of heavy work on input: one for all kinds of ingest, so that they share the processors fairly.
    pub fn aside(&self) -> &Aside {
        &self.aside
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// Checks the signature of a request of a PIM with an enabled bridge; `None` if it is disabled.
    pub fn verify(
        &self,
        pim: &Arc<Pim>,
        timestamp: &[u8],
        signature: &[u8],
        body: &[u8],
        now: Timestamp,
    ) -> Option<Result<(), SignatureError>> {
        let key = SigningKey::new(pim.events_api_secret.as_ref()?);
        let verified = key.verify_events_api(timestamp, signature, body, now, TOLERANCE);
        match &verified {
            Ok(()) => {
                self.counters.verified.fetch_add(1, Ordering::Relaxed);
                let test = body.is_empty();
                self.note(pim.id, |note| {
                    note.verified += 1;
                    note.verified_at = Some(now);
                    if test {
                        note.tested_at = Some(now);
                    }
                });
                // So that types are known by the time of the first delta.
                self.attributes.of(pim);
            }
            Err(error) => self.refused(pim, error.to_string(), now),
        }
        Some(verified)
    }

    /// Records a request rejected because of its signature.
    pub fn refused(&self, pim: &Pim, why: String, now: Timestamp) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        self.note(pim.id, |note| {
            note.refused += 1;
            note.refused_at = Some(now);
            note.refusal = Some(why);
        });
    }

    /// Processes a verified request: its valid part is on stable storage when this returns. It must run to completion,
    /// because a PIM disconnects after 0.5 s and never retries. If the request has to wait for the store, `waits` is
    /// told why.
    pub async fn take(
        &self,
        pim: &Arc<Pim>,
        body: impl AsRef<[u8]> + Send + 'static,
        now: Timestamp,
        waits: impl FnOnce(AppendError) + Send,
    ) -> Result<Taken, TakeError> {
        let bytes = body.as_ref().len();
        let source = pim.name.clone();
        let read = self.aside.run(holder(pim), bytes, move || read(&source, body.as_ref(), now)).await;
        let received =
            read.map_err(|stopping| TakeError::Append(stopped(stopping).into()))?.map_err(TakeError::Body)?;
        let mut taken = Taken::default();
        let notices = Arc::new(self.sort(pim, received, &mut taken));
        self.append_when_possible(pim, &notices, bytes, &mut taken, now, waits).await.map_err(TakeError::Append)?;
        add(&self.counters.events, taken.accepted);
        add(&self.counters.duplicates, taken.duplicates);
        add(&self.counters.deltas, taken.deltas);
        if taken.accepted > 0 {
            self.note(pim.id, |note| {
                note.events += taken.accepted as u64;
                note.events_at = Some(now);
            });
        }
        Ok(taken)
    }

    /// Reports and counts events that cannot be processed.
    fn sort(&self, pim: &Pim, received: Vec<Received>, taken: &mut Taken) -> Vec<Notice> {
        let mut notices: Vec<Notice> = Vec::with_capacity(received.len());
        let mut ids = HashSet::new();
        let mut left_out = LeftOut::default();
        for one in received {
            match one {
                Received::Notice(notice) => {
                    taken.accepted += 1;
                    if ids.insert(notice.id.clone()) {
                        notices.push(*notice);
                    } else {
                        taken.duplicates += 1;
                    }
                }
                Received::UnknownAction(action) => {
                    left_out.unknown += 1;
                    left_out.unknown_action = Some(action);
                }
                Received::Bad { id, why } => {
                    left_out.bad += 1;
                    left_out.bad_why = Some(id.map_or(why.clone(), |id| format!("event {id}: {why}")));
                }
            }
        }
        (taken.bad, taken.unknown) = (left_out.bad, left_out.unknown);
        self.tell_left_out(pim, left_out);
        notices
    }

    /// Appends in turn; a request that finds the store away keeps its turn, and others wait behind it.
    async fn append_when_possible(
        &self,
        pim: &Arc<Pim>,
        notices: &Arc<Vec<Notice>>,
        bytes: usize,
        taken: &mut Taken,
        now: Timestamp,
        waits: impl FnOnce(AppendError) + Send,
    ) -> Result<(), AppendError> {
        let mut waits = Some(waits);
        let mut wait = |why: &AppendError| {
            let place = self.waiting.place(pim.id, bytes)?;
            if let Some(waits) = waits.take() {
                waits(why.clone());
            }
            Some(place)
        };
        let turn = Arc::clone(self.turns.lock().entry(pim.id).or_default());
        let mut place = None;
        if self.waiting.any() && turn.try_lock().is_err() {
            let why = StoreError::Unavailable("earlier requests wait for the store".to_owned()).into();
            place = Some(wait(&why).ok_or(why)?);
        }
        // A fair lock: first come, first served.
        let _turn = turn.lock().await;
        let (sorted, mut now) = (*taken, now);
        loop {
            *taken = sorted;
            let error = match self.append(pim, notices, bytes, taken, now).await {
                Err(error) if is_worth_waiting(&error) => error,
                done => return done,
            };
            if place.is_none() {
                place = wait(&error);
            }
            let Some(place) = &mut place else { return Err(error) };
            if !self.waiting.pause(place).await {
                *taken = sorted;
                return self.append(pim, notices, bytes, taken, self.clock.wall()).await;
            }
            now = self.clock.wall();
        }
    }

    /// Lets each request that waits for the store try once more: the platform stops.
    pub fn end_waiting(&self) {
        self.waiting.end();
    }

    async fn append(
        &self,
        pim: &Arc<Pim>,
        notices: &Arc<Vec<Notice>>,
        bytes: usize,
        taken: &mut Taken,
        now: Timestamp,
    ) -> Result<(), AppendError> {
        let types = self.attributes.of(pim);
        let duplicates = taken.duplicates;
        let mut known: HashSet<String> = HashSet::new();
        for _ in 0..MAX_ROUNDS {
            let fresh = || notices.iter().filter(|notice| !known.contains(&notice.id));
            taken.duplicates = duplicates + notices.len() - fresh().count();
            let keys = keys(fresh());
            if keys.is_empty() {
                return Ok(());
            }
            if let Some(reported) = self.reported.lock().get_mut(&pim.id) {
                reported.extend(keys.iter().cloned());
            }
            let (stored, bytes) = self.stored(pim, keys, bytes).await?;
            let mut work = Work::new(stored, types.clone(), known.clone());
            let all = Arc::clone(notices);
            let doing = move || {
                all.iter().for_each(|notice| work.take(notice));
                work.done()
            };
            let made = self.aside.run(holder(pim), bytes, doing).await.map_err(stopped)?;
            (taken.deltas, taken.uncompared) = (made.deltas, made.uncompared.len());
            match self.append_made(pim, "events_api", made, now).await {
                Ok(_) => return Ok(()),
                Err(AppendNewError::Known(ids)) => known.extend(ids),
                Err(AppendNewError::Changed) => {}
                Err(AppendNewError::Append(error)) => return Err(error),
            }
        }
        Err(always_changed())
    }

    /// The last states of entities, and the bytes of work for them and `bytes`.
    async fn stored(
        &self,
        pim: &Pim,
        keys: Vec<SnapshotKey>,
        bytes: usize,
    ) -> Result<(HashMap<SnapshotKey, Snapshot>, usize), StoreError> {
        let stored = self.store.snapshots(pim.id, keys).await?;
        // They are compressed to about half.
        let held: usize = stored.values().map(|snapshot| 2 * snapshot.body.len()).sum();
        Ok((stored, bytes + held))
    }

    /// Appends the events, reports them to the observer, and logs failures. Returns the number of events.
    async fn append_made(
        &self,
        pim: &Pim,
        way: &'static str,
        mut made: Made,
        now: Timestamp,
    ) -> Result<usize, AppendNewError> {
        let (events, saves) = (std::mem::take(&mut made.events), std::mem::take(&mut made.saves));
        let count = events.len();
        self.append_new(pim, way, events, saves, now).await?;
        self.uncompared.remember(pim.id, &made.uncompared);
        self.tell_made(pim, &made);
        Ok(count)
    }

    /// Appends new events with new states, and reports them to the observer.
    async fn append_new(
        &self,
        pim: &Pim,
        way: &'static str,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
    ) -> Result<(), AppendNewError> {
        let accepted = events.len();
        let appending = Appending { pim, way, since: self.clock.wall(), request: None, events: &events };
        let trace = self.tracer.as_ref().and_then(|tracer| tracer.appending(appending));
        let appended = self.store.append_new(pim.id, events, saves, now).await;
        match (&appended, trace) {
            (Ok(()), Some(trace)) => trace.ended(Ok(Appended { accepted, duplicates: 0 })),
            (Err(AppendNewError::Append(error)), Some(trace)) => trace.ended(Err(error.to_string())),
            // Recomputed from the current state.
            (Err(AppendNewError::Known(_) | AppendNewError::Changed), _) | (_, None) => {}
        }
        appended
    }
}

/// The entities of notices, each once.
fn keys<'n>(notices: impl Iterator<Item = &'n Notice>) -> Vec<SnapshotKey> {
    let mut keys: Vec<SnapshotKey> = notices.map(|notice| notice.entity.snapshot()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn holder(pim: &Pim) -> Holder {
    Holder { pim: u64::from(pim.id.0), part: 0 }
}

fn stopped(_: Stopping) -> StoreError {
    StoreError::Unavailable("the platform is stopping".to_owned())
}

fn always_changed() -> AppendError {
    StoreError::Unavailable("too many concurrent changes of the same products".to_owned()).into()
}
