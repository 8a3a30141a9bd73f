//! Appends: requests of a shard are grouped, and a group is one call of a function, so that a process that is stopped
//! or far away never holds the shard's head. Known ids and failed conditions make the call write nothing; it is
//! repeated without them.

mod groups;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use domain::{Event, LoggedEvent, PimId, Position, ServiceHour, Timestamp};
use store::known::Key;
use store::{AppendError, Appended, Condition, Shard, frame};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use self::groups::Groups;
use crate::args::{args, int, long, natural, unsigned};
use crate::failure::Failure;
use crate::follow;
use crate::hashes;
use crate::inner::{Inner, number};
use crate::lines::Line;

/// Pending requests of a shard; further callers wait.
const QUEUE: usize = 1024;
/// Delay before a producer's retry: trimming runs every few seconds.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Calls of the function per group: the first ones may only name what is known.
const CALLS: usize = 20;

/// A request.
pub(crate) struct Request {
    pub(crate) pim: PimId,
    pub(crate) events: Vec<Event>,
    pub(crate) keys: Vec<Key>,
    pub(crate) now: Timestamp,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Queue of a shard.
pub(crate) type Queue = mpsc::Sender<Request>;

/// Starts the task of a shard. It ends when the queue is closed.
pub(crate) fn start(inner: &Arc<Inner>, shard: Shard) -> Queue {
    let (queue, requests) = mpsc::channel(QUEUE);
    let inner = Arc::downgrade(inner);
    let mut groups = Groups::of(requests);
    tokio::spawn(async move {
        while let Some(group) = groups.next().await {
            let Some(inner) = Weak::upgrade(&inner) else { return };
            let (size, began) = (group.len(), tokio::time::Instant::now());
            append(&inner, shard, group).await;
            groups.committed(size, began.elapsed());
        }
    });
    queue
}

/// A request of a group that is not answered yet.
struct Open {
    request: Request,
    fresh: usize,
}

async fn append(inner: &Inner, shard: Shard, group: Vec<Request>) {
    let mut open: Vec<Open> = group.into_iter().map(|request| Open { request, fresh: 0 }).collect();
    let mut known = HashSet::new();
    let mut calls = 0;
    while !open.is_empty() {
        let batch = Batch::of(inner, &mut open, &known);
        if batch.keys.is_empty() && batch.conditions.is_empty() {
            break;
        }
        calls += 1;
        let started = Instant::now();
        let called = call(inner, shard, &batch).await;
        let result = match called {
            Ok(_) if calls > CALLS => Err(Failure::Unavailable("too many known ids in one request".to_owned())),
            other => other,
        };
        match result {
            Err(failure) => {
                inner.health.failed(&failure);
                inner.meters.failed_commits.one();
                tracing::error!(error = %failure, requests = open.len(), "an append failed");
                let error = AppendError::from(failure);
                open.drain(..).for_each(|one| answer(one.request, Err(error.clone())));
                return;
            }
            Ok(Outcome::Outdated(conditions)) => {
                // The caller judges again, by the latest registrations.
                if let Err(failure) = inner.refresh_pims().await {
                    tracing::warn!(%failure, "could not look for changed registrations");
                }
                let outdated: HashSet<usize> =
                    conditions.iter().filter_map(|index| batch.conditions.get(*index)).map(|(of, _)| *of).collect();
                let mut index = 0;
                let (gone, left) = open.into_iter().partition::<Vec<_>, _>(|_| {
                    index += 1;
                    outdated.contains(&(index - 1))
                });
                gone.into_iter().for_each(|one| answer(one.request, Err(AppendError::Outdated)));
                open = left;
            }
            Ok(Outcome::Known(found)) => {
                known.extend(found.iter().filter_map(|index| batch.keys.get(*index)).copied());
            }
            Ok(Outcome::Written(written)) => {
                inner.meters.commit_duration.observe(started.elapsed());
                inner.health.appended();
                announce(inner, shard, &written, batch.frames).await;
                break;
            }
        }
    }
    inner.meters.requests.add(open.len() as u64);
    for Open { request, fresh } in open {
        let accepted = request.events.len();
        answer(request, Ok(Appended { accepted, duplicates: accepted - fresh }));
    }
}

/// The caller may be gone: not an error.
fn answer(request: Request, result: Result<Appended, AppendError>) {
    _ = request.answer.send(result);
}

/// What a call writes.
pub(crate) struct Batch {
    pub(crate) keys: Vec<Key>,
    /// With the index of the request.
    pub(crate) conditions: Vec<(usize, Condition)>,
    pub(crate) frames: Frames,
}

impl Batch {
    /// Events that are not known, by PIM in the order of the requests. Requests that don't fit are answered.
    fn of(inner: &Inner, open: &mut Vec<Open>, known: &HashSet<Key>) -> Batch {
        let mut seen = HashSet::new();
        let mut by_pim: Vec<(PimId, Vec<(Event, Timestamp)>)> = Vec::new();
        let mut bytes: HashMap<PimId, u64> = HashMap::new();
        let (mut keys, mut conditions, mut index) = (Vec::new(), Vec::new(), 0);
        let mut full = Vec::new();
        for (place, one) in open.iter_mut().enumerate() {
            let request = &one.request;
            let fresh: Vec<usize> = (0..request.events.len())
                .filter(|event| {
                    let key = request.keys[*event];
                    !known.contains(&key) && seen.insert(key)
                })
                .collect();
            let more: u64 = fresh.iter().map(|event| request.events[*event].size() as u64).sum();
            let before = bytes.get(&request.pim).copied().unwrap_or(0);
            let lack = inner.backlog.lock().lacks(request.pim, before + more).filter(|_| !fresh.is_empty());
            if let Some(message) = lack {
                fresh.iter().for_each(|event| _ = seen.remove(&request.keys[*event]));
                full.push((place, message));
                continue;
            }
            bytes.insert(request.pim, before + more);
            one.fresh = fresh.len();
            keys.extend(fresh.iter().map(|event| request.keys[*event]));
            conditions.extend(request.conditions.iter().map(|condition| (index, condition.clone())));
            index += 1;
            let events = fresh.iter().map(|event| (request.events[*event].clone(), request.now));
            match by_pim.iter_mut().find(|(pim, _)| *pim == request.pim) {
                Some((_, taken)) => taken.extend(events),
                None => by_pim.push((request.pim, events.collect())),
            }
        }
        for (place, message) in full.into_iter().rev() {
            let error = AppendError::BacklogFull { message, retry_after: RETRY_AFTER };
            answer(open.remove(place).request, Err(error));
        }
        Batch { keys, conditions, frames: Frames::of(by_pim, inner.keep.keep_any()) }
    }

    /// Of one request, as given.
    pub(crate) fn single(
        pim: PimId,
        events: Vec<Event>,
        keys: Vec<Key>,
        now: Timestamp,
        conditions: Vec<Condition>,
        index: bool,
    ) -> Batch {
        let events = events.into_iter().map(|event| (event, now)).collect();
        let conditions = conditions.into_iter().map(|condition| (0, condition)).collect();
        Batch { keys, conditions, frames: Frames::of(vec![(pim, events)], index) }
    }
}

/// Events as frames, with positions relative to the head.
#[derive(Default)]
pub(crate) struct Frames {
    events: Vec<LoggedEvent>,
    offsets: Vec<i32>,
    pims: Vec<i32>,
    counts: Vec<i32>,
    earliest: Vec<i64>,
    latest: Vec<i64>,
    hashes: Vec<String>,
    bodies: Vec<Vec<u8>>,
}

impl Frames {
    fn of(by_pim: Vec<(PimId, Vec<(Event, Timestamp)>)>, index: bool) -> Frames {
        let mut frames = Frames::default();
        for (pim, events) in by_pim {
            let start = frames.events.len();
            for (event, accepted_at) in events {
                let position = Position(frames.events.len() as u64);
                frames.events.push(LoggedEvent { position, pim, accepted_at, event });
            }
            let logged: Vec<&LoggedEvent> = frames.events[start..].iter().collect();
            for piece in frame::split(&logged.iter().map(|event| Ref(event)).collect::<Vec<_>>()) {
                let Some(first) = piece.first() else { continue };
                let times = piece.iter().map(|event| event.0.accepted_at.as_micros());
                frames.offsets.push(first.0.position.0 as i32);
                frames.pims.push(int(pim.0));
                frames.counts.push(piece.len() as i32);
                frames.earliest.push(times.clone().min().unwrap_or_default());
                frames.latest.push(times.max().unwrap_or_default());
                let hashes = if index { hashes::of(piece.iter().map(|event| &event.0.event)) } else { "{}".to_owned() };
                frames.hashes.push(hashes);
                frames.bodies.push(frame::encode(piece));
            }
        }
        frames
    }

    /// The events at their positions, and the bytes of frames by PIM.
    pub(crate) fn at(self, first: Position) -> follow::Appended {
        let mut bytes: HashMap<PimId, u64> = HashMap::new();
        for (pim, body) in self.pims.iter().zip(&self.bodies) {
            *bytes.entry(PimId(unsigned(*pim))).or_default() += body.len() as u64;
        }
        let number = |event: LoggedEvent| {
            let position = Position(first.0 + event.position.0);
            Arc::new(LoggedEvent { position, ..event })
        };
        let events = self.events.into_iter().map(number).collect();
        follow::Appended { first, events, bytes: bytes.into_iter().collect() }
    }
}

/// A borrowed event, for the encoder.
struct Ref<'a>(&'a LoggedEvent);

impl AsRef<LoggedEvent> for Ref<'_> {
    fn as_ref(&self) -> &LoggedEvent {
        self.0
    }
}

/// Result of a call.
pub(crate) enum Outcome {
    /// Indexes of conditions that do not hold.
    Outdated(Vec<usize>),
    /// Indexes of known keys.
    Known(Vec<usize>),
    Written(Written),
}

/// A commit.
pub(crate) struct Written {
    pub(crate) first: Position,
    pub(crate) version: u64,
    pub(crate) hour: ServiceHour,
}

const CALL: &str = "SELECT first, now_version, now_hour, outdated, known \
                    FROM append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

async fn call(inner: &Inner, shard: Shard, batch: &Batch) -> Result<Outcome, Failure> {
    call_on(&inner.appends.line().await?, inner, shard, batch).await
}

/// The same on a connection, such as within a transaction.
pub(crate) async fn call_on(line: &Line, inner: &Inner, shard: Shard, batch: &Batch) -> Result<Outcome, Failure> {
    let keys: Vec<Uuid> = batch.keys.iter().map(|key| Uuid::from_u128(key.0)).collect();
    let window = inner.dedup_window.as_secs().div_ceil(3600);
    let window = i32::try_from(window).unwrap_or(i32::MAX);
    let (mut pims, mut clients, mut revisions) = (Vec::new(), Vec::new(), Vec::new());
    for (_, condition) in &batch.conditions {
        let (pim, client, revision) = match condition {
            Condition::Pim { id, revision } => (*id, None, *revision),
            Condition::Client { owner, revision } => (owner.pim, Some(owner.client_id.0.clone()), *revision),
        };
        pims.push(int(pim.0));
        clients.push(client);
        revisions.push(long(revision));
    }
    let Frames { offsets, pims: of, counts, earliest, latest, hashes, bodies, .. } = &batch.frames;
    let shard = number(shard);
    let rows = line
        .query(
            CALL,
            args![
                shard, window, pims, clients, revisions, keys, *offsets, *of, *counts, *earliest, *latest, *hashes,
                *bodies
            ],
        )
        .await?;
    let Some(row) = rows.first() else { return Err(Failure::Corrupt("an append without an answer".to_owned())) };
    let indexes = |column: usize| -> Option<Vec<usize>> {
        let numbers: Option<Vec<i32>> = row.get(column);
        // SQL counts from 1.
        Some(numbers?.into_iter().filter_map(|number| usize::try_from(number - 1).ok()).collect())
    };
    Ok(match (indexes(3), indexes(4)) {
        (Some(outdated), _) => Outcome::Outdated(outdated),
        (None, Some(known)) => Outcome::Known(known),
        (None, None) => Outcome::Written(Written {
            first: Position(natural(row.get(0))),
            version: natural(row.get(1)),
            hour: ServiceHour(unsigned(row.get(2))),
        }),
    })
}

/// Announces a commit: the changes before the events that they apply to.
pub(crate) async fn announce(inner: &Inner, shard: Shard, written: &Written, frames: Frames) {
    inner.saw_hour(written.hour);
    inner.wrote(shard, written.version);
    let appended = frames.at(written.first);
    inner.meters.events.add(appended.events.len() as u64);
    inner.meters.event_bytes.add(appended.events.iter().map(|event| event.event.size() as u64).sum());
    if !appended.events.is_empty() {
        inner.follower(shard).appended(inner, appended).await;
    }
}
