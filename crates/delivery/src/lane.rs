//! The lane: state machine of one subscription's deliveries.
//!
//! Events reach a lane in one of two ways. A **live** lane is offered each matching event as it is routed. A lane
//! without room for an offered event is **behind** from there on: it reads the log at its own pace until it has caught
//! up. The few events that failed, were throttled or depend on a predecessor are *waiting* (see [`crate::waiting`]).
//! Its [`Manner`] determines how it sends: one by one to an endpoint, in batches and in order to a topic.
//!
//! **Nothing is settled before it is recorded:** the cursor returned by [`Lane::save`] never passes an event that is
//! neither settled nor a recorded exception, and cursor and exceptions are saved together.

mod contract;

mod supply;

mod batches;
mod dispatch;
mod settle;

mod trouble;

mod replaying;

mod load;
mod save;
mod status;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::destination::Manner;
use domain::exception::{Exception, ExceptionKind};
use domain::outcome::Failure;
use domain::{LoggedEvent, Position, Timestamp};

use crate::backoff::Backoff;
use crate::memory::Memory;
use crate::pace::Pace;
use crate::patience::Unfed;
use crate::replay::Replay;
use crate::settings::Settings;
use crate::waiting::{EntityOrder, Waiting};
use crate::window::Window;
use supply::{READ_AGAIN, Supply};

pub use contract::{Input, LaneOptions, Output, Ticket};
pub use load::Load;
pub use save::{FailureNote, LaneState};
pub use trouble::Silence;
pub(crate) use trouble::pause;

pub use crate::window::Counts;

/// Whether a lane sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Sends.
    Running,
    /// Has asked for its suspension.
    Halted,
    /// Keeps its events during a suspension.
    Held,
    /// Stopped for good. Its undelivered events are being counted.
    Stopped,
    /// Stopped for good, undelivered events forgotten.
    Dropped,
}

/// An event in flight.
#[derive(Clone, Debug)]
struct Flight {
    event: Arc<LoggedEvent>,
    failures: u8,
    first_tried_at: Timestamp,
    /// Whether the event is a waiting one (a repeated attempt) or fresh.
    waits: bool,
    entity: u64,
}

/// An attempt in flight.
#[derive(Debug)]
struct Attempt {
    /// Its destination ([`LaneOptions::destination`]).
    destination: u64,
    /// A batch with only batches sent since: undelivered events return to their place.
    in_order: bool,
    flights: Vec<Flight>,
}

/// One subscription's deliveries.
#[derive(Debug)]
pub struct Lane {
    settings: Arc<Settings>,
    options: LaneOptions,
    phase: Phase,
    supply: Supply,
    pace: Pace,
    window: Window,
    /// Matching events in hand, in order, not yet tried.
    fresh: VecDeque<Arc<LoggedEvent>>,
    fresh_bytes: usize,
    /// Attempts in flight.
    in_flight: BTreeMap<Ticket, Attempt>,
    waiting: Waiting,
    /// Set while a topic rejects events.
    backoff: Option<Backoff>,
    /// Set while a topic accepts nothing.
    unfed: Option<Unfed>,
    /// Set while the platform lacks something that attempts need.
    trouble: Option<trouble::Trouble>,
    /// Earliest time at which silence may lead to a suspension.
    suspends_from: Timestamp,
    /// Time of the last warning about the success rate since the last resume.
    warned_at: Option<Timestamp>,
    /// Time at which the success rate is judged even if nothing happens.
    judge_at: Option<Timestamp>,
    /// Events settled ahead of the cursor: those that a topic accepted from a partly rejected batch. At most one batch.
    /// The lane skips them if it reads them again.
    ahead: BTreeSet<Position>,
    /// Events before it are too old: all but those in flight at the time have been given up.
    expired_before: Position,
    /// After a restart: waiting events that the cursor has not passed. They resume waiting when the lane reads them
    /// again.
    beyond: BTreeMap<Position, Exception>,
    order: EntityOrder,
    unsaved: save::Unsaved,
    outputs: VecDeque<Output>,
    next_ticket: u64,
    /// Fresh events sent since the last retry while retries were due.
    fresh_since_retry: u32,
    /// Whether the lane holds an unused turn ([`LaneOptions::by_turns`]).
    has_turn: bool,
    /// A replay beside the live events.
    replay: Option<Box<Replay>>,
    /// Whether the last attempt was the replay's.
    replayed_last: bool,
    /// Latest time passed to the lane.
    now: Timestamp,
    last_success_at: Option<Timestamp>,
    last_failure: Option<(Timestamp, Failure)>,
    /// Events given up since the last query.
    given_up: u64,
}

impl Lane {
    /// The lane of a new or resumed subscription, live from the head of the log.
    pub fn new(settings: Arc<Settings>, options: LaneOptions) -> Lane {
        let pace = Pace::new(&settings);
        Lane {
            settings,
            options,
            phase: Phase::Running,
            supply: Supply::Live,
            pace,
            window: Window::default(),
            fresh: VecDeque::new(),
            fresh_bytes: 0,
            in_flight: BTreeMap::new(),
            waiting: Waiting::default(),
            backoff: None,
            unfed: None,
            trouble: None,
            suspends_from: Timestamp::EPOCH,
            warned_at: None,
            judge_at: None,
            ahead: BTreeSet::new(),
            expired_before: Position(0),
            beyond: BTreeMap::new(),
            order: EntityOrder::default(),
            unsaved: save::Unsaved::default(),
            outputs: VecDeque::new(),
            next_ticket: 0,
            fresh_since_retry: 0,
            has_turn: false,
            replay: None,
            replayed_last: false,
            now: Timestamp::EPOCH,
            last_success_at: None,
            last_failure: None,
            given_up: 0,
        }
    }

    /// The lane as saved: it continues reading at `reach`, or is live if it followed the router (`None`).
    pub fn restore(
        settings: Arc<Settings>,
        options: LaneOptions,
        reach: Option<Position>,
        memory: Option<&[u8]>,
        exceptions: impl IntoIterator<Item = Exception>,
        now: Timestamp,
    ) -> Lane {
        let mut lane = Lane::new(settings, options);
        let memory = memory.and_then(|memory| Memory::read(memory, &lane.settings));
        let mut first_of_entities = Vec::new();
        for mut exception in exceptions {
            // The wall clock may have been set since: past times are due, and nothing waits longer than its kind of
            // pause.
            exception.due_at = exception.due_at.min(now + lane.longest_wait(&exception));
            exception.first_tried_at = exception.first_tried_at.min(now);
            // The lane will read it again. If it also joined the waiting events now, it would be sent twice, and before
            // its predecessors.
            if reach.is_some_and(|reach| exception.position >= reach) {
                lane.beyond.insert(exception.position, exception);
                continue;
            }
            if lane.order.enter(exception.entity, exception.position) {
                first_of_entities.push(exception.position);
            }
            lane.waiting.put(exception, 0);
        }
        for position in first_of_entities {
            lane.waiting.wake(position, now);
        }
        if let Some(reach) = reach {
            lane.read_from(reach);
        }
        lane.now = now;
        if let Some(memory) = memory {
            lane.ahead = memory.ahead;
            lane.warned_at = memory.warned_at.map(|at| at.min(now));
            if memory.destination == options.destination {
                (lane.pace, lane.window) = (memory.pace, memory.window);
                lane.backoff = memory.backoff;
                lane.unfed = memory.unfed.map(|unfed| Unfed { since: unfed.since.min(now), ..unfed });
                lane.window.none_is_later(now);
                // The hour may have been bad enough before, with only its first failure too young.
                lane.judge_at = Some(now);
            } else {
                lane.start_afresh();
            }
        }
        lane.unsaved.cursor = reach;
        lane
    }

    /// Handles an input. Time only moves forward. Drain [`Lane::poll`] afterwards.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.now = now;
        match input {
            Input::Offered(event) => self.offered(event),
            Input::Read { events, next, caught_up } => self.read(events, next, caught_up),
            Input::ReadFailed => {
                if let Supply::Behind { reading, again_at, .. } = &mut self.supply {
                    *reading = None;
                    *again_at = Some(now + READ_AGAIN);
                }
            }
            Input::Loaded { events, gone } => {
                for event in events {
                    self.waiting.loaded(event);
                }
                for position in gone {
                    self.lost(position);
                }
            }
            Input::LoadFailed(positions) => {
                for position in positions {
                    self.waiting.load_later(position, now + READ_AGAIN);
                }
            }
            Input::Outcomes(ticket, outcomes, silence) => self.settle(ticket, outcomes, silence),
            Input::TryNow => self.try_now(),
            Input::Configured { options, new_destination } => {
                if (options.manner == Manner::OneByOne) != (self.options.manner == Manner::OneByOne) {
                    self.in_flight.values_mut().for_each(|attempt| attempt.in_order = false);
                }
                self.options = options;
                self.replay_reconfigured(new_destination);
                if new_destination {
                    self.start_afresh();
                    // Failures of the old destination are void.
                    if self.phase == Phase::Halted {
                        self.phase = Phase::Running;
                    }
                }
            }
            Input::Held => {
                self.phase = Phase::Held;
                self.trouble = None;
                self.let_go();
                self.save_anew();
            }
            Input::Released => {
                self.start_afresh();
                self.warned_at = None;
                self.phase = Phase::Running;
                self.save_anew();
            }
            // A dropped lane has nothing left to count.
            Input::Stopped if self.phase == Phase::Dropped => {}
            Input::Stopped => {
                self.phase = Phase::Stopped;
                self.trouble = None;
                self.let_go();
            }
            Input::Dropped => {
                self.phase = Phase::Dropped;
                self.waiting = Waiting::default();
                self.ahead.clear();
                self.beyond.clear();
                self.order = EntityOrder::default();
                self.supply = Supply::Live;
            }
            Input::Turn => self.has_turn = true,
            Input::Expired(before) => self.expire(before),
            Input::Replay(input) => self.replay_input(input),
            Input::Timeout => {}
        }
        self.judge_if_due();
        self.warn_if_failing();
        self.dispatch();
        // An unusable turn is lost.
        self.has_turn = false;
    }

    /// The next action; `None` once there are no more.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Discards everything learnt about the destination, including for how long each event has been rejected.
    fn start_afresh(&mut self) {
        self.pace = Pace::new(&self.settings);
        self.window = Window::default();
        (self.backoff, self.unfed, self.trouble, self.judge_at) = (None, None, None, None);
        self.suspends_from = Timestamp::EPOCH;
        self.unsaved.memory = true;
        for position in self.waiting.start_afresh(self.now) {
            self.unsaved.changed(position);
        }
    }

    /// Longest pause of a waiting event under the rules.
    fn longest_wait(&self, exception: &Exception) -> Duration {
        match exception.kind {
            ExceptionKind::Retry => {
                let index = usize::from(exception.failures).saturating_sub(1);
                self.settings.retry_delays.get(index).copied().unwrap_or_default()
            }
            ExceptionKind::Throttled if self.options.respect_retry_after => self.settings.undelivered_at_most,
            ExceptionKind::Throttled => trouble::LONGEST_PAUSE,
            ExceptionKind::Predecessor => Duration::ZERO,
        }
    }
}
