//! The engine's driver in a world: gets its inputs on time, and its requests are started here, with the delays and
//! faults of the world.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::outcome::SuspensionReason;
use domain::subscription::Subscription;
use domain::{Now, Position, Timestamp};
use engine::core::{Reply, Suspend, Warn};
use engine::driver::{Driver, End, Input, Request, Seen};
use store::{ChangeError, EventLog, Shard, Shards, TenureError};

use super::{Step, World};
use crate::mutation::Mutation;
use crate::plan::MINUTE;
use crate::property::{Check, Property, hold};
use crate::storage::{at_once, unavailable};

/// State of a world about the run of its driver.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The head of the tail, and the announced version, at the driver's last wake-up.
    noticed: (Position, u64),
    /// The last event shown by the last look at the tail, if any.
    saw: Option<Position>,
    /// A change was made since the driver's last look at the announced ones.
    unnoticed: bool,
    /// The driver is reading changes.
    reads_changes: bool,
    /// The driver is reading replays.
    pub(super) reads_replays: bool,
    /// The suspensions requested by it.
    suspensions: BTreeSet<u64>,
    /// The warnings requested by it, and when each subscription was warned of last, in which generation.
    warnings: BTreeSet<u64>,
    warned: HashMap<usize, (u32, u64)>,
}

impl World {
    /// Whether the process is running.
    pub(super) fn is_up(&self) -> bool {
        self.driver.is_some()
    }

    /// Time at which the driver's timer fires, in true time. A sleep never ends early.
    pub(super) fn timer(&self) -> Option<u64> {
        let at = self.driver.as_ref()?.poll_timeout()?;
        Some(self.time + at.since(self.steady()).as_micros() as u64)
    }

    /// Wakes the driver if the head of the tail moved or a change was announced.
    pub(super) fn wake(&mut self) -> Check {
        let news = (self.pushed, self.announced());
        if !self.is_up() || std::mem::replace(&mut self.of_run.noticed, news) == news {
            return Ok(());
        }
        self.tell(Input::News)
    }

    /// Passes an input to the driver, and carries out its requests.
    pub(super) fn tell(&mut self, input: Input) -> Check {
        self.hand(input);
        while let Some(request) = self.driver.as_mut().and_then(Driver::poll) {
            self.begin(request)?;
        }
        match self.driver.as_ref().and_then(Driver::end) {
            Some(End::Fenced) => self.drop_driver(),
            Some(end) => {
                self.note(|| format!("stopped: {end:?}"));
                self.stopped(end == End::InOrder)
            }
            None => Ok(()),
        }
    }

    /// Passes an input to the driver; its requests are carried out later.
    fn hand(&mut self, input: Input) {
        let steady = self.steady();
        let mut now = Now { steady, wall: self.now() };
        if self.mutated(Mutation::HurryTheClock) {
            now.steady = Timestamp::from_micros(steady.as_micros() + self.time as i64 / 10);
        }
        if self.mutated(Mutation::TrustTheWallClock) {
            now.steady = now.wall;
        }
        if let Some(driver) = &mut self.driver {
            self.oracle.judge_if_due(steady);
            driver.handle(now, input);
        }
    }

    /// Passes an input to the driver after a delay, if the process is still the same.
    pub(super) fn answer(&mut self, after: u64, input: Input) {
        if let Some(input) = self.as_answered(input) {
            self.schedule(after, Step::Reported(self.run, input));
        }
    }

    /// An answer arrives.
    pub(super) fn answered_by_the_store(&mut self, input: Input) -> Check {
        match &input {
            Input::Changed { result: Ok((_, changed)) } => {
                self.of_run.reads_changes = false;
                let head = self.store.tail(Shard::FIRST).head();
                self.note(|| {
                    let one = |one: &Subscription| format!("{}.{}: {:?}", one.id, one.generation, one.status);
                    format!("told of changes: {:?}", changed.iter().map(one).collect::<Vec<_>>())
                });
                // A driver that stops takes no more changes in.
                for subscription in changed.iter().filter(|_| self.stopping_since.is_none()) {
                    self.oracle.applied(subscription, head);
                }
            }
            // What it has missed, it reads at once.
            Input::Replays { result } => self.of_run.reads_replays = result.is_err(),
            Input::Trimmed { result: Ok(trimmed) } => {
                let expired = trimmed.expired.map(|before| self.oracle.expired(before)).unwrap_or_default();
                if !expired.is_empty() {
                    self.note(|| format!("events before {:?} expired: {expired:?}", trimmed.expired));
                }
            }
            Input::Reply(Reply::Read { chunk, .. }) => {
                self.note(|| format!("read: {:?}", chunk.as_ref().map(|chunk| (chunk.events.len(), chunk.next))));
            }
            Input::Reply(Reply::Loaded { positions, events, .. }) => {
                self.note(|| format!("loaded: {positions:?}, {:?} found", events.as_ref().map(Vec::len)));
            }
            Input::Saved { result } => self.note(|| format!("saved: {result:?}")),
            _ => {}
        }
        self.tell(input)
    }

    /// Starts a request of the driver.
    fn begin(&mut self, request: Request) -> Check {
        let run = self.run;
        match request {
            Request::Look { from, max } => {
                let seen = self.look(from, max);
                self.of_run.saw = seen.events.as_ref().and_then(|events| events.last()).map(|event| event.position);
                self.hand(Input::Seen { seen });
            }
            Request::Version => {
                if self.plan.races && self.of_run.saw.is_some() && self.random.permille(15) {
                    self.change_something()?;
                }
                let version = self.announced();
                self.of_run.unnoticed = false;
                self.hand(Input::Announced { version });
                self.announce_after_push();
            }
            Request::Changes { since } => {
                self.of_run.reads_changes = true;
                let takes = self.store_takes();
                self.schedule(takes, Step::Changes(run, since));
            }
            Request::InEffect { .. } if self.is_fenced(Input::Applied { result: Err(TenureError::Fenced) }) => {}
            Request::InEffect { version } => {
                let result = at_once(self.store.apply(&self.tenure, version));
                self.answer(0, Input::Applied { result });
            }
            Request::Missed { from, limit } => {
                let takes = self.store_takes();
                self.schedule(takes, Step::Missed(run, from, limit));
            }
            Request::LookFor { read } => {
                let mut seen = self.look(read.from, read.limit.events);
                if self.mutated(Mutation::TrustTheTail) {
                    seen.head = seen.head.max(read.limit.until);
                }
                self.answer(0, Input::SeenFor { read, seen });
            }
            Request::Read { read } => self.read_store(read.pim, Step::Read(run, read)),
            Request::Load { id, pim, positions } => self.read_store(pim, Step::Load(run, id, pim, positions)),
            Request::Deliver { attempt, subscription, events, replay } => match replay {
                Some(replay) if !self.mutated(Mutation::ReplayUnmarked) => {
                    self.deliver_for_replay(attempt, replay, &subscription, &events)?;
                }
                _ => self.deliver(attempt, subscription, events)?,
            },
            Request::Replays { since } => {
                self.of_run.reads_replays = true;
                let takes = self.store_takes();
                self.schedule(takes, Step::Replays(run, since));
            }
            Request::ReplayRead { read } => {
                let takes = self.store_takes();
                self.schedule(takes, Step::ReplayRead(run, read));
            }
            Request::Save { save } => self.begin_save(save),
            Request::Suspend { number, wanted } => self.begin_suspension(number, wanted)?,
            Request::Warn { number, wanted } => self.begin_warning(number, &wanted)?,
            Request::Trim { floors, retention } => self.begin_trim(floors, retention),
            // Only destinations are ever heard, and there are no followers or viewers.
            Request::Listen | Request::Forget { .. } | Request::Follow { .. } | Request::Show { .. } => {}
        }
        Ok(())
    }

    /// The events visible in the tail. Events get there shortly after their acceptance.
    fn look(&self, from: Position, max: usize) -> Seen {
        let tail = self.store.tail(Shard::FIRST);
        let mut seen = Seen::look(&tail, from, max);
        if self.mutated(Mutation::TakeGapForComplete) && seen.events.is_none() {
            let reaches_back = (from.0..).find_map(|from| tail.since(Position(from), max));
            seen.events = reaches_back;
        }
        if self.pushed < seen.head {
            seen.head = self.pushed;
            if from >= self.pushed {
                seen.events = Some(Vec::new());
            } else if let Some(events) = &mut seen.events {
                events.retain(|event| event.position < self.pushed);
            }
        }
        seen
    }

    /// The announced version.
    fn announced(&self) -> u64 {
        let committed = *self.store.committed(Shard::FIRST).borrow();
        let known = self.driver.as_ref().map_or(0, |driver| driver.core().version());
        let late = self.time < self.withheld_until || self.unannounced.is_some_and(|(_, until)| self.time < until);
        if late { known } else { committed }
    }

    /// A change was made whose events reach the tail before it is announced (a planted fault).
    pub(super) fn withhold(&mut self) {
        if self.mutated(Mutation::AnnounceAfterPush) && self.unannounced.is_none() {
            self.unannounced = Some((self.store.tail(Shard::FIRST).head(), self.time + 5_000_000));
        }
    }

    /// Announces a change once events behind it were seen (a planted fault).
    fn announce_after_push(&mut self) {
        let seen = self.of_run.saw;
        self.unannounced =
            self.unannounced.filter(|(head, until)| seen.is_none_or(|seen| seen < *head) && self.time < *until);
    }

    /// Whether the engine may not know of the latest changes: it has not looked since, or is reading them.
    pub(super) fn engine_may_not_know(&self) -> bool {
        self.of_run.unnoticed || self.of_run.reads_changes
    }

    /// A change was made.
    pub(super) fn unnoticed(&mut self) {
        self.of_run.unnoticed = true;
    }

    /// The engine requests a suspension. Only the first request needs a cause: it is then retried until it is made.
    fn begin_suspension(&mut self, number: u64, wanted: Suspend) -> Check {
        if self.of_run.suspensions.insert(number) {
            self.suspension_follows(&wanted)?;
        }
        let fenced = self.is_fenced(Input::Suspended { number, result: Err(ChangeError::Fenced) });
        if !fenced && !self.mutated(Mutation::LoseSuspension) {
            let takes = self.store_takes();
            self.schedule(takes, Step::Suspend(self.run, number, wanted));
        }
        Ok(())
    }

    /// The engine warns an owner. Only the first request needs a cause: it is then retried until it is made.
    fn begin_warning(&mut self, number: u64, wanted: &Warn) -> Check {
        if self.of_run.warnings.insert(number) {
            self.warning_follows(wanted)?;
        }
        if self.is_fenced(Input::Warned { number, result: Err(ChangeError::Fenced) }) || self.connections.hide() {
            return Ok(());
        }
        let fails = self.store_fails();
        self.before_commit();
        let result = if fails {
            Err(unavailable().into())
        } else {
            at_once(engine::warning::warn(&self.store, self.tenure, wanted, self.now()))
        };
        let takes = self.store_takes();
        self.answer(takes, Input::Warned { number, result });
        Ok(())
    }

    fn warning_follows(&mut self, wanted: &Warn) -> Check {
        let Some(index) = self.oracle.find(wanted.subscription.id) else { return Ok(()) };
        let (good, bad) = self.oracle.window(index, self.steady());
        let is_low = good + bad >= 20 && good * 100 < (good + bad) * 95;
        let now = (wanted.subscription.generation, self.time);
        let before = self.of_run.warned.insert(index, now);
        let is_early = before.is_some_and(|(generation, at)| generation == now.0 && now.1 < at + 60 * MINUTE);
        self.note(|| format!("warn {index}: {:?}", wanted.counts));
        // After a backward clock step, the oracle's hour differs from the engine's.
        hold(Property::WarnsByTheRule, (is_low || self.oracle.stepped_back) && !is_early, || {
            format!("subscription {index} is warned of with {good} successes and {bad} failures, before {before:?}")
        })
    }

    fn suspension_follows(&mut self, wanted: &Suspend) -> Check {
        let reason = wanted.reason;
        let index = self.oracle.find(wanted.subscription.id);
        let expected = index.is_some_and(|index| std::mem::replace(&mut self.oracle.lanes[index].halted, true));
        self.suspensions_asked += 1;
        self.note(|| format!("suspend {index:?}: {reason:?}"));
        let now = self.steady();
        let overdue = |index| self.oracle.is_overdue(index, now, Duration::ZERO);
        let expected = expected || reason == SuspensionReason::SuccessRate && index.is_some_and(overdue);
        // After a backward clock step, the oracle's hour differs from the engine's.
        let expected = expected || self.oracle.stepped_back && !matches!(reason, SuspensionReason::Destination(_));
        hold(Property::SuspendsByTheRule, expected, || {
            format!("subscription {index:?} is to be suspended ({reason:?}), which does not follow")
        })
    }

    pub(super) fn store_fails(&mut self) -> bool {
        let fails = self.connections.fail() || self.storage.fails(self.time);
        self.totals.store_failures += u64::from(fails);
        fails
    }

    pub(super) fn store_takes(&mut self) -> u64 {
        self.storage.takes(self.time).as_micros() as u64
    }
}
