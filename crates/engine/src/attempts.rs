//! The latest attempts of each subscription, in memory: at most [`PER_SUBSCRIPTION`] of each, and within a bound of
//! bytes for all lanes; the oldest of all go first.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::attempt::{AttemptOutcome, PastAttempt};
use domain::outcome::{Answer, ErrorReason, Failure, Outcome};
use domain::{LoggedEvent, Position, ReplayId, SubscriptionId, Timestamp};
use parking_lot::Mutex;

/// Maximum number of remembered attempts of a subscription (contract page 8).
pub const PER_SUBSCRIPTION: usize = 100;

/// Maximum memory for the attempts of all lanes in bytes (contract page 8: 64 MiB).
pub const MEMORY: usize = 64 * 1024 * 1024;

/// Maximum size of the shown body in bytes (contract page 8).
const BODY: usize = 256;

/// Memory of a lane's own data, with its share of the tables.
const PER_LANE: usize = 224;

/// Memory of a record besides its texts: its place in the order of all, in its lane's list, and the allocations.
const PER_RECORD: usize = size_of::<Attempt>() + 192;

/// An attempt to deliver an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Position of the event in the log.
    pub position: Position,
    /// Id of the event.
    pub event_id: Box<str>,
    /// Its type.
    pub event_type: Box<str>,
    /// Start of the attempt.
    pub started_at: Timestamp,
    /// Duration of the attempt.
    pub duration: Duration,
    /// Result.
    pub outcome: AttemptOutcome,
    /// Why it failed, if it did.
    pub error_reason: Option<ErrorReason>,
    /// HTTP status, if there was a response.
    pub status: Option<u16>,
    /// Beginning of the response's body, redacted, unless it was a success.
    pub body: Option<Box<str>>,
    /// The replay that made it.
    pub replay_id: Option<ReplayId>,
}

/// When an attempt was made, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Start of the attempt.
    pub started_at: Timestamp,
    /// Its duration.
    pub duration: Duration,
    /// The replay that made it.
    pub replay_id: Option<ReplayId>,
}

impl From<&Attempt> for PastAttempt {
    fn from(attempt: &Attempt) -> PastAttempt {
        PastAttempt {
            position: attempt.position,
            event_id: attempt.event_id.to_string(),
            event_type: attempt.event_type.to_string(),
            started_at: attempt.started_at,
            duration: attempt.duration,
            outcome: attempt.outcome,
            error_reason: attempt.error_reason,
            status: attempt.status,
            body: attempt.body.as_deref().map(str::to_owned),
            replay: attempt.replay_id,
        }
    }
}

impl Attempt {
    /// The records of an attempt with one outcome per event, as far as they will be remembered. `answers` are the
    /// responses that outcomes don't contain.
    pub fn of(
        events: &[Arc<LoggedEvent>],
        outcomes: &[Outcome],
        answers: &[(usize, Answer)],
        made: Made,
    ) -> Vec<Attempt> {
        let all = events.iter().zip(outcomes).enumerate().skip(events.len().saturating_sub(PER_SUBSCRIPTION));
        let answer = |place: usize| answers.iter().find(|(of, _)| *of == place).map(|(_, answer)| answer);
        all.map(|(place, (event, outcome))| Attempt::new(event, outcome, answer(place), made)).collect()
    }

    /// The platform does not attribute the destination's silence to it, yet.
    pub(crate) fn undecided(&mut self) {
        if self.outcome == AttemptOutcome::Failed {
            self.outcome = AttemptOutcome::NotCounted;
        }
    }

    fn new(event: &LoggedEvent, outcome: &Outcome, answer: Option<&Answer>, made: Made) -> Attempt {
        let (result, failure) = match outcome {
            Outcome::Delivered => (AttemptOutcome::Delivered, None),
            Outcome::Throttled { .. } => (AttemptOutcome::Throttled, None),
            Outcome::Failed(failure)
            | Outcome::Silent(failure)
            | Outcome::Refused(failure)
            | Outcome::Broken(failure) => (AttemptOutcome::Failed, Some(failure)),
            Outcome::NotProcessed(failure) => (AttemptOutcome::NotCounted, Some(failure)),
            Outcome::Ours(_) | Outcome::Abandoned => (AttemptOutcome::NotCounted, None),
        };
        let answer = failure.and_then(|failure| failure.answer.as_deref()).or(answer);
        let body = answer.and_then(|answer| answer.body.as_deref()).filter(|_| result != AttemptOutcome::Delivered);
        let status = answer.map(|answer| answer.status).or_else(|| failure.and_then(Failure::status));
        Attempt {
            position: event.position,
            event_id: event.event.id().into(),
            event_type: event.event.event_type().into(),
            started_at: made.started_at,
            duration: made.duration,
            outcome: result,
            error_reason: failure.map(|failure| failure.reason),
            status: status.or((result == AttemptOutcome::Throttled).then_some(429)),
            body: body.map(|body| body[..body.floor_char_boundary(BODY)].into()),
            replay_id: made.replay_id,
        }
    }

    fn ended_at(&self) -> Timestamp {
        self.started_at + self.duration
    }

    fn cost(&self) -> usize {
        PER_RECORD + self.event_id.len() + self.event_type.len() + self.body.as_ref().map_or(0, |body| body.len())
    }
}

/// Remembered attempts of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remembered {
    /// The attempts, the latest first.
    pub attempts: Vec<Arc<Attempt>>,
    /// All attempts that ended after it are among them.
    pub since: Timestamp,
}

/// Attempts of all subscriptions.
#[derive(Debug)]
pub struct Attempts {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// All records in the order of their ends, by number.
    records: BTreeMap<u64, (SubscriptionId, Arc<Attempt>)>,
    next: u64,
    lanes: HashMap<SubscriptionId, Lane>,
    /// Cost of everything.
    bytes: usize,
    most: usize,
    /// Lanes that are not in memory are complete from here on.
    since: Timestamp,
}

#[derive(Debug)]
struct Lane {
    /// Numbers of its records, oldest first.
    records: VecDeque<u64>,
    since: Timestamp,
}

impl Attempts {
    /// An empty memory of at most `most` bytes, which begins `now`.
    pub fn new(most: usize, now: Timestamp) -> Attempts {
        let (records, lanes) = (BTreeMap::new(), HashMap::new());
        Attempts { inner: Mutex::new(Inner { records, next: 0, lanes, bytes: 0, most, since: now }) }
    }

    /// Remembers attempts that have ended.
    pub fn add(&self, of: SubscriptionId, attempts: impl IntoIterator<Item = Attempt>) {
        let inner = &mut *self.inner.lock();
        attempts.into_iter().for_each(|attempt| inner.add(of, attempt));
    }

    /// The remembered attempts of a subscription.
    pub fn of(&self, id: SubscriptionId) -> Remembered {
        let inner = self.inner.lock();
        let Some(lane) = inner.lanes.get(&id) else {
            return Remembered { attempts: Vec::new(), since: inner.since };
        };
        let latest_first = lane.records.iter().rev();
        let attempts = latest_first.filter_map(|number| Some(inner.records.get(number)?.1.clone())).collect();
        Remembered { attempts, since: lane.since }
    }

    /// Memory used, by the same count that bounds it.
    pub fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }
}

impl Inner {
    fn add(&mut self, of: SubscriptionId, attempt: Attempt) {
        let (number, since) = (self.next, self.since);
        self.next += 1;
        self.bytes += attempt.cost();
        self.records.insert(number, (of, Arc::new(attempt)));
        let bytes = &mut self.bytes;
        let lane = self.lanes.entry(of).or_insert_with(|| {
            *bytes += PER_LANE;
            Lane { records: VecDeque::new(), since }
        });
        lane.records.push_back(number);
        if lane.records.len() > PER_SUBSCRIPTION
            && let Some(oldest) = lane.records.front().copied()
        {
            self.forget(oldest);
        }
        while self.bytes > self.most
            && let Some(oldest) = self.records.first_key_value().map(|(number, _)| *number)
        {
            self.forget(oldest);
        }
    }

    /// Forgets the oldest record of a lane.
    fn forget(&mut self, number: u64) {
        let Some((of, attempt)) = self.records.remove(&number) else { return };
        self.bytes -= attempt.cost();
        let Some(lane) = self.lanes.get_mut(&of) else { return };
        lane.records.pop_front();
        lane.since = attempt.ended_at().max(lane.since);
        if lane.records.is_empty() {
            self.since = lane.since.max(self.since);
            self.bytes -= PER_LANE;
            self.lanes.remove(&of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000) + Duration::from_secs(seconds)
    }

    fn attempt(number: u64, body: usize) -> Attempt {
        Attempt {
            position: Position(number),
            event_id: format!("event-{number}").into(),
            event_type: "com.akeneo.pim.v1.product.updated".into(),
            started_at: at(number),
            duration: Duration::from_secs(1),
            outcome: AttemptOutcome::Failed,
            error_reason: Some(ErrorReason::DestinationFailure),
            status: Some(503),
            body: Some("x".repeat(body).into()),
            replay_id: None,
        }
    }

    fn ids(remembered: &Remembered) -> Vec<&str> {
        remembered.attempts.iter().map(|attempt| &*attempt.event_id).collect()
    }

    #[test]
    fn a_subscription_has_its_latest_hundred_and_says_since_when() {
        let (attempts, id) = (Attempts::new(MEMORY, at(0)), SubscriptionId::generate());
        assert_eq!(attempts.of(id), Remembered { attempts: Vec::new(), since: at(0) });
        for number in 1..=100 {
            attempts.add(id, [attempt(number, 10)]);
        }
        assert_eq!(attempts.of(id).since, at(0));
        for number in 101..=103 {
            attempts.add(id, [attempt(number, 10)]);
        }
        let remembered = attempts.of(id);
        assert_eq!((remembered.attempts.len(), remembered.since), (100, at(4)), "the third ended at 4");
        assert_eq!((ids(&remembered)[0], ids(&remembered)[99]), ("event-103", "event-4"));
    }

    #[test]
    fn the_oldest_of_all_go_first() {
        let one = attempt(1, 10).cost();
        let attempts = Attempts::new(2 * PER_LANE + 3 * one, at(0));
        let (busy, idle) = (SubscriptionId::generate(), SubscriptionId::generate());
        attempts.add(idle, [attempt(1, 10)]);
        for number in 2..=4 {
            attempts.add(busy, [attempt(number, 10)]);
        }
        assert_eq!(attempts.of(idle), Remembered { attempts: Vec::new(), since: at(2) });
        assert_eq!((ids(&attempts.of(busy)), attempts.of(busy).since), (vec!["event-4", "event-3", "event-2"], at(0)));
        // It doesn't claim to be complete from an earlier time than that when it comes back.
        attempts.add(idle, [attempt(5, 10)]);
        assert_eq!((ids(&attempts.of(idle)), attempts.of(idle).since), (vec!["event-5"], at(2)));
    }

    /// Memory allocated for everything, from the sizes and capacities of the containers.
    fn allocated(attempts: &Attempts) -> usize {
        /// The allocator's own data of each block.
        const BLOCK: usize = 16;
        let inner = attempts.inner.lock();
        let texts = |attempt: &Attempt| {
            let body = attempt.body.as_ref().map_or(0, |body| body.len() + BLOCK);
            attempt.event_id.len() + attempt.event_type.len() + 2 * BLOCK + body
        };
        let shared = size_of::<Attempt>() + 2 * size_of::<usize>() + BLOCK;
        // The nodes of a B-tree are at least half full.
        let place = 2 * size_of::<(u64, (SubscriptionId, Arc<Attempt>))>();
        let records: usize = inner.records.values().map(|(_, attempt)| texts(attempt) + shared + place).sum();
        let lists: usize = inner.lanes.values().map(|lane| lane.records.capacity() * size_of::<u64>() + BLOCK).sum();
        // A hash table has at most seven entries in eight places, and a byte of its own for each.
        let places = inner.lanes.capacity() * 8 / 7 * (size_of::<(SubscriptionId, Lane)>() + 1);
        records + lists + places
    }

    #[test]
    fn ten_thousand_lanes_stay_within_the_bound_by_what_is_really_allocated() {
        let most = 8 * 1024 * 1024;
        let lanes: Vec<_> = (0..10_000).map(|_| SubscriptionId::generate()).collect();
        let attempts = Attempts::new(most, at(0));
        for round in 0..20 {
            for (number, lane) in lanes.iter().enumerate() {
                attempts.add(*lane, [attempt(round, number % 257)]);
            }
            let (counted, allocated) = (attempts.bytes(), allocated(&attempts));
            assert!(counted <= most, "{counted} bytes by its own count");
            assert!(allocated <= counted, "{allocated} bytes are allocated, {counted} counted");
        }
        assert!(attempts.bytes() > most - 2 * 1024, "the memory is used: {} bytes", attempts.bytes());
        let remembered: usize = lanes.iter().map(|lane| attempts.of(*lane).attempts.len()).sum();
        assert!(remembered > 10_000, "{remembered} attempts of 10,000 lanes");
        // One busy lane among them takes no more than its hundred.
        for number in 0..1_000 {
            attempts.add(lanes[0], [attempt(number, 256)]);
        }
        assert_eq!(attempts.of(lanes[0]).attempts.len(), PER_SUBSCRIPTION);
        assert!(allocated(&attempts) <= most);
    }
}
