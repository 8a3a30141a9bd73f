//! Independent books of the oracle: which event is owed to which subscription, and its progress. It knows the contract
//! (page 4) and what a restart finds in the store, but nothing of lanes.

mod batch;
mod change;
mod fates;
mod outcome;
mod recover;
mod replay;
mod send;
mod silence;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use domain::destination::Destination;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{LoggedEvent, Position, ReplayId, SubscriptionId, Timestamp};

pub use fates::Accepted;
pub use replay::Snapshot;
pub use send::{Attempt, Sending};

/// Progress of an event with one subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// To be delivered.
    Owed,
    /// Waiting for its retry.
    Retry,
    /// Throttled, waiting for its turn.
    Throttled,
    /// Reported to the platform as delivered.
    Delivered,
    /// Given up, with an error entry.
    Failed,
    /// Dropped by a suspension.
    Dropped,
    /// Older than the retention of events.
    Expired,
}

impl State {
    /// Whether nothing remains to be done.
    pub fn is_settled(self) -> bool {
        !matches!(self, State::Owed | State::Retry | State::Throttled)
    }
}

/// An event owed to a subscription.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its progress.
    pub state: State,
    /// Its entity.
    pub entity: u64,
    /// Time of acceptance.
    pub accepted_at: Timestamp,
    /// The attempt in flight.
    pub in_flight: Option<u64>,
    /// Failed attempts.
    pub failures: u8,
    /// Time of its first attempt, as far as that counts; and in true time.
    pub first_tried_at: Option<Timestamp>,
    first_tried: u64,
    /// Due time of its retry.
    pub due_at: Timestamp,
    /// Time of the last outcome reported to the platform, in true time.
    pub reported_at: u64,
    /// How often the endpoint's application accepted it.
    pub taken: u32,
    /// Whether an attempt accepted by a receiver ended, or would have ended, as a delivery; and whether a crash may
    /// have forgotten that.
    pub received: bool,
    /// See [`Item::received`].
    pub forgotten: bool,
    /// A crash made it unsettled again.
    pub repeated: bool,
    /// It was in flight when its lane was stopped.
    pub late: bool,
    /// The contract leaves open whether it is delivered.
    pub optional: bool,
    /// No order is promised for it: it was due while the destination was an endpoint.
    pub loose: bool,
}

/// Whether a lane remembers that an event is settled that lies behind an unsettled one of its batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ahead {
    Yes,
    /// Depends on how the lane got the other one.
    Perhaps,
}

/// Events rejected by a topic at the last attempt.
#[derive(Clone, Debug)]
struct Back {
    /// Those events; unknown after a restart.
    positions: Option<BTreeSet<u64>>,
    /// The first position behind them.
    before: u64,
    failures: u32,
    /// The earliest time at which they may be sent again.
    until: Timestamp,
    /// The attempt was unanswered: they may be sent again as soon as any destination responds.
    silent: bool,
}

/// An outcome that counts: its time, and whether it was a success.
type Counted = (Timestamp, bool);

/// A topic that accepts nothing.
#[derive(Clone, Debug)]
struct Unfed {
    /// Time spent trying.
    tried_for: Duration,
    /// The same when its owner was last notified, and the attempts since.
    reported_at: Duration,
    unreported: u64,
    /// The previous failure, in this run of the process.
    last: Option<Timestamp>,
}

/// Books of one subscription.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The stored version.
    pub stored: Subscription,
    /// The version known to the engine.
    pub known: Option<Subscription>,
    /// What each event of its PIM was for it when it was accepted.
    pub accepted: BTreeMap<u64, Accepted>,
    /// The events owed to it, by position.
    pub items: BTreeMap<u64, Item>,
    /// It requested its suspension and has received no other instruction since.
    pub halted: bool,
    /// Its undelivered events are dropped; late responses change nothing.
    pub stopped: bool,
    /// The generation in which the ledger's lane began.
    pub began_in: u32,
    /// Number of its current lane; attempts of an older one are late.
    pub number: u32,
    /// In-flight events of the current lane, and its attempts.
    pub in_flight: usize,
    under_way: usize,
    window: Vec<Counted>,
    /// Times of the failures by silence in it.
    silences: Vec<Timestamp>,
    /// Its silence suspends nothing before.
    suspends_from: Timestamp,
    back: Option<Back>,
    unfed: Option<Unfed>,
    /// When its hour is to be judged even without an outcome.
    judge_at: Option<Timestamp>,
    ahead: BTreeMap<u64, Ahead>,
    /// Events before it were too old while not in flight.
    expired_before: u64,
    /// Time at which the last completed save was requested, in true time; and the same of the last save with an
    /// accepted part of this lane.
    pub saved_at: u64,
    taken_at: u64,
    /// The state found by a restart.
    durable: Asked,
    /// The newest event that a receiver accepted for the first time, by receiver, lane and entity.
    last_taken: HashMap<(usize, u32, u64), u64>,
    last_sent: Option<(Timestamp, f64)>,
    /// Whether it has ever kept entities in order.
    kept_entities_in_order: bool,
    /// Whether the last attempt was a replay's; and the router's position then, if the lane kept up with it.
    replayed_last: Option<Option<u64>>,
    recently_sent: VecDeque<Timestamp>,
    pause_until: Timestamp,
    /// Failures reported to the platform.
    pub failures_reported: u64,
    /// Failures that a crash may have lost, and those for which it depends on a clock step whether they are to be
    /// reported.
    pub failures_lost: u64,
    /// Suspensions by the platform.
    pub suspensions: u64,
    /// Dropped events that may be counted beyond the mandatory ones.
    pub may_count: u64,
    ordered_from: u64,
    /// Dropped events reported to the owner, on stable storage.
    pub drops_reported: u64,
    /// Position of its last fresh start: the store has forgotten earlier drops.
    forgotten_before: u64,
    /// Events of its PIM accepted while it was stopped, as long as the engine may not know of the stop.
    passed_by: Vec<u64>,
    /// The generation begun by the last resume, and its position.
    resumed: (u32, u64),
}

/// Books of all subscriptions.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// All subscriptions.
    pub lanes: Vec<Lane>,
    by_id: HashMap<SubscriptionId, usize>,
    /// All accepted events.
    accepted: BTreeMap<u64, replay::Accepted>,
    replays: BTreeMap<ReplayId, replay::Book>,
    settings: delivery::Settings,
    silences: silence::Silences,
    /// Whether the wall clock was set.
    stepped: bool,
    /// Whether the process was started again since: due times then follow the wall clock, and values per minute are no
    /// longer compared.
    pub stepped_back: bool,
    /// Crashes so far.
    pub crashes: u64,
    /// Deliveries of events already accepted by the endpoint.
    pub duplicates: u64,
}

impl Oracle {
    /// Empty books.
    pub fn new(settings: delivery::Settings) -> Oracle {
        Oracle {
            lanes: Vec::new(),
            by_id: HashMap::new(),
            accepted: BTreeMap::new(),
            replays: BTreeMap::new(),
            settings,
            silences: Default::default(),
            stepped: false,
            stepped_back: false,
            crashes: 0,
            duplicates: 0,
        }
    }

    /// The index of a subscription.
    pub fn find(&self, id: SubscriptionId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// Events were accepted: they are owed to every subscription that is active, or keeps its events, and selects them.
    pub fn accepted(&mut self, event: &LoggedEvent, user: u64, entity: u64) {
        self.note_accepted(event, user, entity);
        for lane in &mut self.lanes {
            let stored = &lane.stored;
            let keeps = matches!(stored.status, SubscriptionStatus::Suspended(_)) && stored.options.hold;
            if stored.pim != event.pim {
                continue;
            }
            lane.accepted.insert(event.position.0, Accepted::of(stored, event, user));
            if !(stored.status.is_active() || keeps) {
                lane.passed_by.push(event.position.0);
                continue;
            }
            let typed = stored.selection.events.iter().any(|one| one.as_str() == event.event.event_type());
            let filter = stored.selection.filter.as_ref().map(|filter| filter.as_str().to_owned());
            if !typed || filter.is_some_and(|filter| filter != user_filter(user)) {
                continue;
            }
            let item = Item {
                state: State::Owed,
                entity,
                accepted_at: event.accepted_at,
                in_flight: None,
                failures: 0,
                first_tried_at: None,
                first_tried: 0,
                due_at: Timestamp::EPOCH,
                reported_at: 0,
                taken: 0,
                received: false,
                forgotten: false,
                repeated: false,
                late: false,
                optional: false,
                loose: false,
            };
            lane.items.insert(event.position.0, item);
        }
    }

    /// The wall clock was set. This changes nothing during the life of the process.
    pub fn clock_jumped(&mut self) {
        self.stepped = true;
    }

    /// The process starts.
    pub fn started(&mut self) {
        self.stepped_back |= self.stepped;
        if self.stepped_back {
            // The clock was set while the process was down: nothing waits longer from now than its longest pause.
            let items = self.lanes.iter_mut().flat_map(|lane| lane.items.values_mut());
            items.filter(|item| item.state == State::Retry).for_each(|item| item.due_at = Timestamp::EPOCH);
        }
    }

    /// Events before `before` leave the log, even if undelivered; returns the undelivered ones.
    pub fn expired(&mut self, before: Position) -> Vec<(usize, u64)> {
        let mut expired = Vec::new();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.expired_before = before.0.max(lane.expired_before);
            for (position, item) in lane.items.range_mut(..before.0) {
                if !item.state.is_settled() {
                    if item.in_flight.is_some() {
                        // An attempt in flight may complete; then it is over.
                        item.optional = true;
                        lane.may_count += 1;
                    } else {
                        lane.may_count += u64::from(item.optional);
                        item.state = State::Expired;
                        expired.push((index, *position));
                    }
                }
            }
        }
        expired
    }

    /// A subscription to which an event is still owed, if any.
    pub fn needs(&self, position: u64) -> Option<usize> {
        self.lanes.iter().position(|lane| {
            let alive = lane.stored.status.is_active()
                || matches!(lane.stored.status, SubscriptionStatus::Suspended(_)) && lane.stored.options.hold;
            let item = lane.items.get(&position);
            alive && item.is_some_and(|item| !item.state.is_settled() && !item.optional && !item.late)
        })
    }

    /// Success counts of the rolling hour.
    pub fn window(&self, lane: usize, now: Timestamp) -> (u64, u64) {
        let newest = minute(now);
        let recent = self.lanes[lane].window.iter().filter(|(at, _)| minute(*at) > newest - 60);
        recent.fold((0, 0), |(good, bad), (_, fine)| (good + u64::from(*fine), bad + u64::from(!*fine)))
    }

    /// A save was requested: snapshot of the books at that moment.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = |lane: &Lane| Asked {
            window: lane.window.clone(),
            failures: lane.failures_reported,
            destination: lane.known.as_ref().map(|known| known.destination.to_string()),
            back: lane.back.clone(),
            unfed: lane.unfed.clone(),
            ahead: lane.ahead.clone(),
        };
        self.lanes.iter().map(asked).collect()
    }

    /// A lane's part of a save was stored, with the lane's memory or without; or it was skipped because it is not of
    /// the `current` generation.
    pub fn saved(&mut self, lane: usize, asked: Asked, current: bool, with_memory: bool) {
        let lane = &mut self.lanes[lane];
        let failures = asked.failures.max(lane.durable.failures);
        if current {
            lane.taken_at = lane.saved_at;
        } else {
            lane.saved_at = lane.taken_at;
        }
        if current && with_memory {
            lane.durable = asked;
            // Knowledge about a destination other than the current one is worthless after a crash.
            if lane.durable.destination != Some(lane.stored.destination.to_string()) {
                lane.durable.forget_destination();
            }
        }
        lane.durable.failures = failures;
    }
}

/// Snapshot of a lane's books at a save request.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    window: Vec<Counted>,
    failures: u64,
    /// Destination that the memory is about; `None` without a memory.
    destination: Option<String>,
    back: Option<Back>,
    unfed: Option<Unfed>,
    ahead: BTreeMap<u64, Ahead>,
}

impl Asked {
    fn forget_destination(&mut self) {
        self.window.clear();
        self.back = None;
        self.unfed = None;
    }
}

/// Whether a subscription's events go to a topic.
pub fn is_topic(subscription: &Subscription) -> bool {
    !matches!(subscription.destination, Destination::Https(_))
}

fn minute(now: Timestamp) -> i64 {
    now.as_micros().div_euclid(60_000_000)
}

/// The filter that passes one user's events.
pub fn user_filter(user: u64) -> String {
    format!("user=\"u{user}\"")
}
