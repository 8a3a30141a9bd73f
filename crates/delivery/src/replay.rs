//! A replay: kept events of a subscription, sent once more. It is a lane of its own kind beside the live one, with its
//! own events, retries and end; pace, bounds and the platform's trouble are those of the live lane
//! (`lane/replaying.rs`).
//!
//! It leaves no traces on the live lane: nothing counts in the success window or against a topic's patience, no waiting
//! event becomes an exception, and the subscription is not suspended.
//!
//! **Each event counts once.** [`ReplayProgress`] has all unsettled events before its position, those in flight
//! included, so that a restart repeats at most what was settled since the last save.

mod contract;
mod hand;
mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::exception::{Exception, ExceptionKind};
use domain::replay::{ReplayProgress, ReplayStatus};
use domain::{LoggedEvent, Position, ReplayId, Timestamp};

use crate::lane::{LaneOptions, Ticket};
use crate::waiting::{EntityOrder, Taken, Waiting};
use hand::Hand;

pub use contract::{Begin, Input, LeftOut, Output, Part, State};
pub(crate) use settle::Circumstances;

/// Pauses before the retries of an event (contract page 8, "Replay").
const RETRY_DELAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

/// Failed attempts in a row that end a replay (contract page 8, "Replay").
const FAILURES_IN_A_ROW: u32 = 20;

/// Maximum number of unsettled events beyond those in hand: in flight and waiting. A replay at the bound takes no
/// further events until some are settled. They are saved with its progress.
const MAX_OPEN: usize = 256;

/// Maximum number of bodies of waiting events being loaded.
const MAX_LOADING: usize = 32;

/// Lowest rate of its own in events per second; a lower one counts as this.
const SLOWEST: f64 = 0.001;

/// Delay before a failed read is repeated.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Entity of all events restored in order: their own entities are unknown until they are loaded.
const RESTORED: u64 = u64::MAX;

/// An event in flight, or about to be.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) event: Arc<LoggedEvent>,
    pub(crate) failures: u8,
    throttles: u32,
    pub(crate) first_tried_at: Timestamp,
    /// Whether it is among the waiting events.
    waits: bool,
    entity: u64,
}

/// An attempt in flight.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Its destination ([`LaneOptions::destination`]).
    pub(crate) destination: u64,
    pub(crate) flights: Vec<Flight>,
}

/// A topic's undelivered batch, to be sent again in its place.
#[derive(Debug)]
struct Back {
    flights: Vec<Flight>,
    until: Timestamp,
}

/// Whether a replay sends.
#[derive(Clone, PartialEq, Debug)]
enum Phase {
    Running,
    /// Stopped with the platform; continued after a restart.
    Paused,
    /// Ended by a change of the catalogue.
    Ended,
    /// Ended here; reported once nothing is in flight.
    Over(ReplayStatus, Option<String>),
}

/// A replay.
#[derive(Debug)]
pub(crate) struct Replay {
    id: ReplayId,
    end: Position,
    rate: Option<f64>,
    phase: Phase,
    /// Time of the next event by its own rate.
    next_at: Timestamp,
    hand: Hand,
    waiting: Waiting,
    order: EntityOrder,
    back: Option<Back>,
    pub(crate) in_flight: BTreeMap<Ticket, Attempt>,
    /// Progress without `open`.
    counts: ReplayProgress,
    in_a_row: u32,
    unsaved: bool,
}

impl Replay {
    pub(crate) fn begin(begin: Begin, options: &LaneOptions, batches: bool, now: Timestamp) -> Replay {
        let Begin { id, end, rate, mut progress } = begin;
        let open = std::mem::take(&mut progress.open);
        let mut replay = Replay {
            id,
            end,
            rate,
            phase: Phase::Running,
            next_at: Timestamp::EPOCH,
            hand: Hand::new(progress.next),
            waiting: Waiting::default(),
            order: EntityOrder::default(),
            back: None,
            in_flight: BTreeMap::new(),
            counts: progress,
            in_a_row: 0,
            unsaved: false,
        };
        // When they were tried is not saved: each waits for its whole pause again. In order, they wait for the longest.
        let pause = |failures: u8| usize::from(failures).checked_sub(1).map_or(Duration::ZERO, retry_delay);
        let ordered = batches || options.entity_of.is_some();
        let longest = open.iter().map(|(_, failures)| pause(*failures)).max().unwrap_or_default();
        let entity = if options.entity_of.is_some() && !batches { RESTORED } else { 0 };
        for (position, failures) in open {
            let first = replay.order.enter(entity, position);
            let kind = if first { ExceptionKind::Throttled } else { ExceptionKind::Predecessor };
            let due_at = now + if ordered { longest } else { pause(failures) };
            let first_tried_at = Timestamp::EPOCH;
            replay.waiting.put(Exception { position, kind, failures, due_at, first_tried_at, entity }, 0);
        }
        replay
    }

    pub(crate) fn id(&self) -> ReplayId {
        self.id
    }

    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Stops sending. Attempts in flight still count.
    pub(crate) fn stop(&mut self, ended: bool, now: Timestamp) {
        if self.is_running() {
            self.phase = if ended { Phase::Ended } else { Phase::Paused };
            self.unsaved = true;
            self.let_go(now);
        }
    }

    fn over(&mut self, status: ReplayStatus, reason: Option<String>) {
        if self.is_running() {
            self.phase = Phase::Over(status, reason);
            self.unsaved = true;
        }
    }

    /// Ends the replay at the end of its scope.
    pub(crate) fn end_if_done(&mut self) {
        let nothing_left = self.hand.is_at(self.end) && self.open() == 0 && self.waiting.len() == 0;
        if self.is_running() && nothing_left {
            self.over(ReplayStatus::Done, None);
        }
    }

    /// Whether it has ended and nothing is in flight any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended | Phase::Over(..)) && self.in_flight.is_empty()
    }

    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    pub(crate) fn state(&self) -> State {
        let mut progress = self.counts.clone();
        progress.next = self.hand.taken();
        let waiting = self.waiting.iter().map(|exception| (exception.position, exception.failures));
        let flights = self.flights().filter(|flight| !flight.waits);
        progress.open = waiting.chain(flights.map(|flight| (flight.event.position, flight.failures))).collect();
        progress.open.sort_unstable();
        let end = match &self.phase {
            Phase::Over(status, reason) if self.in_flight.is_empty() => Some((*status, reason.clone())),
            Phase::Over(..) | Phase::Running | Phase::Paused | Phase::Ended => None,
        };
        State { id: self.id, progress, end }
    }

    /// State to be saved. The replay regards it as saved.
    pub(crate) fn save(&mut self) -> State {
        self.unsaved = false;
        self.state()
    }

    fn flights(&self) -> impl Iterator<Item = &Flight> {
        let back = self.back.iter().flat_map(|back| &back.flights);
        self.in_flight.values().flat_map(|attempt| &attempt.flights).chain(back)
    }

    /// Unsettled events beyond those in hand.
    fn open(&self) -> usize {
        self.waiting.len() + self.flights().filter(|flight| !flight.waits).count()
    }

    /// Whether an event may be taken from those in hand.
    fn takes_fresh(&self, batches: bool) -> bool {
        if batches {
            // In order: events that failed come first.
            return self.back.is_none() && self.waiting.len() == 0 && !self.hand.is_empty();
        }
        !self.hand.is_empty() && self.open() < MAX_OPEN && !self.order.has(RESTORED)
    }

    /// Time from which the next event or batch may be sent; `None` = not before the next input.
    pub(crate) fn send_at(&self, batches: bool) -> Option<Timestamp> {
        let back_at = self.back.as_ref().map(|back| back.until);
        let ready = self.waiting.has_ready() || back_at.is_some() || self.takes_fresh(batches);
        let waits_for_back = back_at.filter(|_| batches).unwrap_or(Timestamp::EPOCH);
        (self.is_running() && ready).then(|| self.next_at.max(waits_for_back))
    }

    /// Time of the next read or load, if it is only a matter of time.
    pub(crate) fn supply_at(&self) -> Option<Timestamp> {
        let load_at = (self.waiting.at_hand() < MAX_LOADING).then(|| self.waiting.next_due()).flatten();
        let supply_at = load_at.into_iter().chain(self.hand.again_at()).min();
        supply_at.filter(|_| self.is_running())
    }

    /// The next single event.
    pub(crate) fn next_one(&mut self, entity_of: Option<fn(&LoggedEvent) -> u64>, now: Timestamp) -> Option<Flight> {
        if let Some(back) = &mut self.back {
            // The destination was a topic.
            let flight = (!back.flights.is_empty()).then(|| back.flights.remove(0));
            if back.flights.is_empty() {
                self.back = None;
            }
            if flight.is_some() {
                return flight;
            }
        }
        if let Some(taken) = self.waiting.take_turn().or_else(|| self.waiting.take_retry()) {
            return Some(self.again(taken, now));
        }
        while self.takes_fresh(false)
            && let Some(event) = self.take_fresh()
        {
            let entity = entity_of.map_or(0, |entity_of| entity_of(&event));
            if self.order.enter(entity, event.position) {
                return Some(fresh(event, entity, now));
            }
            let (kind, position) = (ExceptionKind::Predecessor, event.position);
            let (due_at, first_tried_at) = (Timestamp::EPOCH, Timestamp::EPOCH);
            self.waiting.put(Exception { position, kind, failures: 0, due_at, first_tried_at, entity }, 0);
        }
        None
    }

    /// The next batch, within these bounds.
    pub(crate) fn next_batch(&mut self, events: usize, bytes: usize, now: Timestamp) -> Vec<Flight> {
        if let Some(back) = &mut self.back {
            let mut size = 0;
            let fits = |flight: &&Flight| {
                size += flight.event.event.size();
                size <= bytes || size == flight.event.event.size()
            };
            let fitting = back.flights.iter().take(events).take_while(fits).count();
            let batch = back.flights.drain(..fitting).collect();
            if back.flights.is_empty() {
                self.back = None;
            }
            return batch;
        }
        let mut batch: Vec<Flight> = Vec::new();
        let mut size = 0;
        while batch.len() < events {
            if let Some(taken) = self.waiting.take_turn().or_else(|| self.waiting.take_retry()) {
                size += taken.event.event.size();
                if size > bytes && !batch.is_empty() {
                    self.waiting.give_back(taken.event);
                    break;
                }
                batch.push(self.again(taken, now));
                continue;
            }
            size += self.hand.next_size();
            if size > bytes && !batch.is_empty() || !self.takes_fresh(true) {
                break;
            }
            let Some(event) = self.take_fresh() else { break };
            batch.push(fresh(event, 0, now));
        }
        batch
    }

    fn again(&self, Taken { event, failures }: Taken, now: Timestamp) -> Flight {
        let position = event.position;
        let exception = self.waiting.get(position);
        let first_tried_at = exception.map(|exception| exception.first_tried_at).filter(|at| *at > Timestamp::EPOCH);
        Flight {
            throttles: self.waiting.throttles(position),
            first_tried_at: first_tried_at.unwrap_or(now),
            waits: true,
            entity: exception.map_or(0, |exception| exception.entity),
            event,
            failures,
        }
    }

    /// Records an attempt of this many events at this time.
    pub(crate) fn sent(&mut self, ticket: Ticket, attempt: Attempt, now: Timestamp) {
        if let Some(rate) = self.rate {
            let took = Duration::from_secs_f64(attempt.flights.len() as f64 / rate.max(SLOWEST));
            // A late timer is made up for, as the lane's is.
            self.next_at = self.next_at.max(now - Duration::from_millis(2)) + took;
        }
        self.in_flight.insert(ticket, attempt);
        self.unsaved = true;
    }

    /// Maximum number of events per batch by its own rate: one second's, so that they are spread.
    pub(crate) fn largest_batch(&self, most: usize) -> usize {
        // Saturates.
        self.rate.map_or(most, |rate| most.min(rate as usize).max(1))
    }
}

fn fresh(event: Arc<LoggedEvent>, entity: u64, now: Timestamp) -> Flight {
    Flight { event, failures: 0, throttles: 0, first_tried_at: now, waits: false, entity }
}

/// The pause after this many failures more than one.
fn retry_delay(index: usize) -> Duration {
    RETRY_DELAYS.get(index).or(RETRY_DELAYS.last()).copied().unwrap_or_default()
}
