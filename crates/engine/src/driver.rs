//! The driver decides when the engine looks at the log, reads, routes, saves, trims and stops. No clock, no IO, no
//! async: it owns the [`Core`], gets inputs with their time, and emits requests. The shell carries them out on tokio,
//! the simulation under virtual time.

mod changes;
mod commits;
mod input;
mod lacks;
mod replays;
mod request;
mod routing;
mod seen;
mod suspending;
mod trimming;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::backlog;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::replay::ReplayProgress;
use domain::subscription::Subscription;
use domain::traffic::{Traffic, Trouble};
use domain::{Now, PimId, Position, ReplayId, SubscriptionId, Timestamp};
use store::{LedgerRecord, Shard, TenureError};

use crate::core::{self, Core, Output, Survey, Suspend, Warn};
use crate::meters::Meters;
use crate::settings::Settings;

pub use input::{Input, Trimmed};
pub use request::Request;
pub use seen::Seen;

/// Delay before a failed store operation is retried.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// Poll interval for answers of other hosts while a destination is silent.
const LISTEN_EVERY: Duration = Duration::from_secs(1);

/// Tolerance within which two reports are the same sign of life.
const SAME_SIGN: Duration = Duration::from_millis(1);

/// Maximum duration of a stop, with attempts in flight (5 s each) and the last save.
pub const STOP_AT_MOST: Duration = Duration::from_secs(15);

/// State of the shard when the engine starts.
#[derive(Debug)]
pub struct Found {
    /// Which one.
    pub shard: Shard,
    /// Progress of the lanes.
    pub ledger: LedgerRecord,
    /// Version of the catalogue.
    pub version: u64,
    /// All subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Head of the log.
    pub head: Position,
}

/// Status of a lane, start of the uncounted part of its backlog, and its subscription.
pub type Standing = (LaneStatus, Option<Position>, Arc<Subscription>);

/// How a driver ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Nothing is in flight, and everything is saved.
    InOrder,
    /// Its time was up before that.
    TooLate,
    /// The shard was taken over: results of in-flight attempts are ignored, and nothing is written or sent any more.
    Fenced,
}

/// The loop around the core, as a state machine: pass inputs to [`Driver::handle`], then carry out the requests of
/// [`Driver::poll`] until there are none, then wait for a reply or for [`Driver::poll_timeout`].
#[derive(Debug)]
pub struct Driver {
    core: Core,
    settings: Settings,
    meters: Arc<Meters>,
    clock: Now,
    requests: VecDeque<Request>,
    /// Whether inputs have arrived since it last did the work due.
    awake: bool,
    /// Whether more events are available than are routed at once.
    more: bool,
    routing: routing::Routing,
    changes: changes::Changes,
    replays: replays::Replays,
    suspensions: commits::Commits<Suspend>,
    warnings: commits::Commits<Warn>,
    trimming: trimming::Trimming,
    lacks: lacks::Lacks,
    /// Time of the last sign of life passed to the core.
    heard_at: Option<Timestamp>,
    follows: bool,
    stop_by: Option<Timestamp>,
    end: Option<End>,
}

impl Driver {
    /// Restores all lanes from their saved state. `now` is the wall clock's time; the steady clock continues from
    /// there.
    pub fn new(settings: Settings, meters: Arc<Meters>, now: Timestamp, found: Found) -> Driver {
        let Found { shard, ledger, version, subscriptions, head } = found;
        let trim_every = settings.trim_every;
        let mut core = Core::new(settings.clone(), ledger.mark, now);
        core.begins_at(head);
        core.restore(now, version, subscriptions, ledger);
        Driver {
            core,
            settings,
            meters,
            clock: Now::from(now),
            requests: VecDeque::from([Request::InEffect { version }, Request::Replays { since: None }]),
            awake: true,
            more: false,
            routing: routing::Routing::default(),
            changes: changes::Changes::default(),
            replays: replays::Replays::new(version),
            suspensions: commits::Commits::default(),
            warnings: commits::Commits::default(),
            trimming: trimming::Trimming::new(now, trim_every, shard),
            lacks: lacks::Lacks::default(),
            heard_at: None,
            follows: false,
            stop_by: None,
            end: None,
        }
    }

    /// Starts reporting the results of routing ([`Request::Follow`]).
    pub fn follow(&mut self) {
        self.follows = true;
        self.core.follow();
    }

    /// Handles an input. Drain [`Driver::poll`] afterwards. A [`Timestamp`] for `now` stands for a wall clock that is
    /// never set; its steady part must only advance.
    pub fn handle(&mut self, now: impl Into<Now>, input: Input) {
        if self.end == Some(End::Fenced) {
            return;
        }
        self.clock = now.into();
        // Replies to immediate requests belong to the same turn.
        self.awake |= !matches!(input, Input::Seen { .. } | Input::Announced { .. } | Input::Heard { .. });
        match input {
            Input::News => {}
            Input::Seen { seen } => self.seen(seen),
            Input::Announced { version } => self.announced(version),
            Input::Changed { result } => self.changed(result),
            Input::Replays { result } => self.replays(result),
            Input::Missed { result } => self.missed(result),
            Input::SeenFor { read, seen } => self.seen_for(read, seen),
            Input::Reply(reply) => self.tell(reply.into()),
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
            Input::Warned { number, result } => self.warned(number, result),
            Input::Trimmed { result } => self.trimmed(result),
            Input::Heard { ago } => self.heard(ago),
            Input::Stop => {
                self.stop_by.get_or_insert(self.clock.steady + STOP_AT_MOST);
                self.tell(core::Input::Stop);
            }
            Input::Timeout => self.tell(core::Input::Timeout),
        }
    }

    /// The next request, until there are none.
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
                None if std::mem::take(&mut self.awake) => self.do_due_work(),
                None => return None,
            }
        }
    }

    /// Time of the next timeout, by the steady clock; `None` = no timeout.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.end.is_some() {
            return None;
        }
        let now = self.clock.steady;
        let at_once = self.more.then_some(now);
        let listen = (self.core.listens() || self.lacks.any()).then(|| now + LISTEN_EVERY);
        let due = [at_once, self.core.poll_timeout(), listen, self.suspensions.again_at(), self.warnings.again_at()];
        let changes = &self.changes;
        // A stop only waits for what is in flight.
        let goes_on = match self.stop_by {
            None => [
                changes.again_at(),
                changes.apply_again_at(),
                self.replays.again_at(),
                self.routing.again_at(),
                Some(self.trimming.due()),
            ],
            Some(by) => [Some(by), None, None, None, None],
        };
        due.into_iter().chain(goes_on).flatten().min()
    }

    /// How it has ended, if so; it does nothing any more then.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// The core with all lanes.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Delivery status of a subscription.
    pub fn status(&mut self, id: SubscriptionId, now: impl Into<Now>) -> Option<Standing> {
        self.core.status(id, now)
    }

    /// Where an event of a subscription is, provided its selection includes the event; `None` if the subscription is
    /// unknown.
    pub fn whereabouts(&self, id: SubscriptionId, position: Position) -> Option<Whereabouts> {
        self.core.whereabouts(id, position)
    }

    /// Whether the attempt that ended last was unanswered, and the destination may not be the cause.
    pub fn was_undecided(&self) -> bool {
        self.core.was_undecided()
    }

    /// Outcomes of these subscriptions that are not saved yet, together.
    pub fn outcome_counts(&self, of: &[SubscriptionId]) -> Vec<OutcomeCounts> {
        self.core.outcome_counts(of)
    }

    /// The backlogs of these subscriptions over the last 24 hours, together.
    pub fn backlog(&self, of: &backlog::Of, now: Timestamp) -> Vec<backlog::Step> {
        self.core.backlog(of, now)
    }

    /// Progress of a subscription's replay; `None` if it isn't running.
    pub fn replay_progress(&self, subscription: SubscriptionId, id: ReplayId) -> Option<ReplayProgress> {
        self.core.replay_progress(subscription, id)
    }

    /// What came in and went out since the start: of the platform, or of one PIM.
    pub fn traffic(&self, pim: Option<PimId>) -> Traffic {
        self.core.traffic(pim)
    }

    /// Active subscriptions that are behind or failing, the worst first.
    pub fn troubled(&mut self, at_most: usize) -> Vec<Trouble> {
        self.core.troubled(at_most)
    }

    /// Survey of all lanes, with the figures of the `at_most` oldest subscriptions.
    pub fn survey(&self, at_most: usize) -> Survey {
        self.core.survey(at_most)
    }

    /// The shard has another owner: only the destinations' resources remain to be closed.
    fn fenced(&mut self) {
        tracing::warn!("the shard was taken over by another process; its subscriptions are left to it");
        self.give_up();
    }

    /// Ends without another write: whoever takes the shard up continues from what is saved.
    fn give_up(&mut self) {
        self.end = Some(End::Fenced);
        self.requests = self.core.subscriptions().map(|subscription| Request::Forget { subscription }).collect();
    }

    fn stops(&self) -> bool {
        self.stop_by.is_some()
    }

    fn tell(&mut self, input: core::Input) {
        self.core.handle(self.clock, input);
    }

    /// Translates the core's output to a request.
    fn request(&mut self, output: Output) -> Request {
        match output {
            Output::Deliver { attempt, subscription, events, replay } => {
                Request::Deliver { attempt, subscription, events, replay }
            }
            Output::ReplayRead(read) => Request::ReplayRead { read },
            Output::Read(read) => Request::LookFor { read },
            Output::Load { id, pim, positions } => Request::Load { id, pim, positions },
            Output::Save { save } => Request::Save { save },
            Output::Suspend(wanted) => Request::Suspend { number: self.suspensions.begin(wanted.clone()), wanted },
            Output::Warn(wanted) => Request::Warn { number: self.warnings.begin(wanted.clone()), wanted },
            Output::Forget { subscription } => Request::Forget { subscription },
        }
    }

    /// Does the work due once all inputs are handled.
    fn do_due_work(&mut self) {
        let now = self.clock.steady;
        self.more = false;
        if let Some(lacks) = self.lacks.are(&self.core.lacks(), now) {
            self.requests.push_back(Request::Show { lacks });
        }
        if self.core.listens() {
            self.requests.push_back(Request::Listen);
        }
        let suspensions = self.suspensions.again(now);
        self.requests.extend(suspensions.map(|(number, wanted)| Request::Suspend { number, wanted }));
        let warnings = self.warnings.again(now);
        self.requests.extend(warnings.map(|(number, wanted)| Request::Warn { number, wanted }));
        match self.stop_by {
            Some(by) => self.end = self.end.or(self.end_by(by)),
            None => {
                self.trim_if_due();
                self.read_changes_again();
                self.read_replays();
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

    /// Reports the answer of a host other than those of the core's attempts.
    fn heard(&mut self, ago: Duration) {
        let at = self.clock.steady - ago;
        if self.heard_at.is_none_or(|last| at > last + SAME_SIGN) {
            self.heard_at = Some(at);
            self.tell(core::Input::Heard { ago });
        }
    }
}
