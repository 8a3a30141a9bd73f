//! The lane: the state machine of one subscription's deliveries.
//!
//! Events reach a lane in one of two ways. A **live** lane is offered each matching event as it is routed. A lane that has no room for an
//! offered event is **behind** from there on: it reads the log at its own pace until it has caught up. In between, the few events
//! that failed, were throttled or wait for their predecessor are *waiting* (see [`crate::waiting`]).
//!
//! **Nothing is settled before it is recorded:** the cursor that [`Lane::save`] gives never passes an event that is neither settled nor a
//! recorded exception, and cursor and exceptions are saved together.

mod batches;
mod contract;
mod dispatch;
mod load;
mod save;
mod settle;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::exception::{Exception, ExceptionKind};
use domain::lane_status::LaneStatus;
use domain::outcome::Failure;
use domain::{LoggedEvent, Position, Timestamp};

use crate::backoff::Backoff;
use crate::memory::Memory;
use crate::pace::Pace;
use crate::settings::Settings;
use crate::waiting::{EntityOrder, Waiting};
use crate::window::Window;

pub use contract::{Input, LaneOptions, Manner, Output, Ticket};
pub use load::Load;
pub use save::{FailureNote, LaneState};

/// A read of the log that failed is tried again after this long.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Whether a lane sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It does.
    Running,
    /// It asked for its suspension.
    Halted,
    /// Its events are kept during a suspension.
    Held,
    /// It never will again. What it did not deliver is being counted.
    Stopped,
    /// It never will again, and has forgotten what it did not deliver.
    Dropped,
}

/// How the lane comes by fresh events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Supply {
    /// They are offered.
    Live,
    /// It reads them: all matching events before `reach` are in hand, under way, waiting or settled. `reading`: where the read under
    /// way begins.
    Behind { reach: Position, reading: Option<Position>, again_at: Option<Timestamp> },
}

/// An event under way.
#[derive(Clone, Debug)]
struct Flight {
    event: Arc<LoggedEvent>,
    failures: u8,
    first_tried_at: Timestamp,
    /// Whether the event is among the waiting ones (a repeated attempt), or fresh.
    waits: bool,
    entity: u64,
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
    /// Matching events in hand, in order, not tried yet.
    fresh: VecDeque<Arc<LoggedEvent>>,
    fresh_bytes: usize,
    /// Attempts under way, each with its events.
    in_flight: BTreeMap<Ticket, Vec<Flight>>,
    /// Positions of the events under way that are not among the waiting.
    fresh_in_flight: BTreeSet<Position>,
    waiting: Waiting,
    /// While a topic does not take what it is sent.
    backoff: Option<Backoff>,
    /// After a restart: waiting events that the cursor has not passed. They wait on when the lane comes to them again.
    beyond: BTreeMap<Position, Exception>,
    order: EntityOrder,
    unsaved: save::Unsaved,
    outputs: VecDeque<Output>,
    next_ticket: u64,
    /// Fresh events sent since the last retry, while retries were due.
    fresh_since_retry: u32,
    /// The latest time that the lane was told.
    now: Timestamp,
    last_success_at: Option<Timestamp>,
    last_failure: Option<(Timestamp, Failure)>,
    /// Events that were given up since this was last asked.
    given_up: u64,
}

impl Lane {
    /// The lane of a new or resumed subscription, live from the head of the log on.
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
            fresh_in_flight: BTreeSet::new(),
            waiting: Waiting::default(),
            backoff: None,
            beyond: BTreeMap::new(),
            order: EntityOrder::default(),
            unsaved: save::Unsaved::default(),
            outputs: VecDeque::new(),
            next_ticket: 0,
            fresh_since_retry: 0,
            now: Timestamp::EPOCH,
            last_success_at: None,
            last_failure: None,
            given_up: 0,
        }
    }

    /// The lane as it was saved: it reads on from `reach`, or is live where it followed the router (`None`).
    pub fn restore(
        settings: Arc<Settings>,
        options: LaneOptions,
        reach: Option<Position>,
        memory: Option<&[u8]>,
        exceptions: impl IntoIterator<Item = Exception>,
        now: Timestamp,
    ) -> Lane {
        let mut lane = Lane::new(settings, options);
        if let Some(memory) = memory.and_then(|memory| Memory::read(memory, lane.options.destination, &lane.settings)) {
            lane.pace = memory.pace;
            lane.window = memory.window;
            lane.backoff = memory.backoff;
        }
        let mut first_of_entities = Vec::new();
        for exception in exceptions {
            // The lane will read it again: were it put among the waiting now, it would be sent twice, and before its predecessors.
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
            lane.supply = Supply::Behind { reach, reading: None, again_at: None };
        }
        lane.unsaved.cursor = reach;
        lane
    }

    /// Takes an input. Drain [`Lane::poll`] afterwards.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        if now < self.now {
            self.clock_stepped_back(now);
        }
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
            Input::Outcomes(ticket, outcomes) => self.settle(ticket, outcomes),
            Input::Configured { options, new_destination } => {
                self.options = options;
                if new_destination {
                    self.start_afresh();
                    // What the lane itself held against the old destination is void.
                    if self.phase == Phase::Halted {
                        self.phase = Phase::Running;
                    }
                }
            }
            Input::Held => {
                self.phase = Phase::Held;
                self.let_go();
                self.save_anew();
            }
            Input::Released => {
                self.start_afresh();
                self.phase = Phase::Running;
                self.save_anew();
            }
            // One that has forgotten what it did not deliver has nothing to be counted again.
            Input::Stopped if self.phase == Phase::Dropped => {}
            Input::Stopped => {
                self.phase = Phase::Stopped;
                self.let_go();
            }
            Input::Dropped => {
                self.phase = Phase::Dropped;
                self.waiting = Waiting::default();
                self.beyond.clear();
                self.order = EntityOrder::default();
                self.supply = Supply::Live;
            }
            Input::Expired(before) => self.expire(before),
            Input::Timeout => {}
        }
        self.dispatch();
    }

    /// The next thing to do, until there is nothing more.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether routed events are to be offered.
    pub fn is_live(&self) -> bool {
        self.supply == Supply::Live && self.phase == Phase::Running
    }

    /// Where the lane reads on, unless it is live.
    pub fn reach(&self) -> Option<Position> {
        match self.supply {
            Supply::Live => None,
            Supply::Behind { reach, .. } => Some(reach),
        }
    }

    /// A lane that does not send is not offered events: from `head` on it will have to read them.
    pub fn fall_behind(&mut self, head: Position) {
        if self.supply == Supply::Live && self.phase != Phase::Dropped {
            self.supply = Supply::Behind { reach: head, reading: None, again_at: None };
        }
    }

    fn start_afresh(&mut self) {
        self.pace = Pace::new(&self.settings);
        self.window = Window::default();
        self.backoff = None;
        self.unsaved.memory = true;
    }

    fn offered(&mut self, event: Arc<LoggedEvent>) {
        debug_assert!(self.is_live());
        let (events, bytes) = self.options.manner.in_hand(&self.settings);
        if self.fresh.len() >= events || (!self.fresh.is_empty() && self.fresh_bytes + event.event.size() > bytes) {
            self.fall_behind(event.position);
            return;
        }
        self.take_in_hand(event);
    }

    fn read(&mut self, events: Vec<Arc<LoggedEvent>>, next: Position, caught_up: bool) {
        let Supply::Behind { reach, reading, .. } = &mut self.supply else { return };
        let Some(from) = reading.take() else { return };
        // The lane let go of what it had in hand while this was being read: it reads again from there.
        if self.phase != Phase::Running || *reach < from {
            return;
        }
        let expired = *reach;
        *reach = next.max(expired);
        if caught_up {
            self.supply = Supply::Live;
        }
        for event in events.into_iter().filter(|event| event.position >= expired) {
            self.take_in_hand(event);
        }
    }

    fn take_in_hand(&mut self, event: Arc<LoggedEvent>) {
        self.fresh_bytes += event.event.size();
        self.fresh.push_back(event);
    }

    /// Events in hand go back to the log: they will be read again.
    fn let_go(&mut self) {
        if let Some(first) = self.fresh.front().map(|event| event.position) {
            match &mut self.supply {
                Supply::Behind { reach, .. } => *reach = first,
                Supply::Live => self.supply = Supply::Behind { reach: first, reading: None, again_at: None },
            }
        }
        self.fresh = VecDeque::new();
        self.fresh_bytes = 0;
        self.waiting.let_go();
    }

    fn expire(&mut self, before: Position) {
        if let Supply::Behind { reach, .. } = &mut self.supply {
            *reach = before.max(*reach);
        }
        while let Some(event) = self.fresh.front()
            && event.position < before
        {
            self.fresh_bytes -= event.event.size();
            self.fresh.pop_front();
        }
        while let Some(position) = self.waiting.first().filter(|position| *position < before) {
            self.forget(position);
        }
        let kept = self.beyond.split_off(&before);
        for position in std::mem::replace(&mut self.beyond, kept).into_keys() {
            self.unsaved.settled(position);
        }
    }

    /// The longest that a waiting event may have to wait by the rules.
    fn longest_wait(settings: &Settings, exception: &Exception) -> Duration {
        match exception.kind {
            ExceptionKind::Retry => {
                let index = usize::from(exception.failures).saturating_sub(1);
                settings.retry_delays.get(index).copied().unwrap_or_default()
            }
            ExceptionKind::Throttled => settings.undelivered_at_most,
            ExceptionKind::Predecessor => Duration::ZERO,
        }
    }

    fn clock_stepped_back(&mut self, now: Timestamp) {
        self.pace.clock_stepped_back(now, Duration::from_secs_f64(1.0 / self.settings.lowest_rate));
        let settings = self.settings.clone();
        self.waiting.clock_stepped_back(now, |exception| Lane::longest_wait(&settings, exception));
        if let Some(backoff) = &mut self.backoff {
            backoff.clock_stepped_back(now, &settings);
        }
        if let Supply::Behind { again_at: Some(again_at), .. } = &mut self.supply {
            *again_at = (*again_at).min(now + READ_AGAIN);
        }
    }

    /// What the lane knows of itself. The backlog of a lane that is behind is what it has at hand; the rest is in the log.
    pub fn status(&mut self, now: Timestamp) -> LaneStatus {
        let window = self.window.counts(now);
        let (waiting_retries, throttled) = self.waiting.counts();
        let again = self.backoff.as_ref().filter(|_| !self.fresh.is_empty());
        let sent_again = self.sent_again();
        let oldest = self
            .in_flight
            .values()
            .flatten()
            .map(|flight| flight.event.accepted_at)
            .chain(self.fresh.front().map(|event| event.accepted_at))
            .chain(self.waiting.iter().map(|exception| exception.first_tried_at).filter(|at| *at > Timestamp::EPOCH))
            .min();
        LaneStatus {
            rate: self.rate(),
            in_flight: self.in_flight() as u64,
            backlog: (self.fresh.len() + self.fresh_in_flight.len() + self.waiting.len()) as u64,
            oldest_accepted_at: oldest,
            waiting_retries: waiting_retries + sent_again,
            throttled,
            next_due_at: self.waiting.next_due().into_iter().chain(again.map(|backoff| backoff.until)).min(),
            delivered_in_window: window.delivered,
            failed_in_window: window.failed,
            last_success_at: self.last_success_at,
            last_failure: self.last_failure.clone(),
            ..LaneStatus::default()
        }
    }

    /// Events that a stop drops, apart from those that are still to be read: in hand and waiting, without those under way.
    pub fn undelivered(&self) -> u64 {
        (self.fresh.len() + self.waiting.len() - self.waiting.in_flight()) as u64
    }

    /// Events under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.values().map(Vec::len).sum()
    }
}
