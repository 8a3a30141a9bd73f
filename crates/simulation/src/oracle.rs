//! The oracle keeps its own books: which event is owed to which subscription, and how far it has come. It knows the
//! contract (page 4) and what a restart finds in the store, and nothing of lanes.

mod batch;
mod change;
mod outcome;
mod recover;
mod send;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use domain::destination::Destination;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{LoggedEvent, Position, SubscriptionId, Timestamp};

pub use send::{Attempt, Sending};

/// How far an event has come with one subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It is to be delivered.
    Owed,
    /// It waits for its retry.
    Retry,
    /// It was throttled and waits for its turn.
    Throttled,
    /// The platform was told that it is delivered.
    Delivered,
    /// It is given up, with an error entry.
    Failed,
    /// A suspension dropped it.
    Dropped,
    /// It was older than the platform keeps events.
    Expired,
}

impl State {
    /// Whether nothing more is to be done.
    pub fn is_settled(self) -> bool {
        !matches!(self, State::Owed | State::Retry | State::Throttled)
    }
}

/// One event for one subscription.
#[derive(Clone, Debug)]
pub struct Item {
    /// How far it has come.
    pub state: State,
    /// What it is about.
    pub entity: u64,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// The attempt under way.
    pub in_flight: Option<u64>,
    /// Attempts that failed.
    pub failures: u8,
    /// When its first attempt was made, as far as that counts; and in true time.
    pub first_tried_at: Option<Timestamp>,
    first_tried: u64,
    /// When its retry is due.
    pub due_at: Timestamp,
    /// When the platform was last told of an outcome, in true time.
    pub told_at: u64,
    /// How often the endpoint's application took it.
    pub taken: u32,
    /// A crash made it unsettled again.
    pub repeated: bool,
    /// It was under way when its lane was stopped.
    pub late: bool,
    /// Whether it is delivered is left open by the contract.
    pub optional: bool,
    /// No order is promised for it: it came up while the destination was an endpoint.
    pub loose: bool,
}

/// Whether a lane remembers that an event is settled which lies behind one of its batch that is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ahead {
    Yes,
    /// That depends on how the lane came by the other one.
    Perhaps,
}

/// What a topic did not take at the last attempt.
#[derive(Clone, Debug)]
struct Back {
    /// Those events; not known after a restart.
    positions: Option<BTreeSet<u64>>,
    /// The first position behind them.
    before: u64,
    failures: u32,
    /// The earliest time at which they may be sent again.
    until: Timestamp,
    /// Nobody answered: they may be sent again as soon as anybody does.
    silent: bool,
}

/// An outcome that counts: when, and whether it was a success.
type Counted = (Timestamp, bool);

/// A topic that takes nothing.
#[derive(Clone, Debug)]
struct Unfed {
    /// How long it was tried.
    tried_for: Duration,
    /// The same when its owner was last told, and the attempts since.
    told_at: Duration,
    untold: u64,
    /// The failure before, in this run of the process.
    last: Option<Timestamp>,
}

/// One subscription.
#[derive(Clone, Debug)]
pub struct Lane {
    /// As it is stored.
    pub stored: Subscription,
    /// As the engine was told.
    pub known: Option<Subscription>,
    /// What is owed to it, by position.
    pub items: BTreeMap<u64, Item>,
    /// It asked for its suspension and was not told otherwise since.
    pub halted: bool,
    /// What it did not deliver is dropped; late answers change nothing.
    pub stopped: bool,
    /// The generation in which the ledger's lane began.
    pub began_in: u32,
    /// Counts the lanes that it had; attempts of an older one are late.
    pub number: u32,
    /// Events under way of the current one, and its attempts.
    pub in_flight: usize,
    under_way: usize,
    window: Vec<Counted>,
    back: Option<Back>,
    unfed: Option<Unfed>,
    /// When its hour is to be judged although nothing happens.
    judge_at: Option<Timestamp>,
    ahead: BTreeMap<u64, Ahead>,
    /// Events before it were too old when they were not under way.
    expired_before: u64,
    /// When the last save that was made was asked for, in true time; and the last that had a part of this lane that was
    /// taken.
    pub saved_at: u64,
    taken_at: u64,
    /// What a restart finds.
    durable: Asked,
    /// The newest event that a receiver took for the first time, by receiver, lane and what it is about.
    last_taken: HashMap<(usize, u32, u64), u64>,
    last_sent: Option<(Timestamp, f64)>,
    recently_sent: VecDeque<Timestamp>,
    pause_until: Timestamp,
    /// Failures that the platform was told of.
    pub failures_told: u64,
    /// Those that a crash may have taken away, and those of which only a clock that was set knows whether they are to
    /// be told.
    pub failures_lost: u64,
    /// Suspensions by the platform.
    pub suspensions: u64,
    /// Dropped events that may be counted beyond those that must be.
    pub may_count: u64,
    ordered_from: u64,
    /// Hold was switched on or off during the suspension.
    toggled: bool,
    /// Dropped events that the owner was told of, on stable storage.
    pub drops_told: u64,
    /// Where it last began afresh: the store has forgotten what was dropped before.
    forgotten_before: u64,
    /// Events of its PIM that were accepted while it was stopped, as long as the engine may not know that it was.
    passed_by: Vec<u64>,
    /// The generation that the last resume began, and where.
    resumed: (u32, u64),
}

/// The books.
#[derive(Debug)]
pub struct Oracle {
    /// All subscriptions.
    pub lanes: Vec<Lane>,
    by_id: HashMap<SubscriptionId, usize>,
    settings: delivery::Settings,
    /// Whether the wall clock was set.
    stepped: bool,
    /// Whether the process was started again since: due times are by the wall clock then, and what is told by minutes
    /// is not compared any more.
    pub stepped_back: bool,
    /// Crashes so far.
    pub crashes: u64,
    /// Deliveries of what the endpoint had already taken.
    pub duplicates: u64,
}

impl Oracle {
    /// Empty books.
    pub fn new(settings: delivery::Settings) -> Oracle {
        Oracle {
            lanes: Vec::new(),
            by_id: HashMap::new(),
            settings,
            stepped: false,
            stepped_back: false,
            crashes: 0,
            duplicates: 0,
        }
    }

    /// The place of a subscription.
    pub fn find(&self, id: SubscriptionId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// Events were accepted: they are owed to every subscription that is active, or keeps its events, and asks for
    /// them.
    pub fn accepted(&mut self, event: &LoggedEvent, user: u64, entity: u64) {
        for lane in &mut self.lanes {
            let stored = &lane.stored;
            let keeps = matches!(stored.status, SubscriptionStatus::Suspended(_)) && stored.options.hold;
            if stored.pim != event.pim {
                continue;
            }
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
                told_at: 0,
                taken: 0,
                repeated: false,
                late: false,
                optional: keeps && lane.toggled,
                loose: false,
            };
            lane.items.insert(event.position.0, item);
        }
    }

    /// The wall clock was set. While the process lives that changes nothing.
    pub fn clock_jumped(&mut self) {
        self.stepped = true;
    }

    /// The process starts.
    pub fn started(&mut self) {
        self.stepped_back |= self.stepped;
        if self.stepped_back {
            // The clock was set while the process was down: nothing waits for longer than for its longest pause from
            // now.
            let items = self.lanes.iter_mut().flat_map(|lane| lane.items.values_mut());
            items.filter(|item| item.state == State::Retry).for_each(|item| item.due_at = Timestamp::EPOCH);
        }
    }

    /// Events before `before` leave the log, for whoever has not delivered them; gives those.
    pub fn expired(&mut self, before: Position) -> Vec<(usize, u64)> {
        let mut expired = Vec::new();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.expired_before = before.0.max(lane.expired_before);
            for (position, item) in lane.items.range_mut(..before.0) {
                if !item.state.is_settled() {
                    if item.in_flight.is_some() {
                        // What is under way may end; then it is over.
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

    /// Whether an event is still owed to anybody.
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

    /// A save was asked for: what the books say at that moment.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = |lane: &Lane| Asked {
            window: lane.window.clone(),
            failures: lane.failures_told,
            destination: lane.known.as_ref().map(|known| known.destination.to_string()),
            back: lane.back.clone(),
            unfed: lane.unfed.clone(),
            ahead: lane.ahead.clone(),
        };
        self.lanes.iter().map(asked).collect()
    }

    /// A lane's part of a save was made, with what the lane remembers or without; or it was passed over, for it is not
    /// of the `current` generation.
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
            // What was learnt from another destination than that of now is worth nothing after a crash.
            if lane.durable.destination != Some(lane.stored.destination.to_string()) {
                lane.durable.forget_what_was_learnt();
            }
        }
        lane.durable.failures = failures;
    }
}

/// What the books say of a lane when a save is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    window: Vec<Counted>,
    failures: u64,
    /// The destination that the memory is about; none = there is no memory.
    destination: Option<String>,
    back: Option<Back>,
    unfed: Option<Unfed>,
    ahead: BTreeMap<u64, Ahead>,
}

impl Asked {
    fn forget_what_was_learnt(&mut self) {
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

/// The filter that lets one user's events pass.
pub fn user_filter(user: u64) -> String {
    format!("user=\"u{user}\"")
}
