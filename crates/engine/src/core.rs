//! The core of the engine: all lanes, the router, and what is to be saved of them. No clock, no IO, no async.

mod configure;
mod drops;
mod host_rate;
mod lacks;
mod room;
mod route;
mod save;
mod silence;
mod survey;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use delivery::lane::LaneOptions;
use delivery::{Lane, Ticket};
use domain::destination::{Manner, number_of};
use domain::lane_status::{LaneStatus, SlowedBy};
use domain::outcome::{Failure, Lack, Outcome, SuspensionReason};
use domain::subscription::{Ordering, Subscription};
use domain::{LoggedEvent, Now, PimId, Position, SubscriptionId, Timestamp};
use store::{Chunk, LedgerRecord, ReadLimit, Save};

use crate::index::Index;
use crate::settings::Settings;
use crate::trace::Routed;

pub(crate) use route::is_for;
pub use save::Floors;
pub use survey::{Figures, Lanes, Survey, Totals, suspension_names};

/// What the core is told.
#[derive(Debug)]
pub enum Input {
    /// Subscriptions changed, up to this version of the catalogue. Must be told before events that were accepted after the change.
    Changed(u64, Vec<Subscription>),
    /// All events of the log from [`Core::routed`] on, up to but without the position.
    Events(Vec<Arc<LoggedEvent>>, Position),
    /// An attempt ended, in so many outcomes as it had events. Whose a silence is ([`Outcome::Silent`]) is judged here.
    Outcomes(AttemptId, Vec<Outcome>),
    /// Somebody answered so long ago, destination or not: see [`Core::listens`].
    Heard(Duration),
    /// A read ended; `None`: it failed.
    Read(ReadId, Option<Chunk>),
    /// A load ended; `None`: it failed.
    Loaded(ReadId, Vec<Position>, Option<Vec<Arc<LoggedEvent>>>),
    /// The save under way ended.
    Saved(bool),
    /// Events before it are about to leave the log (retention).
    Expired(Position),
    /// The log is nearly full: the events of this PIM before the position are wanted out of it.
    MakeRoom(PimId, Position),
    /// Nothing is to be sent any more: the platform stops.
    Stop,
    /// Nothing happened but time.
    Timeout,
}

/// What the core asks for.
#[derive(Debug)]
pub enum Output {
    /// Send them in one attempt; answer with [`Input::Outcomes`].
    Deliver(AttemptId, Arc<Subscription>, Vec<Arc<LoggedEvent>>),
    /// Read from the log; answer with [`Input::Read`].
    Read(ReadId, PimId, Position, ReadLimit),
    /// Read these events; answer with [`Input::Loaded`].
    Load(ReadId, PimId, Vec<Position>),
    /// Save it; answer with [`Input::Saved`]. There is one save at a time.
    Save(Save),
    /// Suspend it ([`crate::suspension::change`]), unless it has changed; what comes of it arrives by [`Input::Changed`].
    /// With it goes what failed last, for the person who is told.
    Suspend(Arc<Subscription>, SuspensionReason, Option<Failure>),
    /// Close what is kept for its destination.
    Forget(SubscriptionId),
}

/// Names an attempt of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttemptId {
    lane: LaneId,
    ticket: Ticket,
    number: u32,
    started: Timestamp,
    host: u64,
}

impl AttemptId {
    /// Which attempt at its events it is, from 1; only where the core was asked to follow events.
    pub fn number(self) -> u32 {
        self.number
    }
}

/// Names a read for a lane, or for a count of dropped events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadId(ReadFor);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ReadFor {
    Lane(LaneId),
    Drop(u64),
}

/// A place among the lanes, and which lane in it: places are used again, numbers are not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct LaneId {
    slot: usize,
    number: u64,
}

/// A lane with its subscription.
#[derive(Debug)]
struct Entry {
    number: u64,
    /// The subscription's generation in which it began.
    began: u32,
    subscription: Arc<Subscription>,
    /// The host of its destination.
    host: silence::Host,
    /// The host and port with the rate that it shares; none for topics.
    paced_with: Option<host_rate::HostOf>,
    lane: Lane,
    /// What it lacked when that was last counted; and where silence, of which host.
    lack: Option<(Lack, silence::Host)>,
    /// Events before it do not concern a lane that began with this run of the platform.
    from: Position,
    timer: Option<Timestamp>,
    /// Whether it is among those to be saved.
    unsaved: bool,
    /// The first event that is needed if the platform starts again from what is saved; `None` = the mark.
    saved_floor: Option<Position>,
    /// The same, when the save under way has succeeded.
    saving_floor: Option<Position>,
    /// Whether its waiting events are to be forgotten with the next save.
    drop_exceptions: bool,
    /// Whether another lane took its place at a resume; it is kept until its last attempt has ended.
    replaced: bool,
    matched: u64,
    filtered_out: u64,
    delivered: u64,
    failed: u64,
}

/// All lanes, and the router.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    delivery: Arc<delivery::Settings>,
    version: u64,
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    by_subscription: HashMap<SubscriptionId, usize>,
    next_number: u64,
    index: Index,
    /// All events before it have been routed.
    routed: Position,
    /// Lanes that begin behind it, with where they do.
    beginning: Vec<(Position, usize)>,
    timers: BTreeSet<(Timestamp, usize)>,
    host_rate: host_rate::HostRate,
    saver: save::Saver,
    drops: drops::Drops,
    outputs: VecDeque<Output>,
    totals: Totals,
    silences: silence::Silences,
    /// Lanes that lack something, by what.
    lacking: lacks::Lacking,
    /// What became of routed events, where somebody follows them.
    followed: Option<Vec<Routed>>,
    stopping: bool,
    /// What time it is, as of the last input: everything here is measured by the clock that only goes forward.
    now: Timestamp,
    /// The same with the wall clock, by which things are stored and shown.
    clock: Now,
    /// Scratch of the router.
    candidates: Vec<usize>,
}

impl Core {
    /// The core as it was saved: tell it all subscriptions next, with [`Core::restore`].
    pub fn new(settings: Settings, mark: Position, now: Timestamp) -> Core {
        let mark = mark.max(Position::FIRST);
        Core {
            delivery: Arc::new(settings.delivery.clone()),
            saver: save::Saver::new(mark, now),
            host_rate: host_rate::HostRate::new(settings.host_rate),
            settings,
            version: 0,
            entries: Vec::new(),
            free: Vec::new(),
            by_subscription: HashMap::new(),
            next_number: 0,
            index: Index::default(),
            routed: mark,
            beginning: Vec::new(),
            timers: BTreeSet::new(),
            drops: drops::Drops::default(),
            outputs: VecDeque::new(),
            totals: Totals::default(),
            silences: silence::Silences::default(),
            lacking: lacks::Lacking::default(),
            followed: None,
            stopping: false,
            now,
            clock: Now::from(now),
            candidates: Vec::new(),
        }
    }

    /// Takes all lanes up where they were saved. `now` is what the wall clock shows; from here on the steady clock goes on from there.
    pub fn restore(&mut self, now: Timestamp, version: u64, subscriptions: Vec<Subscription>, ledger: LedgerRecord) {
        (self.now, self.clock) = (now, Now::from(now));
        self.version = version;
        // All at once: growing by doubling would leave holes as large as the lanes themselves.
        self.entries.reserve_exact(subscriptions.len());
        self.by_subscription.reserve(subscriptions.len());
        let mut records: HashMap<_, _> = ledger.lanes.into_iter().map(|record| (record.subscription, record)).collect();
        for subscription in subscriptions {
            let record = records.remove(&subscription.id);
            self.restore_lane(subscription, record);
        }
        self.after();
    }

    /// Takes an input. Drain [`Core::poll`] afterwards. A [`Timestamp`] for `now` stands for a wall clock that is never set.
    pub fn handle(&mut self, now: impl Into<Now>, input: Input) {
        self.clock = now.into();
        self.now = self.clock.steady.max(self.now);
        self.take(input);
    }

    fn take(&mut self, input: Input) {
        let now = self.now;
        match input {
            Input::Changed(version, subscriptions) => {
                for subscription in subscriptions {
                    self.changed(subscription);
                }
                self.version = self.version.max(version);
            }
            Input::Events(events, next) => self.route(&events, next),
            Input::Outcomes(attempt, outcomes) => self.ended(attempt, outcomes),
            Input::Heard(ago) => {
                let lanes = self.silences.answered(None, now - ago);
                self.try_again(lanes);
            }
            Input::Read(ReadId(ReadFor::Lane(lane)), chunk) => self.lane_read(lane, chunk),
            Input::Read(ReadId(ReadFor::Drop(number)), chunk) => self.count_dropped(number, chunk),
            Input::Loaded(ReadId(ReadFor::Lane(lane)), positions, events) => {
                let input = match events {
                    None => delivery::Input::LoadFailed(positions),
                    Some(events) => {
                        let found = |position: &Position| events.iter().any(|event| event.position == *position);
                        let gone = positions.into_iter().filter(|position| !found(position)).collect();
                        delivery::Input::Loaded { events, gone }
                    }
                };
                self.tell(lane, input);
            }
            Input::Loaded(ReadId(ReadFor::Drop(_)), ..) => {}
            Input::Saved(done) => self.saved(done),
            Input::Expired(before) => self.expire(before),
            Input::MakeRoom(pim, before) => self.make_room(pim, before),
            Input::Stop => self.stop(),
            Input::Timeout => {}
        }
        self.fire_timers();
        self.after();
    }

    /// From now on, takes note of what becomes of routed events; take it after every input ([`Core::take_routed`]).
    pub fn follow(&mut self) {
        self.followed = Some(Vec::new());
    }

    /// What became of the events that were routed since this was last asked.
    pub fn take_routed(&mut self) -> Vec<Routed> {
        self.followed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The next thing to do, until there is nothing more.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the core wants to be told the time, by the clock that only goes forward; `None` = only when something happens.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let lanes = self.timers.first().map(|(at, _)| *at);
        let save = self.saver.due(self.routed, &self.settings);
        [lanes, save, self.drops.again_at(), self.host_rate.due_at()].into_iter().flatten().min()
    }

    /// All events before it have been routed.
    pub fn routed(&self) -> Position {
        self.routed
    }

    /// The version of the catalogue that the core works by.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether nothing is under way any more and everything is saved.
    pub fn is_quiet(&self) -> bool {
        let under_way = self.entries.iter().flatten().any(|entry| entry.lane.in_flight() > 0);
        !under_way && self.saver.is_idle(self.routed)
    }

    /// How a subscription's delivery stands; with it, where the uncounted part of its backlog begins.
    pub fn status(
        &mut self,
        id: SubscriptionId,
        now: impl Into<Now>,
    ) -> Option<(LaneStatus, Option<Position>, Arc<Subscription>)> {
        let slot = *self.by_subscription.get(&id)?;
        let entry = self.entries.get_mut(slot)?.as_mut()?;
        let mut status = entry.lane.status(now);
        status.matched = entry.matched;
        status.filtered_out = entry.filtered_out;
        status.slowed_by = self.host_rate.slows(slot).then_some(SlowedBy::HostRate);
        Some((status, entry.lane.reach(), entry.subscription.clone()))
    }

    fn entry(&mut self, lane: LaneId) -> Option<&mut Entry> {
        self.entries.get_mut(lane.slot)?.as_mut().filter(|entry| entry.number == lane.number)
    }

    fn ended(&mut self, attempt: AttemptId, outcomes: Vec<Outcome>) {
        let silence = self.judge_silence(attempt, &outcomes);
        if let Some(entry) = self.entry(attempt.lane) {
            entry.count(&outcomes, silence);
        }
        self.tell(attempt.lane, delivery::Input::Outcomes(attempt.ticket, outcomes, silence));
    }

    /// Tells a lane, and does what it asks. One that is gone is told nothing.
    fn tell(&mut self, lane: LaneId, input: delivery::Input) {
        let now = self.now;
        if let Some(entry) = self.entry(lane) {
            entry.lane.handle(now, input);
            self.pump(lane.slot);
        }
    }

    /// Does what a lane asks, gives it turns to send that are free, and notes its timer.
    fn pump(&mut self, slot: usize) {
        loop {
            self.obey(slot);
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
            if entry.replaced {
                return self.pump_replaced(slot);
            }
            match entry.paced_with.filter(|_| entry.lane.wants_turn()) {
                None => self.host_rate.leave(slot),
                Some(host) if self.host_rate.turn(slot, host, self.now) => {
                    entry.lane.handle(self.now, delivery::Input::Turn);
                    continue;
                }
                // It waits until `fire_timers` gives it one.
                Some(_) => {}
            }
            return self.note(slot);
        }
    }

    /// Does what a lane asks.
    fn obey(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        if entry.replaced {
            return;
        }
        let id = LaneId { slot, number: entry.number };
        while let Some(output) = entry.lane.poll() {
            self.outputs.push_back(match output {
                delivery::Output::Send { ticket, events } => {
                    let number = if self.followed.is_some() { entry.lane.attempt_number(ticket) } else { 1 };
                    let attempt = AttemptId { lane: id, ticket, number, started: self.now, host: entry.host };
                    self.silences.tried(entry.host, self.now);
                    Output::Deliver(attempt, entry.subscription.clone(), events)
                }
                delivery::Output::Read { from, events, bytes } => {
                    // Not every event matches: reading some more at once saves turns, and what is too much is read again.
                    let limit = ReadLimit { events: events.max(1) * 4, bytes: bytes.max(1), until: self.routed };
                    Output::Read(ReadId(ReadFor::Lane(id)), entry.subscription.pim, from, limit)
                }
                delivery::Output::Load(positions) => {
                    Output::Load(ReadId(ReadFor::Lane(id)), entry.subscription.pim, positions)
                }
                delivery::Output::Suspend(reason) => {
                    Output::Suspend(entry.subscription.clone(), reason, entry.lane.last_failure().cloned())
                }
            });
        }
    }

    /// Notes what a lane has come to: its timer, what is to be saved, what it lacks.
    fn note(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        self.totals.given_up += entry.lane.take_given_up();
        // A lane that does not send is not offered events either: it reads them later, if at all.
        if !entry.lane.is_live() && entry.lane.reach().is_none() {
            entry.lane.fall_behind(self.routed);
        }
        let timer = entry.lane.poll_timeout();
        if timer != entry.timer {
            if let Some(at) = std::mem::replace(&mut entry.timer, timer) {
                self.timers.remove(&(at, slot));
            }
            if let Some(at) = timer {
                self.timers.insert((at, slot));
            }
        }
        if !entry.unsaved && entry.lane.is_unsaved() {
            entry.unsaved = true;
            self.saver.lanes.push(slot);
        }
        self.saver.urgent |= entry.unsaved && entry.lane.is_urgent();
        self.count_lack(slot);
    }

    fn fire_timers(&mut self) {
        // A lane whose timer does not move on must not hold up the loop: each fires at most once a turn.
        let due: Vec<usize> = self.timers.iter().take_while(|(at, _)| *at <= self.now).map(|(_, slot)| *slot).collect();
        for slot in due {
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { continue };
            entry.lane.handle(self.now, delivery::Input::Timeout);
            self.pump(slot);
        }
        while let Some(slot) = self.host_rate.next_turn(self.now) {
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { continue };
            entry.lane.handle(self.now, delivery::Input::Turn);
            self.pump(slot);
        }
    }

    fn after(&mut self) {
        self.read_for_drops();
        self.save_if_due();
    }

    fn stop(&mut self) {
        self.stopping = true;
        for slot in 0..self.entries.len() {
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { continue };
            // An idle lane goes on following the mark; one that is at work lets go of what it has in hand.
            let at_work =
                entry.lane.cursor().is_some() || entry.lane.first_waiting().is_some() || entry.lane.in_flight() > 0;
            if at_work && entry.lane.is_in_service() {
                entry.lane.handle(self.now, delivery::Input::Held);
                self.pump(slot);
            }
        }
        self.saver.urgent = true;
    }

    fn lane_options(subscription: &Subscription) -> LaneOptions {
        let manner = subscription.destination.descriptor().manner;
        LaneOptions {
            manner,
            // A topic's lane keeps the order of all of its events.
            entity_of: (manner == Manner::OneByOne && subscription.options.ordering == Ordering::PerEntity)
                .then_some(entity_number as fn(&LoggedEvent) -> u64),
            respect_retry_after: subscription.options.respect_retry_after,
            by_turns: manner == Manner::OneByOne,
            destination: subscription.destination.identity().number(),
        }
    }
}

/// A number that the events of one entity share; 0 for events without one. Two entities that share a number are merely delivered one after
/// another.
fn entity_number(event: &LoggedEvent) -> u64 {
    let entity = domain::entity::entity_of(event.event.event_type(), event.event.data());
    entity.map_or(0, |entity| number_of(entity.as_str()))
}

/// A read that failed is tried again after this long.
const AGAIN: Duration = Duration::from_secs(1);
