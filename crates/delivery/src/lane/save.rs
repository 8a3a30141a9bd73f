//! What of a lane must be on stable storage: its cursor, its waiting events, what its owner is told, its memory.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::exception::Exception;
use domain::outcome::Failure;
use domain::{Now, Position, Timestamp};

use super::{Attempt, Lane, Phase};

/// Rate and successes are saved this often at most; failures are saved at once, so that a failing endpoint does not get
/// away by our restart.
const MEMORY_EVERY: Duration = Duration::from_secs(10);

/// What has changed since the last [`Lane::save`].
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    changed: BTreeSet<Position>,
    settled: BTreeSet<Position>,
    failures: Vec<FailureNote>,
    /// The cursor of the last save.
    pub(super) cursor: Option<Position>,
    /// The memory is to be saved at once.
    pub(super) memory: bool,
    /// Everything is to be saved, as if nothing ever was.
    anew: bool,
    /// The memory has changed a little.
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

/// Equal failures since the last save.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailureNote {
    /// What went wrong.
    pub failure: Failure,
    /// When it last did.
    pub latest: Timestamp,
    /// How often.
    pub count: u64,
    /// The latest event that it was about, where an attempt was made.
    pub event_id: Option<String>,
}

/// What is to be saved of a lane.
#[derive(Clone, PartialEq, Debug)]
pub struct LaneState {
    /// All matching events before it are settled or waiting; `None` = as far as the router has come.
    pub cursor: Option<Position>,
    /// Waiting events that are new or changed.
    pub changed: Vec<Exception>,
    /// Waiting events that are settled.
    pub settled: Vec<Position>,
    /// What the owner is told.
    pub failures: Vec<FailureNote>,
    /// What [`Lane::restore`] wants back; `None` = as it was.
    pub memory: Option<Vec<u8>>,
}

impl Lane {
    /// All matching events before it are settled or waiting; `None` where the lane is live and has nothing to do.
    pub fn cursor(&self) -> Option<Position> {
        // What it did not deliver is counted and told: attempts that still end change nothing, and a restart must not
        // count again.
        if self.phase == Phase::Dropped {
            return None;
        }
        let in_hand = self.fresh.front().map(|event| event.position);
        let under_way = self.in_flight.values().filter_map(Attempt::first_fresh).min();
        [self.reach(), in_hand, under_way].into_iter().flatten().min()
    }

    /// The first position whose event the lane still needs from the log, if it is before the cursor: that of a waiting
    /// event.
    pub fn first_waiting(&self) -> Option<Position> {
        self.waiting.first()
    }

    /// Whether something happened that must be saved at once.
    pub fn is_urgent(&self) -> bool {
        !self.unsaved.changed.is_empty()
            || !self.unsaved.failures.is_empty()
            || self.unsaved.memory
            || self.unsaved.anew
    }

    /// Takes only what the owner is told: all that is left to say by a lane that was replaced.
    pub fn take_failures(&mut self, now: impl Into<Now>) -> Vec<FailureNote> {
        let (now, notes) = (now.into(), std::mem::take(&mut self.unsaved.failures));
        notes.into_iter().map(|note| FailureNote { latest: now.on_the_wall(note.latest), ..note }).collect()
    }

    /// Whether there is anything to save.
    pub fn is_unsaved(&self) -> bool {
        self.is_urgent()
            || !self.unsaved.settled.is_empty()
            || self.unsaved.cursor != self.cursor()
            || self.memory_due()
    }

    fn memory_due(&self) -> bool {
        self.unsaved.counted && self.now.since(self.unsaved.memory_saved_at) >= MEMORY_EVERY
    }

    /// A save that was under way may have been passed over, for it came from before a change of the subscription's
    /// status: all waiting events, the cursor and the memory are saved again.
    pub(super) fn save_anew(&mut self) {
        self.unsaved.anew = true;
        self.unsaved.memory = true;
        self.unsaved.changed = self.waiting.iter().map(|exception| exception.position).collect();
        self.unsaved.changed.extend(self.beyond.keys());
    }

    /// What is to be saved, all of its times by the wall clock. The lane counts it as saved: whoever takes it must see to it that it is.
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
        LaneState {
            cursor,
            changed: changed
                .into_iter()
                .filter_map(|position| self.waiting.get(position).or_else(|| self.beyond.get(&position)))
                .map(|exception| on_the_wall(exception, now))
                .collect(),
            settled: std::mem::take(&mut self.unsaved.settled).into_iter().collect(),
            failures: self.take_failures(now),
            memory: with_memory.then(|| {
                let learnt = (&self.pace, &self.window, self.backoff.as_ref(), self.unfed.as_ref());
                crate::memory::write(self.options.destination, learnt, &self.ahead, now)
            }),
        }
    }
}

/// An exception as it is stored.
fn on_the_wall(exception: &Exception, now: Now) -> Exception {
    let due_at = now.on_the_wall(exception.due_at);
    Exception { due_at, first_tried_at: now.on_the_wall(exception.first_tried_at), ..exception.clone() }
}
