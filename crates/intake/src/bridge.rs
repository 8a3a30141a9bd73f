//! The bridge: takes verified requests in order, and appends what comes of them in one commit with the snapshots.
//!
//! **Order.** Requests of a PIM are taken one after another, in the order in which they were read; a PIM
//! sends at most five at a time, and one takes a few milliseconds. So a delta is always made from the state before.
//!
//! **Doubles and crashes.** The store takes a request as a whole or not at all, and only if all of its events are new and
//! no snapshot was changed meanwhile. What is known already is left out together with what would follow from it; the rest
//! is made again from what is there then. A request that is sent twice therefore leads to the same events once, whenever
//! the platform was killed.
//!
//! **Others.** What computes is linear in what was sent and stored, and larger pieces of it are done aside of the runtime's
//! threads, divided fairly among PIMs.

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
use work::{Made, Work};

mod counts;
mod filling;
mod noting;
mod uncompared;
mod work;

pub use counts::Counts;
pub use filling::{Filled, Window};

/// Each round leaves out at least one known event, or meets somebody else who was faster.
const MAX_ROUNDS: usize = 100;
/// Work on more bytes than this is done aside.
const INLINE: usize = 256 * 1024;

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Events that are understood.
    pub accepted: usize,
    /// Those among them that were known already.
    pub duplicates: usize,
    /// Deltas that were made of the others.
    pub deltas: usize,
    /// Events of which nothing can be told.
    pub bad: usize,
    /// Events with an action that is not known.
    pub unknown: usize,
    /// Events without a delta because their entity cannot be compared.
    pub uncompared: usize,
}

/// A request that was not taken.
#[derive(Clone, Debug)]
pub enum TakeError {
    /// Its body is not what it should be.
    Body(BodyError),
    /// The store did not take it.
    Append(AppendError),
}

/// The bridge of all PIMs.
pub struct Bridge {
    store: Arc<dyn Store>,
    attributes: Attributes,
    turns: Mutex<HashMap<PimId, Arc<AsyncMutex<()>>>>,
    notes: Notes,
    /// Entities that requests told of since a page of the REST API was asked for, of PIMs where one is under way.
    told: Mutex<HashMap<PimId, HashSet<SnapshotKey>>>,
    uncompared: Uncompared,
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
            told: Mutex::default(),
            uncompared: Uncompared::default(),
            counters: Counters::default(),
            seldom: Lines::default(),
            aside: Aside::new(INLINE),
            tracer,
            clock,
        }
    }

    /// Where heavy work on what PIMs send is done: one for all ways in, so that they share the processors fairly.
    pub fn aside(&self) -> &Aside {
        &self.aside
    }

    /// What was counted since the start.
    pub fn counts(&self) -> Counts {
        self.counters.read()
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
        let bytes = body.as_ref().len();
        let source = pim.name.clone();
        let read = self.aside.run(holder(pim), bytes, move || read(&source, body.as_ref(), now)).await;
        let received =
            read.map_err(|stopping| TakeError::Append(stopped(stopping).into()))?.map_err(TakeError::Body)?;
        let mut taken = Taken::default();
        let notices = self.sort(pim, received, &mut taken);
        let turn = Arc::clone(self.turns.lock().entry(pim.id).or_default());
        // Fair: who comes first is first.
        let turn = turn.lock().await;
        let done = self.append(pim, notices, bytes, &mut taken, now).await;
        drop(turn);
        done.map_err(TakeError::Append)?;
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

    /// Puts what cannot be taken out of the way: told and counted.
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

    async fn append(
        &self,
        pim: &Arc<Pim>,
        notices: Vec<Notice>,
        bytes: usize,
        taken: &mut Taken,
        now: Timestamp,
    ) -> Result<(), AppendError> {
        let notices = Arc::new(notices);
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
            if let Some(told) = self.told.lock().get_mut(&pim.id) {
                told.extend(keys.iter().cloned());
            }
            let (stored, bytes) = self.stored(pim, keys, bytes).await?;
            let mut work = Work::new(stored, types.clone(), known.clone());
            let all = Arc::clone(&notices);
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

    /// The last states of entities, and the bytes of work that they make of `bytes`.
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

    /// Appends what was made, lets it be followed, and tells what could not be made. The answer is the number of events.
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
        let appending = Appending { pim, way, since: self.clock.wall(), request: None, events: &events };
        let trace = self.tracer.as_ref().and_then(|tracer| tracer.appending(appending));
        let appended = self.store.append_new(pim.id, events, saves, now).await;
        match (&appended, trace) {
            (Ok(()), Some(trace)) => trace.ended(Ok(Appended { accepted, duplicates: 0 })),
            (Err(AppendNewError::Append(error)), Some(trace)) => trace.ended(Err(error.to_string())),
            // It is made again of what is there by then.
            (Err(AppendNewError::Known(_) | AppendNewError::Changed), _) | (_, None) => {}
        }
        appended
    }
}

/// The entities that notices are about, each once.
fn keys<'n>(notices: impl Iterator<Item = &'n Notice>) -> Vec<SnapshotKey> {
    let mut keys: Vec<SnapshotKey> = notices.map(|notice| notice.subject.snapshot()).collect();
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
    StoreError::Unavailable("others changed the same products all the time".to_owned()).into()
}
