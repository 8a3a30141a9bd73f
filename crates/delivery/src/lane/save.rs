//! Durable state of a lane: its cursor, its waiting events, notes to its owner, its memory.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::exception::Exception;
use domain::fate::GivenUp;
use domain::outcome::Failure;
use domain::{Now, Position, Timestamp};

use super::{Attempt, Lane, Phase};

/// Minimum interval between saves of rate and successes. Failures are saved at once, so that a failing endpoint does
/// not benefit from our restart.
const MEMORY_EVERY: Duration = Duration::from_secs(10);

/// Changes since the last [`Lane::save`].
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    changed: BTreeSet<Position>,
    settled: BTreeSet<Position>,
    failures: Vec<FailureNote>,
    /// Events given up. Recorded once the cursor has passed them: until then a crash makes the lane try them again.
    pub(super) given_up: Vec<GivenUp>,
    /// Events delivered after the lane had stopped.
    pub(super) late: Vec<Position>,
    /// The cursor of the last save.
    pub(super) cursor: Option<Position>,
    /// The memory must be saved at once.
    pub(super) memory: bool,
    /// Everything must be saved, as if for the first time.
    anew: bool,
    /// The memory has changed slightly.
    pub(super) counted: bool,
    memory_saved_at: Timestamp,
}

impl Unsaved {
    pub(super) fn changed(&mut self, position: Position) {
        self.settled.remove(&position);
        self.changed.insert(position);
    }

    pub(super) fn settled(&mut self, position: Position) {
        self.changed.remove(&position);
        self.settled.insert(position);
    }

    pub(super) fn note(&mut self, now: Timestamp, failure: Failure, count: u64, event_id: Option<String>) {
        match self.failures.iter_mut().find(|note| note.failure.is_like(&failure)) {
            Some(note) => {
                note.count += count;
                note.failure = failure;
                note.latest = now;
                note.event_id = event_id;
            }
            None => self.failures.push(FailureNote { failure, latest: now, count, event_id }),
        }
    }
}

/// Identical failures since the last save.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailureNote {
    /// The failure.
    pub failure: Failure,
    /// Time of the latest.
    pub latest: Timestamp,
    /// Number of failures.
    pub count: u64,
    /// Event of the latest attempt, if any.
    pub event_id: Option<String>,
}

/// State to be saved.
#[derive(Clone, PartialEq, Debug)]
pub struct LaneState {
    /// All matching events before it are settled or waiting; `None` = up to the router's position.
    pub cursor: Option<Position>,
    /// New or changed waiting events.
    pub changed: Vec<Exception>,
    /// Settled waiting events.
    pub settled: Vec<Position>,
    /// Notes to the owner.
    pub failures: Vec<FailureNote>,
    /// Events given up.
    pub given_up: Vec<GivenUp>,
    /// Events delivered after the lane had stopped.
    pub late: Vec<Position>,
    /// Memory for [`Lane::restore`]; `None` = unchanged.
    pub memory: Option<Vec<u8>>,
}

impl Lane {
    /// All matching events before it are settled or waiting; `None` if the lane is live and idle.
    pub fn cursor(&self) -> Option<Position> {
        // Its undelivered events are counted and reported: late results change nothing, and a restart must not count
        // them again.
        if self.phase == Phase::Dropped {
            return None;
        }
        let in_hand = self.fresh.front().map(|event| event.position);
        let under_way = self.in_flight.values().filter_map(Attempt::first_fresh).min();
        [self.reach(), in_hand, under_way].into_iter().flatten().min()
    }

    /// The first position before the cursor whose event the lane still needs from the log: that of a waiting event.
    pub fn first_waiting(&self) -> Option<Position> {
        self.waiting.first()
    }

    /// Whether something must be saved at once.
    pub fn is_urgent(&self) -> bool {
        !self.unsaved.changed.is_empty()
            || !self.unsaved.failures.is_empty()
            || !self.unsaved.late.is_empty()
            || self.unsaved.memory
            || self.unsaved.anew
    }

    /// Takes only the notes to the owner: the last output of a replaced lane.
    pub fn take_failures(&mut self, now: impl Into<Now>) -> Vec<FailureNote> {
        let (now, notes) = (now.into(), std::mem::take(&mut self.unsaved.failures));
        notes.into_iter().map(|note| FailureNote { latest: now.on_the_wall(note.latest), ..note }).collect()
    }

    /// Takes the records of settled events that are ready to be saved: those given up, and those delivered late. An
    /// event that a crash would make the lane try again is not settled for good yet.
    pub fn take_settled(&mut self, now: impl Into<Now>) -> (Vec<GivenUp>, Vec<Position>) {
        let now = now.into();
        let all = std::mem::take(&mut self.unsaved.given_up);
        let (ready, rest) = all.into_iter().partition(|given_up| self.is_past(given_up.position));
        self.unsaved.given_up = rest;
        let on_the_wall = |given_up: GivenUp| GivenUp { at: now.on_the_wall(given_up.at), ..given_up };
        (ready.into_iter().map(on_the_wall).collect(), std::mem::take(&mut self.unsaved.late))
    }

    /// Whether the lane would not try a settled event again after a restart, once it is saved.
    fn is_past(&self, position: Position) -> bool {
        self.is_stopped() || self.ahead.contains(&position) || self.cursor().is_none_or(|cursor| position < cursor)
    }

    /// Whether there is anything to save.
    pub fn is_unsaved(&self) -> bool {
        self.is_urgent()
            || self.unsaved.given_up.iter().any(|given_up| self.is_past(given_up.position))
            || !self.unsaved.settled.is_empty()
            || self.unsaved.cursor != self.cursor()
            || self.memory_due()
    }

    fn memory_due(&self) -> bool {
        self.unsaved.counted && self.now.since(self.unsaved.memory_saved_at) >= MEMORY_EVERY
    }

    /// A save in flight may have been skipped, because it preceded a change of the subscription's status: saves all
    /// waiting events, the cursor and the memory again.
    pub(super) fn save_anew(&mut self) {
        self.unsaved.anew = true;
        self.unsaved.memory = true;
        self.unsaved.changed = self.waiting.iter().map(|exception| exception.position).collect();
        self.unsaved.changed.extend(self.beyond.keys());
    }

    /// State to be saved, with all times by the wall clock. The lane regards it as saved: the caller must ensure that.
    pub fn save(&mut self, now: impl Into<Now>) -> LaneState {
        let now = now.into();
        let cursor = self.cursor();
        self.forget_ahead();
        let with_memory = self.unsaved.memory || self.memory_due();
        if with_memory {
            self.unsaved.memory = false;
            self.unsaved.counted = false;
            self.unsaved.memory_saved_at = self.now;
        }
        self.unsaved.cursor = cursor;
        self.unsaved.anew = false;
        let changed = std::mem::take(&mut self.unsaved.changed);
        let (given_up, late) = self.take_settled(now);
        LaneState {
            cursor,
            changed: changed
                .into_iter()
                .filter_map(|position| self.waiting.get(position).or_else(|| self.beyond.get(&position)))
                .map(|exception| on_the_wall(exception, now))
                .collect(),
            settled: std::mem::take(&mut self.unsaved.settled).into_iter().collect(),
            failures: self.take_failures(now),
            given_up,
            late,
            memory: with_memory.then(|| {
                let learnt = (&self.pace, &self.window, self.backoff.as_ref(), self.unfed.as_ref());
                crate::memory::write(self.options.destination, learnt, &self.ahead, self.warned_at, now)
            }),
        }
    }
}

/// An exception in its stored form.
fn on_the_wall(exception: &Exception, now: Now) -> Exception {
    let due_at = now.on_the_wall(exception.due_at);
    Exception { due_at, first_tried_at: now.on_the_wall(exception.first_tried_at), ..exception.clone() }
}
