//! The driver: when the engine looks at the log, reads, routes, saves, trims and stops. No clock, no IO, no async: it
//! owns the [`Core`], is told what happened and what time it is, and asks for what is to be done. The shell carries
//! that out on tokio; the simulation does under virtual time.

mod changes;
mod input;
mod lacks;
mod request;
mod routing;
mod seen;
mod suspending;
mod trimming;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::lane_status::LaneStatus;
use domain::subscription::Subscription;
use domain::{Now, Position, SubscriptionId, Timestamp};
use store::{LedgerRecord, TenureError};

use crate::core::{self, Core, Output, Survey};
use crate::meters::Meters;
use crate::settings::Settings;

pub use input::{Input, Trimmed};
pub use request::Request;
pub use seen::Seen;

/// Pause before a failed store is asked again.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// While a destination is silent, the driver looks this often whether anybody else has answered.
const LISTEN_EVERY: Duration = Duration::from_secs(1);

/// The same sign of life, told twice, differs a little.
const SAME_SIGN: Duration = Duration::from_millis(1);

/// A stop waits this long for attempts under way (5 s each) and for the last save.
pub const STOP_AT_MOST: Duration = Duration::from_secs(15);

/// What the store knows when the engine starts.
#[derive(Debug)]
pub struct Found {
    /// How far the lanes have come.
    pub ledger: LedgerRecord,
    /// The version of the catalogue.
    pub version: u64,
    /// All subscriptions.
    pub subscriptions: Vec<Subscription>,
}

/// How a lane stands, where the uncounted part of its backlog begins, and its subscription.
pub type Standing = (LaneStatus, Option<Position>, Arc<Subscription>);

/// How a driver ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Nothing is under way, and everything is saved.
    InOrder,
    /// Its time was up before that.
    TooLate,
    /// The shard was taken over by somebody else: what was under way ends unheard, and nothing is written or sent any
    /// more.
    Fenced,
}

/// The loop around the core, as a state machine: tell it what happened with [`Driver::handle`], then do what
/// [`Driver::poll`] asks until there is nothing more, then wait for an answer or for [`Driver::poll_timeout`].
#[derive(Debug)]
pub struct Driver {
    core: Core,
    settings: Settings,
    meters: Arc<Meters>,
    clock: Now,
    requests: VecDeque<Request>,
    /// Something happened since it last did what is due.
    awake: bool,
    /// More events are at hand than are routed at once.
    more: bool,
    routing: routing::Routing,
    changes: changes::Changes,
    suspensions: suspending::Suspensions,
    trimming: trimming::Trimming,
    lacks: lacks::Lacks,
    /// When the last sign of life was that the core was told of.
    heard_at: Option<Timestamp>,
    follows: bool,
    stop_by: Option<Timestamp>,
    end: Option<End>,
}

impl Driver {
    /// Takes all lanes up where they were saved. `now` is what the wall clock shows; the steady clock goes on from
    /// there.
    pub fn new(settings: Settings, meters: Arc<Meters>, now: Timestamp, found: Found) -> Driver {
        let Found { ledger, version, subscriptions } = found;
        let mut core = Core::new(settings.clone(), ledger.mark, now);
        core.restore(now, version, subscriptions, ledger);
        Driver {
            core,
            settings,
            meters,
            clock: Now::from(now),
            requests: VecDeque::from([Request::InEffect { version }]),
            awake: true,
            more: false,
            routing: routing::Routing::default(),
            changes: changes::Changes::default(),
            suspensions: suspending::Suspensions::default(),
            trimming: trimming::Trimming::new(now),
            lacks: lacks::Lacks::default(),
            heard_at: None,
            follows: false,
            stop_by: None,
            end: None,
        }
    }

    /// From now on, tells what becomes of routed events ([`Request::Follow`]).
    pub fn follow(&mut self) {
        self.follows = true;
        self.core.follow();
    }

    /// Takes an input. Drain [`Driver::poll`] afterwards. A [`Timestamp`] for `now` stands for a wall clock that is
    /// never set; its steady part must only go forward.
    pub fn handle(&mut self, now: impl Into<Now>, input: Input) {
        if self.end == Some(End::Fenced) {
            return;
        }
        self.clock = now.into();
        // What was asked for a moment ago is still part of the same turn.
        self.awake |= !matches!(input, Input::Seen { .. } | Input::Announced { .. } | Input::Heard { .. });
        match input {
            Input::News => {}
            Input::Seen { seen } => self.seen(seen),
            Input::Announced { version } => self.announced(version),
            Input::Changed { result } => self.changed(result),
            Input::Missed { result } => self.missed(result),
            Input::SeenFor { read, seen } => self.seen_for(read, seen),
            Input::Read { id, chunk } => self.tell(core::Input::Read { id, chunk }),
            Input::Loaded { id, positions, events } => self.tell(core::Input::Loaded { id, positions, events }),
            Input::Outcomes { attempt, outcomes } => self.tell(core::Input::Outcomes { attempt, outcomes }),
            Input::Saved { result } => {
                if result.is_err() {
                    self.meters.failed_saves.one();
                }
                match result {
                    Ok(()) => self.tell(core::Input::Saved { result: Ok(()) }),
                    Err(TenureError::Store(error)) => self.tell(core::Input::Saved { result: Err(error) }),
                    Err(TenureError::Fenced) => self.fenced(),
                }
            }
            Input::Applied { result } => self.applied(result),
            Input::Suspended { number, result } => self.suspended(number, result),
            Input::Trimmed { result } => self.trimmed(result),
            Input::Heard { ago } => self.heard(ago),
            Input::Stop => {
                self.stop_by.get_or_insert(self.clock.steady + STOP_AT_MOST);
                self.tell(core::Input::Stop);
            }
            Input::Timeout => self.tell(core::Input::Timeout),
        }
    }

    /// The next thing to do, until there is nothing more.
    pub fn poll(&mut self) -> Option<Request> {
        loop {
            if let Some(request) = self.requests.pop_front() {
                return Some(request);
            }
            if self.end == Some(End::Fenced) {
                return None;
            }
            match self.core.poll() {
                Some(output) => return Some(self.request(output)),
                None if std::mem::take(&mut self.awake) => self.do_what_is_due(),
                None => return None,
            }
        }
    }

    /// When the driver wants to be told the time, by the steady clock; `None` = only when something happens.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.end.is_some() {
            return None;
        }
        let now = self.clock.steady;
        let at_once = self.more.then_some(now);
        let listen = (self.core.listens() || self.lacks.any()).then(|| now + LISTEN_EVERY);
        let again = [
            self.changes.again_at(),
            self.changes.apply_again_at(),
            self.routing.again_at(),
            self.suspensions.again_at(),
        ];
        let trim = if self.stops() { None } else { Some(self.trimming.due()) };
        let due = [at_once, self.core.poll_timeout(), listen, trim, self.stop_by];
        due.into_iter().chain(again).flatten().min()
    }

    /// Whether it has ended, and how; it does nothing any more then.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// All lanes.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// How a subscription's delivery stands.
    pub fn status(&mut self, id: SubscriptionId, now: impl Into<Now>) -> Option<Standing> {
        self.core.status(id, now)
    }

    /// How all lanes stand, with the figures of the `at_most` oldest subscriptions.
    pub fn survey(&self, at_most: usize) -> Survey {
        self.core.survey(at_most)
    }

    /// Somebody else owns the shard: all that is left to do is to let go of destinations.
    fn fenced(&mut self) {
        tracing::warn!("the shard was taken over by another process; its subscriptions are left to it");
        self.end = Some(End::Fenced);
        self.requests = self.core.subscriptions().map(|subscription| Request::Forget { subscription }).collect();
    }

    fn stops(&self) -> bool {
        self.stop_by.is_some()
    }

    fn tell(&mut self, input: core::Input) {
        self.core.handle(self.clock, input);
    }

    /// What the core's output means for whoever carries it out.
    fn request(&mut self, output: Output) -> Request {
        match output {
            Output::Deliver { attempt, subscription, events } => Request::Deliver { attempt, subscription, events },
            Output::Read(read) => Request::LookFor { read },
            Output::Load { id, pim, positions } => Request::Load { id, pim, positions },
            Output::Save { save } => Request::Save { save },
            Output::Suspend(wanted) => self.suspensions.begin(wanted),
            Output::Forget { subscription } => Request::Forget { subscription },
        }
    }

    /// What is due once all that happened is taken in and done.
    fn do_what_is_due(&mut self) {
        let now = self.clock.steady;
        self.more = false;
        if let Some(lacks) = self.lacks.are(&self.core.lacks(), now) {
            self.requests.push_back(Request::Show { lacks });
        }
        if self.core.listens() {
            self.requests.push_back(Request::Listen);
        }
        self.requests.extend(self.suspensions.again(now));
        match self.stop_by {
            Some(by) => self.end = self.end.or(self.end_by(by)),
            None => {
                self.trim_if_due();
                self.read_changes_again();
                self.apply_again();
                self.look();
            }
        }
    }

    fn end_by(&self, by: Timestamp) -> Option<End> {
        if self.core.is_quiet() {
            return Some(End::InOrder);
        }
        (by <= self.clock.steady).then(|| {
            tracing::error!("could not save progress in time; events since the last save will be delivered again");
            End::TooLate
        })
    }

    /// Tells the core when somebody answered who is not asked by its attempts.
    fn heard(&mut self, ago: Duration) {
        let at = self.clock.steady - ago;
        if self.heard_at.is_none_or(|last| at > last + SAME_SIGN) {
            self.heard_at = Some(at);
            self.tell(core::Input::Heard { ago });
        }
    }
}
