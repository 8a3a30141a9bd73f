//! The bridge: takes verified requests in order, and appends what comes of them in one commit with the snapshots.
//!
//! **Order.** Requests of a PIM are taken one after another, in the order in which they were read; a PIM
//! sends at most five at a time, and one takes a few milliseconds. So a delta is always made from the state before.
//!
//! **Doubles and crashes.** The store takes a request as a whole or not at all, and only if all of its events are new and
//! no snapshot was changed meanwhile. What is known already is left out together with what would follow from it; the rest
//! is made again from what is there then. A request that is sent twice therefore leads to the same events once, whenever
//! the platform was killed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use domain::pim::Pim;
use domain::{Event, PimId, Timestamp};
use parking_lot::Mutex;
use store::trace::{AppendTracer, Appending};
use store::{
    AppendError, AppendNewError, Appended, BridgeNote, ChangeError, Snapshot, SnapshotKey, SnapshotSave, Store,
    StoreError,
};
use tokio::sync::Mutex as AsyncMutex;
use wire::signature::{SignatureError, SigningKey};

use crate::attributes::{AttributeSource, Attributes, Types};
use crate::delta::changes;
use crate::note::Note;
use crate::notice::{Action, BodyError, Notice, Received, read};
use crate::state::State;
use crate::{TOLERANCE, making};

mod filling;

pub use filling::{Filled, Window};

/// Each round leaves out at least one known event, or meets somebody else who was faster.
const MAX_ROUNDS: usize = 100;
/// Larger bodies are read aside.
const READ_ASIDE: usize = 256 * 1024;
/// A note is written at most so often.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Events that are understood.
    pub accepted: usize,
    /// Those among them that were known already.
    pub duplicates: usize,
    /// Deltas that were made of the others.
    pub deltas: usize,
    /// Events that are not as they should be.
    pub bad: usize,
    /// Events with an action that is not known.
    pub unknown: usize,
}

/// A request that was not taken.
#[derive(Clone, Debug)]
pub enum TakeError {
    /// Its body is not what it should be.
    Body(BodyError),
    /// The store did not take it.
    Append(AppendError),
}

/// What was counted since the start: for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Requests with a genuine signature.
    pub verified: u64,
    /// Requests that were refused because of their signature.
    pub refused: u64,
    /// Events that are understood.
    pub events: u64,
    /// Those among them that were known already.
    pub duplicates: u64,
    /// Deltas.
    pub deltas: u64,
    /// Events that are not as they should be.
    pub bad: u64,
    /// Events with an action that is not known.
    pub unknown: u64,
    /// Events that the PIM failed to send and reconciliation made, deltas aside.
    pub filled: u64,
}

#[derive(Default)]
struct Counters {
    verified: AtomicU64,
    refused: AtomicU64,
    events: AtomicU64,
    duplicates: AtomicU64,
    deltas: AtomicU64,
    bad: AtomicU64,
    unknown: AtomicU64,
    filled: AtomicU64,
}

/// What is to be noted of a PIM.
#[derive(Default)]
struct Unwritten {
    /// What came since it was last stored.
    more: Note,
    /// Somebody is about to store it.
    storing: bool,
}

/// The bridge of all PIMs.
pub struct Bridge {
    store: Arc<dyn Store>,
    attributes: Attributes,
    turns: Mutex<HashMap<PimId, Arc<AsyncMutex<()>>>>,
    notes: Arc<Mutex<HashMap<PimId, Unwritten>>>,
    /// Entities that requests told of since a page of the REST API was asked for, of PIMs where one is under way.
    told: Mutex<HashMap<PimId, HashSet<SnapshotKey>>>,
    counters: Counters,
    tracer: OnceLock<Arc<dyn AppendTracer>>,
}

impl Bridge {
    /// A bridge into this store, with attribute types from this source.
    pub fn new(store: Arc<dyn Store>, source: Option<Arc<dyn AttributeSource>>) -> Bridge {
        Bridge {
            store,
            attributes: Attributes::new(source),
            turns: Mutex::default(),
            notes: Arc::default(),
            told: Mutex::default(),
            counters: Counters::default(),
            tracer: OnceLock::new(),
        }
    }

    /// From now on, somebody follows events into the log; who did so first goes on.
    pub fn trace_with(&self, tracer: Arc<dyn AppendTracer>) {
        _ = self.tracer.set(tracer);
    }

    /// Appends new events with new states, and lets them be followed.
    async fn append_new(
        &self,
        pim: &Pim,
        way: &'static str,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
    ) -> Result<(), AppendNewError> {
        let accepted = events.len();
        let appending = Appending { pim, way, since: SystemTime::now(), request: None, events: &events };
        let trace = self.tracer.get().and_then(|tracer| tracer.appending(appending));
        let appended = self.store.append_new(pim.id, events, saves, now).await;
        match (&appended, trace) {
            (Ok(()), Some(trace)) => trace.ended(Ok(Appended { accepted, duplicates: 0 })),
            (Err(AppendNewError::Append(error)), Some(trace)) => trace.ended(Err(error.to_string())),
            // It is made again of what is there by then.
            (Err(AppendNewError::Known(_) | AppendNewError::Changed), _) | (_, None) => {}
        }
        appended
    }

    /// What was counted since the start.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            verified: read(&self.counters.verified),
            refused: read(&self.counters.refused),
            events: read(&self.counters.events),
            duplicates: read(&self.counters.duplicates),
            deltas: read(&self.counters.deltas),
            bad: read(&self.counters.bad),
            unknown: read(&self.counters.unknown),
            filled: read(&self.counters.filled),
        }
    }

    /// Checks the signature of a request of a PIM that has the bridge in use; `None` if it has not.
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

    /// Takes note of a request that is refused because of its signature.
    pub fn refused(&self, pim: &Pim, why: String, now: Timestamp) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        self.note(pim.id, |note| {
            note.refused += 1;
            note.refused_at = Some(now);
            note.refusal = Some(why);
        });
    }

    /// Takes a verified request: what can be understood of it is on stable storage when this returns. It must be run to its
    /// end, for a PIM hangs up after 0.5 s and never sends again.
    pub async fn take(
        &self,
        pim: &Arc<Pim>,
        body: impl AsRef<[u8]> + Send + 'static,
        now: Timestamp,
    ) -> Result<Taken, TakeError> {
        let received = read_somewhere(pim, body).await?;
        let mut taken = Taken::default();
        let notices = self.sort(pim, received, &mut taken);
        let turn = Arc::clone(self.turns.lock().entry(pim.id).or_default());
        // Fair: who comes first is first.
        let turn = turn.lock().await;
        let done = self.append(pim, &notices, &mut taken, now).await;
        drop(turn);
        done.map_err(TakeError::Append)?;
        let count = |counter: &AtomicU64, more: usize| counter.fetch_add(more as u64, Ordering::Relaxed);
        count(&self.counters.events, taken.accepted);
        count(&self.counters.duplicates, taken.duplicates);
        count(&self.counters.deltas, taken.deltas);
        if taken.accepted > 0 {
            self.note(pim.id, |note| {
                note.events += taken.accepted as u64;
                note.events_at = Some(now);
            });
        }
        Ok(taken)
    }

    /// Puts what cannot be taken out of the way: logged and counted.
    fn sort(&self, pim: &Pim, received: Vec<Received>, taken: &mut Taken) -> Vec<Notice> {
        let mut notices: Vec<Notice> = Vec::with_capacity(received.len());
        for one in received {
            match one {
                Received::Notice(notice) => {
                    taken.accepted += 1;
                    if notices.iter().any(|earlier| earlier.id == notice.id) {
                        taken.duplicates += 1;
                    } else {
                        notices.push(*notice);
                    }
                }
                Received::UnknownAction(action) => {
                    taken.unknown += 1;
                    self.counters.unknown.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(pim.name = %pim.name, action, "an event of the Events API has an action that this version does not know; it is left out");
                    self.note(pim.id, |note| {
                        note.unknown += 1;
                        note.unknown_action = Some(action);
                    });
                }
                Received::Bad { id, why } => {
                    taken.bad += 1;
                    self.counters.bad.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(pim.name = %pim.name, event.id = id, %why, "an event of the Events API is not as it should be; it is left out");
                    self.note(pim.id, |note| {
                        note.bad += 1;
                        note.bad_why = Some(why);
                    });
                }
            }
        }
        notices
    }

    async fn append(
        &self,
        pim: &Arc<Pim>,
        notices: &[Notice],
        taken: &mut Taken,
        now: Timestamp,
    ) -> Result<(), AppendError> {
        let types = self.attributes.of(pim);
        let duplicates = taken.duplicates;
        let mut known: HashSet<String> = HashSet::new();
        for _ in 0..MAX_ROUNDS {
            let fresh: Vec<&Notice> = notices.iter().filter(|notice| !known.contains(&notice.id)).collect();
            taken.duplicates = duplicates + notices.len() - fresh.len();
            if fresh.is_empty() {
                return Ok(());
            }
            let mut keys: Vec<SnapshotKey> = fresh.iter().map(|notice| notice.subject.snapshot()).collect();
            keys.sort_unstable();
            keys.dedup();
            if let Some(told) = self.told.lock().get_mut(&pim.id) {
                told.extend(keys.iter().cloned());
            }
            let stored = self.store.snapshots(pim.id, keys).await?;
            let mut work = Work::new(pim, stored, &types, &known);
            for notice in fresh {
                work.take(notice);
            }
            taken.deltas = work.deltas;
            let saves = work.states.into_iter().filter_map(|(key, held)| held.save(key)).collect();
            match self.append_new(pim, "events_api", work.events, saves, now).await {
                Ok(()) => return Ok(()),
                Err(AppendNewError::Known(ids)) => known.extend(ids),
                Err(AppendNewError::Changed) => {}
                Err(AppendNewError::Append(error)) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("others changed the same products all the time".to_owned()).into())
    }

    /// Adds to the note of a PIM, and sees to it that it is stored.
    fn note(&self, pim: PimId, change: impl FnOnce(&mut Note)) {
        {
            let mut notes = self.notes.lock();
            let unwritten = notes.entry(pim).or_default();
            change(&mut unwritten.more);
            if std::mem::replace(&mut unwritten.storing, true) {
                return;
            }
        }
        let (store, notes) = (Arc::clone(&self.store), Arc::clone(&self.notes));
        tokio::spawn(async move {
            loop {
                let more = {
                    let mut notes = notes.lock();
                    let Some(unwritten) = notes.get_mut(&pim) else { return };
                    if unwritten.more == Note::default() {
                        unwritten.storing = false;
                        return;
                    }
                    std::mem::take(&mut unwritten.more)
                };
                if let Err(error) = absorb(&*store, pim, more).await {
                    tracing::warn!(%error, "what `postrider pim check` shows of the Events API could not be kept");
                }
                tokio::time::sleep(NOTE_EVERY).await;
            }
        });
    }
}

/// Adds to the note of a PIM, as often as somebody else is faster.
async fn absorb(store: &dyn Store, pim: PimId, more: Note) -> Result<(), ChangeError> {
    loop {
        let kept = store.bridge_note(pim).await?.unwrap_or_default();
        let mut note = Note::from_text(&kept.text);
        note.absorb(more.clone());
        let next = BridgeNote { text: note.to_text(), ..kept };
        match store.put_bridge_note(pim, next).await {
            Err(ChangeError::Conflict) => {}
            done => return done,
        }
    }
}

/// Reads a body; a large one on a thread of its own, so that others' requests do not wait for it.
async fn read_somewhere(pim: &Arc<Pim>, body: impl AsRef<[u8]> + Send + 'static) -> Result<Vec<Received>, TakeError> {
    let received = if body.as_ref().len() <= READ_ASIDE {
        read(&pim.name, body.as_ref())
    } else {
        let pim = Arc::clone(pim);
        let aside = tokio::task::spawn_blocking(move || read(&pim.name, body.as_ref()));
        // It does not panic; it is cancelled only when the process ends.
        aside
            .await
            .map_err(|_| TakeError::Append(StoreError::Unavailable("the platform is stopping".to_owned()).into()))?
    };
    received.map_err(TakeError::Body)
}

/// The state of an entity while a request is taken.
struct Held {
    /// The revision that was read; 0 = there was none.
    seen: u64,
    state: Option<State>,
    changed: bool,
}

impl Held {
    fn save(self, key: SnapshotKey) -> Option<SnapshotSave> {
        let Held { seen, state, changed } = self;
        changed.then(|| SnapshotSave { key, seen, body: state.map(|state| state.to_snapshot()) })
    }

    fn put(&mut self, state: Option<State>) {
        self.changed |= self.state.is_some() || state.is_some();
        self.state = state;
    }
}

/// A request on its way to events and snapshots.
struct Work<'a> {
    pim: &'a Pim,
    types: &'a Types,
    known: &'a HashSet<String>,
    stored: HashMap<SnapshotKey, Snapshot>,
    states: HashMap<SnapshotKey, Held>,
    events: Vec<Event>,
    /// The ids of the events.
    ids: HashSet<String>,
    deltas: usize,
}

impl<'a> Work<'a> {
    fn new(
        pim: &'a Pim,
        stored: HashMap<SnapshotKey, Snapshot>,
        types: &'a Types,
        known: &'a HashSet<String>,
    ) -> Work<'a> {
        Work { pim, types, known, stored, states: HashMap::new(), events: Vec::new(), ids: HashSet::new(), deltas: 0 }
    }

    fn take(&mut self, notice: &Notice) {
        if !self.push(making::event(notice)) {
            return;
        }
        let key = notice.subject.snapshot();
        let held = match self.states.remove(&key) {
            Some(held) => held,
            None => self.hold(&key),
        };
        let (held, delta) = self.apply(notice, held);
        if let Some(delta) = delta {
            self.deltas += usize::from(self.push(delta));
        }
        self.states.insert(key, held);
    }

    /// Adds an event, unless its id is known or was just used.
    fn push(&mut self, event: Event) -> bool {
        let fresh = !self.known.contains(event.id()) && self.ids.insert(event.id().to_owned());
        if fresh {
            self.events.push(event);
        }
        fresh
    }

    /// What the notice makes of the state, and the delta.
    fn apply(&self, notice: &Notice, mut held: Held) -> (Held, Option<Event>) {
        let mut delta = None;
        let older = held.state.as_ref().is_some_and(|state| notice.state.is_older_than(state));
        match notice.action {
            Action::Removed => held.put(None),
            // An event that was overtaken says nothing about now.
            Action::Created | Action::Updated if older => {}
            Action::Created => held.put(Some(notice.state.clone())),
            Action::Updated => {
                if let Some(old) = &held.state {
                    delta = changes(notice.subject.kind(), old, &notice.state, self.types)
                        .map(|changes| making::delta_event(notice, &changes));
                }
                held.put(Some(notice.state.clone()));
            }
        }
        (held, delta)
    }

    fn hold(&mut self, key: &SnapshotKey) -> Held {
        let Some(Snapshot { revision, body }) = self.stored.remove(key) else {
            return Held { seen: 0, state: None, changed: false };
        };
        let state = match State::from_snapshot(&body) {
            Ok(state) => Some(state),
            Err(why) => {
                // As at first sight: no delta is better than a wrong one.
                tracing::error!(pim.name = %self.pim.name, entity = %key.key, %why, "the last state of an entity cannot be read; it is replaced");
                None
            }
        };
        Held { seen: revision, changed: state.is_none(), state }
    }
}
