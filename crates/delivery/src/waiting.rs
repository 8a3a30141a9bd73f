//! Waiting events: for a retry, for their turn after a 429, or for the previous event of the same entity.
//!
//! Their bodies are not kept: due events are reloaded from the log, a few at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::exception::{Exception, ExceptionKind};
use domain::{LoggedEvent, Position, Timestamp};

/// The waiting events of one lane.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    events: BTreeMap<Position, Item>,
    /// Sleeping events, by due time.
    asleep: BTreeSet<(Timestamp, Position)>,
    /// Due events at hand that are first in line: throttled ones, and those whose predecessor is settled.
    turns: BTreeSet<Position>,
    /// Due events at hand: retries, in the order in which they became due.
    retries: VecDeque<Position>,
    /// Number of due events whose bodies are being loaded.
    loading: usize,
    /// Number of events waiting for a retry, in any place.
    of_retries: usize,
}

#[derive(Debug)]
struct Item {
    exception: Exception,
    /// Consecutive throttlings, which determine the next pause.
    throttles: u32,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Until due or woken.
    Asleep,
    Loading,
    Ready(Arc<LoggedEvent>),
    InFlight,
}

/// A waiting event, sent again.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) event: Arc<LoggedEvent>,
    pub(crate) failures: u8,
}

impl Waiting {
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Events waiting for a retry, and for their turn.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.of_retries as u64, (self.events.len() - self.of_retries) as u64)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.events.values().filter(|item| matches!(item.place, Place::InFlight)).count()
    }

    pub(crate) fn get(&self, position: Position) -> Option<&Exception> {
        self.events.get(&position).map(|item| &item.exception)
    }

    pub(crate) fn throttles(&self, position: Position) -> u32 {
        self.events.get(&position).map_or(0, |item| item.throttles)
    }

    pub(crate) fn first(&self) -> Option<Position> {
        self.events.keys().next().copied()
    }

    /// Events before a position that are not in flight.
    pub(crate) fn at_rest_before(&self, before: Position) -> Vec<Position> {
        let old = self.events.range(..before).filter(|(_, item)| !matches!(item.place, Place::InFlight));
        old.map(|(position, _)| *position).collect()
    }

    /// First attempt of the oldest event, shortly after it was accepted.
    pub(crate) fn first_tried_at(&self) -> Option<Timestamp> {
        let (_, item) = self.events.first_key_value()?;
        Some(item.exception.first_tried_at).filter(|at| *at > Timestamp::EPOCH)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Exception> {
        self.events.values().map(|item| &item.exception)
    }

    /// Puts an event to sleep until its `due_at`, or until it is woken if it waits for its predecessor.
    pub(crate) fn put(&mut self, exception: Exception, throttles: u32) {
        let position = exception.position;
        self.forget_place(position);
        if exception.kind != ExceptionKind::Predecessor {
            self.asleep.insert((exception.due_at, position));
        }
        self.of_retries += usize::from(exception.kind == ExceptionKind::Retry);
        let before = self.events.insert(position, Item { exception, throttles, place: Place::Asleep });
        self.of_retries -= before.map_or(0, |item| usize::from(item.exception.kind == ExceptionKind::Retry));
    }

    /// Its predecessor is settled: it is first in line now.
    pub(crate) fn wake(&mut self, position: Position, now: Timestamp) {
        if let Some(item) = self.events.get_mut(&position)
            && item.exception.kind == ExceptionKind::Predecessor
            && matches!(item.place, Place::Asleep)
        {
            item.exception.due_at = now;
            self.asleep.insert((now, position));
        }
    }

    pub(crate) fn remove(&mut self, position: Position) -> Option<Exception> {
        self.forget_place(position);
        let exception = self.events.remove(&position)?.exception;
        self.of_retries -= usize::from(exception.kind == ExceptionKind::Retry);
        Some(exception)
    }

    fn forget_place(&mut self, position: Position) {
        let Some(item) = self.events.get(&position) else { return };
        match item.place {
            Place::Asleep => {
                self.asleep.remove(&(item.exception.due_at, position));
            }
            Place::Loading => self.loading -= 1,
            Place::Ready(_) => {
                self.turns.remove(&position);
                self.retries.retain(|other| *other != position);
            }
            Place::InFlight => {}
        }
    }

    /// Number of events due and at hand, or nearly so.
    pub(crate) fn at_hand(&self) -> usize {
        self.loading + self.turns.len() + self.retries.len()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.turns.is_empty() || !self.retries.is_empty()
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.asleep.first().map(|(due_at, _)| *due_at)
    }

    /// At most `max` due events, to be loaded.
    pub(crate) fn due(&mut self, now: Timestamp, max: usize) -> Vec<Position> {
        let mut due = Vec::new();
        while due.len() < max
            && let Some((due_at, position)) = self.asleep.first().copied()
            && due_at <= now
        {
            self.asleep.pop_first();
            if let Some(item) = self.events.get_mut(&position) {
                item.place = Place::Loading;
                self.loading += 1;
                due.push(position);
            }
        }
        due
    }

    /// Stores a loaded body. Bodies of events that no longer wait are dropped.
    pub(crate) fn loaded(&mut self, event: Arc<LoggedEvent>) {
        let position = event.position;
        let Some(item) = self.events.get_mut(&position) else { return };
        if !matches!(item.place, Place::Loading) {
            return;
        }
        self.loading -= 1;
        item.place = Place::Ready(event);
        match item.exception.kind {
            ExceptionKind::Retry => self.retries.push_back(position),
            ExceptionKind::Throttled | ExceptionKind::Predecessor => {
                self.turns.insert(position);
            }
        }
    }

    /// A body could not be loaded: it is due again at `due_at`. That is not saved: after a restart it is due at once.
    pub(crate) fn load_later(&mut self, position: Position, due_at: Timestamp) {
        let Some(item) = self.events.get_mut(&position) else { return };
        if matches!(item.place, Place::Loading) {
            self.loading -= 1;
            item.exception.due_at = due_at;
            item.place = Place::Asleep;
            self.asleep.insert((due_at, position));
        }
    }

    /// The first in line: the oldest throttled event.
    pub(crate) fn take_turn(&mut self) -> Option<Taken> {
        let position = self.turns.pop_first()?;
        self.take(position)
    }

    /// The longest overdue retry.
    pub(crate) fn take_retry(&mut self) -> Option<Taken> {
        let position = self.retries.pop_front()?;
        self.take(position)
    }

    fn take(&mut self, position: Position) -> Option<Taken> {
        let item = self.events.get_mut(&position)?;
        match std::mem::replace(&mut item.place, Place::InFlight) {
            Place::Ready(event) => Some(Taken { event, failures: item.exception.failures }),
            other => {
                item.place = other;
                None
            }
        }
    }

    /// Returns a taken event unsent: it is first in line.
    pub(crate) fn give_back(&mut self, event: Arc<LoggedEvent>) {
        let position = event.position;
        if let Some(item) = self.events.get_mut(&position) {
            item.place = Place::Ready(event);
            match item.exception.kind {
                ExceptionKind::Retry => self.retries.push_front(position),
                ExceptionKind::Throttled | ExceptionKind::Predecessor => {
                    self.turns.insert(position);
                }
            }
        }
    }

    /// Returns an event just put to sleep to those at hand.
    pub(crate) fn at_hand_again(&mut self, event: Arc<LoggedEvent>) {
        if let Some(exception) = self.get(event.position) {
            self.asleep.remove(&(exception.due_at, event.position));
            self.give_back(event);
        }
    }

    /// Returns a taken event unsent and releases its body.
    pub(crate) fn back_to_sleep(&mut self, position: Position) {
        if let Some(item) = self.events.get_mut(&position)
            && matches!(item.place, Place::InFlight)
        {
            item.place = Place::Asleep;
            self.asleep.insert((item.exception.due_at, position));
        }
    }

    /// Excludes a period in which no throttled event could be accepted. It is not saved, and counts after a restart.
    pub(crate) fn put_off_first_tries(&mut self, by: Duration) {
        for item in self.events.values_mut() {
            if item.exception.kind == ExceptionKind::Throttled && item.exception.first_tried_at > Timestamp::EPOCH {
                item.exception.first_tried_at = item.exception.first_tried_at + by;
            }
        }
    }

    /// Discards the old destination's responses: events waiting for their turn have it at once, as if never tried.
    /// Returns them.
    pub(crate) fn start_afresh(&mut self, now: Timestamp) -> Vec<Position> {
        let mut begun_again = Vec::new();
        for (position, item) in &mut self.events {
            if item.exception.kind == ExceptionKind::Throttled {
                item.exception.first_tried_at = Timestamp::EPOCH;
                item.throttles = 0;
                if matches!(item.place, Place::Asleep) {
                    self.asleep.remove(&(item.exception.due_at, *position));
                    item.exception.due_at = item.exception.due_at.min(now);
                    self.asleep.insert((item.exception.due_at, *position));
                }
                begun_again.push(*position);
            }
        }
        begun_again
    }

    /// Releases the bodies at hand, to free their memory while the lane is held.
    pub(crate) fn let_go(&mut self) {
        let ready: Vec<Position> = self.turns.iter().chain(self.retries.iter()).copied().collect();
        for position in ready {
            if let Some(item) = self.events.get_mut(&position) {
                item.place = Place::Asleep;
                self.asleep.insert((item.exception.due_at, position));
            }
        }
        self.turns.clear();
        self.retries.clear();
    }
}

/// The unsettled events of each entity, oldest first; only the first of them may be in flight.
#[derive(Debug, Default)]
pub(crate) struct EntityOrder {
    queues: HashMap<u64, VecDeque<Position>>,
}

impl EntityOrder {
    /// Adds an event to its entity's queue; whether it is the first. Events without an entity (0) always are.
    pub(crate) fn enter(&mut self, entity: u64, position: Position) -> bool {
        if entity == 0 {
            return true;
        }
        let queue = self.queues.entry(entity).or_default();
        queue.push_back(position);
        queue.len() == 1
    }

    /// Whether an entity has unsettled events.
    pub(crate) fn has(&self, entity: u64) -> bool {
        self.queues.contains_key(&entity)
    }

    /// Settles an event; returns the one whose turn it is now.
    pub(crate) fn leave(&mut self, entity: u64, position: Position) -> Option<Position> {
        let queue = self.queues.get_mut(&entity)?;
        let was_first = queue.front() == Some(&position);
        queue.retain(|other| *other != position);
        let next = queue.front().copied();
        if next.is_none() {
            self.queues.remove(&entity);
        }
        next.filter(|_| was_first)
    }
}
