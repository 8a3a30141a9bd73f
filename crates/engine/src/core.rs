//! The core of the engine: all lanes, the router, and their state to be saved. No clock, no IO, no async.

mod backlog;
mod configure;
mod drops;
mod facts;
mod host_rate;
mod ids;
mod input;
mod lacks;
mod lanes;
mod output;
mod replay_read;
mod replaying;
mod replays;
mod room;
mod route;
mod save;
mod silence;
mod survey;
mod traffic;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use delivery::lane::LaneOptions;
use domain::destination::{Manner, number_of};
use domain::lane_status::{LaneStatus, SlowedBy};
use domain::subscription::{Ordering, Subscription};
use domain::{LoggedEvent, Now, Position, SubscriptionId, Timestamp};
use store::{LedgerRecord, StoreError};

use crate::index::Index;
use crate::settings::Settings;
use crate::trace::Routed;

use ids::{LaneId, ReadFor};
use lanes::Entry;

pub use ids::{AttemptId, ReadId};
pub use input::{Input, Reply};
pub use output::{Output, Read, Suspend, Warn};
pub use replay_read::{ReplayChunk, ReplayRead, Wanted};
pub(crate) use route::is_for;
pub use store::Floors;
pub use survey::{Figures, Lanes, Survey, Totals, suspension_names};

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
    /// Events before it may have been delivered by an earlier run.
    begun_at: Position,
    /// All events before it have been routed.
    routed: Position,
    /// Lanes that begin behind it, with their start positions.
    beginning: Vec<(Position, usize)>,
    timers: BTreeSet<(Timestamp, usize)>,
    host_rate: host_rate::HostRate,
    saver: save::Saver,
    drops: drops::Drops,
    outputs: VecDeque<Output>,
    totals: Totals,
    flow: traffic::Flow,
    backlogs: backlog::Backlogs,
    silences: silence::Silences,
    /// Lanes that lack something, by lack.
    lacking: lacks::Lacking,
    /// Results of routing, if events are traced.
    followed: Option<Vec<Routed>>,
    stopping: bool,
    /// Whether the attempt that ended last was unanswered for an unknown cause.
    undecided: bool,
    /// Time of the last input, by the steady clock used for all durations here.
    now: Timestamp,
    /// The same with the wall clock, used for stored and displayed times.
    clock: Now,
    /// Scratch buffer of the router.
    candidates: Vec<usize>,
}

impl Core {
    /// A core in its saved state; call [`Core::restore`] with all subscriptions next.
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
            begun_at: mark,
            routed: mark,
            beginning: Vec::new(),
            timers: BTreeSet::new(),
            drops: drops::Drops::default(),
            outputs: VecDeque::new(),
            totals: Totals::default(),
            flow: traffic::Flow::default(),
            backlogs: backlog::Backlogs::default(),
            silences: silence::Silences::default(),
            lacking: lacks::Lacking::default(),
            followed: None,
            stopping: false,
            undecided: false,
            now,
            clock: Now::from(now),
            candidates: Vec::new(),
        }
    }

    /// The head of the log at the start: events before it may have been delivered by an earlier run that did not save
    /// its progress.
    pub fn begins_at(&mut self, head: Position) {
        self.begun_at = head;
    }

    /// Restores all lanes from their saved state. `now` is the wall clock's time; the steady clock continues from
    /// there.
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

    /// Handles an input. Drain [`Core::poll`] afterwards. A [`Timestamp`] for `now` stands for a wall clock that is
    /// never set.
    pub fn handle(&mut self, now: impl Into<Now>, input: Input) {
        self.clock = now.into();
        self.now = self.clock.steady.max(self.now);
        self.sample_backlogs();
        self.take(input);
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Changed { version, subscriptions } => {
                for subscription in subscriptions {
                    self.changed(subscription);
                }
                self.version = self.version.max(version);
            }
            Input::Replays { replays } => self.replays_changed(replays),
            Input::Events { events, next } => self.route(&events, next),
            Input::Reply(reply) => self.reply(reply),
            Input::Heard { ago } => {
                let lanes = self.silences.answered(None, self.now - ago);
                self.try_again(lanes);
            }
            Input::Saved { result } => self.saved(result),
            Input::Expired { before } => self.expire(before),
            Input::MakeRoom { pim, before } => self.make_room(pim, before),
            Input::Stop => self.stop(),
            Input::Timeout => {}
        }
        self.fire_timers();
        self.after();
    }

    fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Outcomes { attempt, outcomes } => self.ended(attempt, outcomes),
            Reply::ReplayRead { read, result } => self.replay_read(&read, result),
            Reply::Read { id: ReadId(ReadFor::Lane(lane)), chunk } => self.lane_read(lane, chunk),
            Reply::Read { id: ReadId(ReadFor::Drop(number)), chunk } => self.count_dropped(number, chunk),
            Reply::Loaded { id: ReadId(ReadFor::Lane(lane)), positions, events } => {
                self.loaded(lane, positions, events);
            }
            Reply::Loaded { id: ReadId(ReadFor::Drop(_)), .. } => {}
        }
    }

    /// Starts recording the results of routing; take them after every input ([`Core::take_routed`]).
    pub fn follow(&mut self) {
        self.followed = Some(Vec::new());
    }

    /// Results of routing since the last call.
    pub fn take_routed(&mut self) -> Vec<Routed> {
        self.followed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The next output, until there are none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Time of the next timeout, by the steady clock; `None` = no timeout.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let lanes = self.timers.first().map(|(at, _)| *at);
        let save = self.saver.due(self.routed, &self.settings);
        [lanes, save, self.drops.again_at(), self.host_rate.due_at()].into_iter().flatten().min()
    }

    /// All events before it have been routed.
    pub fn routed(&self) -> Position {
        self.routed
    }

    /// Version of the catalogue applied by the core.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether nothing is in flight and everything is saved.
    pub fn is_quiet(&self) -> bool {
        let sends = |entry: &Entry| entry.lane.in_flight() > 0 || entry.lane.replay_attempts() > 0;
        let under_way = self.entries.iter().flatten().any(sends);
        !under_way && self.saver.is_idle(self.routed)
    }

    /// Whether the attempt that ended last was unanswered, and the destination may not be the cause.
    pub fn was_undecided(&self) -> bool {
        self.undecided
    }

    /// All subscriptions with a lane.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        self.by_subscription.keys().copied()
    }

    /// Delivery status of a subscription, and the start of the uncounted part of its backlog.
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

    /// Passes requested event bodies to a lane.
    fn loaded(&mut self, lane: LaneId, positions: Vec<Position>, events: Result<Vec<Arc<LoggedEvent>>, StoreError>) {
        let input = match events {
            Err(error) => {
                unreadable(&error);
                delivery::Input::LoadFailed(positions)
            }
            Ok(events) => {
                let found = |position: &Position| events.iter().any(|event| event.position == *position);
                let gone = positions.into_iter().filter(|position| !found(position)).collect();
                delivery::Input::Loaded { events, gone }
            }
        };
        self.tell(lane, input);
    }

    fn after(&mut self) {
        self.read_for_drops();
        self.save_if_due();
    }

    fn stop(&mut self) {
        self.stopping = true;
        for slot in 0..self.entries.len() {
            self.pause_replay(slot);
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { continue };
            // An idle lane continues to follow the mark; a working one drops the events in hand.
            let at_work =
                entry.lane.cursor().is_some() || entry.lane.first_waiting().is_some() || entry.lane.in_flight() > 0;
            if at_work && entry.lane.is_in_service() {
                entry.lane.handle(self.now, delivery::Input::Held);
                self.pump(slot);
            } else if !entry.facts.is_empty() {
                self.mark_unsaved(slot);
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

/// Number of an event's entity; 0 if it has none. A collision only causes two entities to be delivered one after
/// another.
fn entity_number(event: &LoggedEvent) -> u64 {
    let entity = domain::entity::entity_of(event.event.event_type(), event.event.data());
    entity.map_or(0, |entity| number_of(entity.as_str()))
}

/// Logs a failed read. The reader retries.
fn unreadable(error: &StoreError) {
    tracing::error!(%error, "cannot read the event log; retrying");
}

/// Delay before a failed read is retried.
const AGAIN: Duration = Duration::from_secs(1);
