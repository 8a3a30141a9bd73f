//! What the engine's driver does, without tasks and real time: tells the core what happened, does what it asks, and waits.

use std::sync::Arc;
use std::time::Duration;

use domain::log_entry::LogBody;
use domain::outcome::{ErrorReason, Failure, Lack, Outcome, SuspensionReason};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{LoggedEvent, Now, Position, ServiceHour, Timestamp};
use engine::core::{AttemptId, Core, Floors, Input, Output};
use engine::suspension;
use store::{ChangeError, EventLog, Ledger, News, ReadLimit, Save, Subscriptions};

use super::{Attempt, PendingSave, Sent, Step, World};
use crate::mutation::Mutation;
use crate::oracle::{Sending, State};
use crate::property::{Check, Property, hold};
use crate::receiver::{ATTEMPT, BatchVerdict};
use crate::storage::at_once;

/// Events that are routed before the loop looks at what else has happened.
const ROUTE_AT_ONCE: usize = 256;

/// When the store fails, it is asked again after this long.
const STORE_AGAIN: u64 = 1_000_000;

/// A stop waits this long.
const STOP_AT_MOST: u64 = 15_000_000;

impl World {
    /// What the driver's loop does before it waits.
    pub(super) fn turn(&mut self) -> Check {
        while self.core.is_some() {
            let more = self.stopping_since.is_none() && self.route()?;
            if let Some(since) = self.stopping_since {
                let quiet = self.core.as_ref().is_some_and(Core::is_quiet);
                if quiet || self.time >= since + STOP_AT_MOST {
                    self.note(|| format!("stopped in order: {quiet}"));
                    return self.stopped(quiet);
                }
            }
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// When the driver's timer fires, in true time.
    pub(super) fn timer(&self) -> Option<u64> {
        let core = self.core.as_ref()?;
        let wait = core.poll_timeout().map(|at| at.since(self.steady()).as_micros() as u64);
        let impatient = self.catalog_failed || self.stopping_since.is_some();
        let wait = if impatient { Some(wait.unwrap_or(STORE_AGAIN).min(STORE_AGAIN)) } else { wait };
        // A sleep ends after its time, never before.
        wait.map(|wait| self.time + wait)
    }

    fn route(&mut self) -> Check<bool> {
        let Some(from) = self.core.as_ref().map(Core::routed) else { return Ok(false) };
        let head = self.store.tail().head();
        let events = match self.missed_under_way {
            true => Some(Vec::new()),
            false => self.store.tail().since(from, ROUTE_AT_ONCE),
        };
        if self.plan.races && events.as_ref().is_some_and(|events| !events.is_empty()) && self.random.permille(15) {
            self.change_something()?;
        }
        self.take_changes()?;
        if self.catalog_failed {
            return Ok(false);
        }
        match events {
            None => {
                self.missed_under_way = true;
                let limit = ReadLimit { events: ROUTE_AT_ONCE, bytes: 4 << 20, until: head };
                let takes = self.store_takes();
                self.schedule(takes, Step::Missed(self.run, from, limit));
                Ok(false)
            }
            Some(events) => {
                let Some(last) = events.last() else { return Ok(false) };
                let next = last.position.next();
                let more = events.len() == ROUTE_AT_ONCE;
                self.tell(Input::Events(events, next))?;
                Ok(more)
            }
        }
    }

    fn take_changes(&mut self) -> Check {
        let committed = *self.store.changes().committed().borrow();
        let Some(version) = self.core.as_ref().map(Core::version) else { return Ok(()) };
        if committed <= version && !self.catalog_failed || self.time < self.withheld_until {
            return Ok(());
        }
        if self.store_fails() {
            self.catalog_failed = true;
            return Ok(());
        }
        self.catalog_failed = false;
        let Ok((version, changed)) = at_once(self.store.changed_since(Some(version))) else { return Ok(()) };
        let routed = self.store.tail().head();
        for subscription in &changed {
            self.oracle.applied(subscription, routed);
        }
        self.tell(Input::Changed(version, changed))?;
        self.store.changes().apply(version);
        Ok(())
    }

    pub(super) fn store_fails(&mut self) -> bool {
        let fails = self.storage.fails(self.time);
        self.totals.store_failures += u64::from(fails);
        fails
    }

    pub(super) fn store_takes(&mut self) -> u64 {
        self.storage.takes(self.time).as_micros() as u64
    }

    /// Tells the core, and does what it asks.
    pub(super) fn tell(&mut self, input: Input) -> Check {
        let steady = self.steady();
        let mut now = Now { steady, wall: self.now() };
        if self.mutated(Mutation::HurryTheClock) {
            now.steady = Timestamp::from_micros(steady.as_micros() + self.time as i64 / 10);
        }
        if self.mutated(Mutation::TrustTheWallClock) {
            now.steady = now.wall;
        }
        let Some(core) = &mut self.core else { return Ok(()) };
        self.oracle.judge_if_due(steady);
        core.handle(now, input);
        let mut outputs = Vec::new();
        while let Some(output) = core.poll() {
            outputs.push(output);
        }
        outputs.into_iter().try_for_each(|output| self.obey(output))
    }

    pub(super) fn obey(&mut self, output: Output) -> Check {
        let run = self.run;
        match output {
            Output::Deliver(id, subscription, events) => {
                self.deliver(id, subscription, events)?;
            }
            Output::Read(id, pim, from, limit) => {
                self.read_store(pim, Step::Read(run, id, pim, from, limit));
            }
            Output::Load(id, pim, positions) => {
                self.read_store(pim, Step::Load(run, id, pim, positions));
            }
            Output::Save(save) => self.begin_save(save),
            Output::Suspend(subscription, reason, _) => {
                let index = self.oracle.find(subscription.id);
                let expected = index.is_some_and(|index| {
                    let lane = &mut self.oracle.lanes[index];
                    std::mem::replace(&mut lane.halted, true)
                });
                self.suspensions_asked += 1;
                self.note(|| format!("suspend {index:?}: {reason:?}"));
                let now = self.steady();
                let expected = expected
                    || reason == SuspensionReason::SuccessRate
                        && index.is_some_and(|index| self.oracle.is_overdue(index, now, Duration::ZERO));
                // After a step back of the clock the oracle's hour is not the engine's.
                let expected =
                    expected || self.oracle.stepped_back && !matches!(reason, SuspensionReason::Destination(_));
                hold(Property::SuspendsByTheRule, expected, || {
                    format!("subscription {index:?} is to be suspended ({reason:?}), which does not follow")
                })?;
                if !self.mutated(Mutation::LoseSuspension) {
                    let takes = self.store_takes();
                    self.schedule(takes, Step::Suspend(run, subscription, reason));
                }
            }
            Output::Forget(_) => {}
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        id: AttemptId,
        mut subscription: Arc<Subscription>,
        mut events: Vec<Arc<LoggedEvent>>,
    ) -> Check {
        self.next_attempt += 1;
        let attempt = self.next_attempt;
        if self.mutated(Mutation::DeliverToOtherPim) && attempt.is_multiple_of(30) {
            let other = self.oracle.lanes.iter().find(|lane| lane.stored.pim != events[0].pim);
            subscription = other.map_or(subscription, |lane| Arc::new(lane.stored.clone()));
        }
        if self.mutated(Mutation::KeepOldDestination)
            && let Some(first) = self.first_destination(subscription.id)
        {
            subscription = Arc::new(Subscription { destination: first, ..(*subscription).clone() });
        }
        if self.mutated(Mutation::SwapInBatch) && events.len() > 1 {
            events.swap(0, 1);
        }
        let now = self.steady();
        let status = self.core.as_mut().and_then(|core| core.status(subscription.id, now));
        let rate = status.and_then(|(status, ..)| status.rate);
        let lane = self.oracle.find(subscription.id);
        let excused = self.catalog_failed
            && lane.is_some_and(|lane| {
                let lane = &self.oracle.lanes[lane];
                lane.known.as_ref().is_some_and(|known| known.revision < lane.stored.revision)
            });
        let time = (now, self.time);
        let sending = Sending { attempt, time, subscription: &subscription, events: &events, rate, excused };
        let (lane, made) = self.oracle.sent(&sending)?;
        if self.mutated(Mutation::SendTwice) && attempt.is_multiple_of(10) {
            self.oracle.sent(&sending)?;
        }
        self.totals.attempts += 1;
        self.totals.batches += u64::from(made.batch);
        for position in &made.positions {
            self.sent.push(Sent { at: self.time, lane, position: *position });
            let item = &self.oracle.lanes[lane].items[position];
            self.totals.repeats += u64::from(item.failures > 0 || item.state == State::Throttled);
        }
        let receiver = super::setup::receiver_of(&subscription);
        self.note(|| format!("send #{attempt}: {:?} for {lane} to r{receiver}", made.positions));
        let sent_at = self.time;
        self.attempts.insert(attempt, Attempt { id, lane, made, receiver, sent_at, run: self.run });
        match self.plan.lack(self.time) {
            Some(lack) => self.come_to_nothing(attempt, lack),
            None => self.set_out(attempt),
        }
        Ok(())
    }

    /// The platform lacks what the attempt needs: it ends without having reached anybody.
    fn come_to_nothing(&mut self, number: u64, lack: Lack) {
        let Some(attempt) = self.attempts.get(&number) else { return };
        let (run, events) = (attempt.run, attempt.made.positions.len());
        let limit = ATTEMPT.as_micros() as u64;
        let (outcome, after) = match lack {
            Lack::Silence => (Outcome::Silent(no_answer()), limit),
            Lack::NameServers => (Outcome::Ours(lack), limit),
            lack => (Outcome::Ours(lack), self.random.within(50, 2_000)),
        };
        self.schedule(after, Step::Ended(run, number, vec![outcome; events]));
    }

    fn arrive(&mut self, number: u64) -> Check {
        let Some(attempt) = self.attempts.get(&number) else { return Ok(()) };
        let (lane, sent_at, run, receiver) = (attempt.lane, attempt.sent_at, attempt.run, attempt.receiver);
        let verdict = if attempt.made.batch {
            let items = &self.oracle.lanes[lane].items;
            let keys: Vec<u64> = attempt.made.positions.iter().map(|position| items[position].entity).collect();
            self.receivers[receiver].take(self.time, &keys)
        } else {
            let verdict = self.receivers[receiver].arrive(self.time);
            BatchVerdict {
                taken: vec![verdict.taken],
                outcomes: vec![verdict.outcome],
                after: verdict.after,
                again: verdict.again.map(|again| vec![again]),
            }
        };
        self.oracle.taken(lane, &attempt.made, receiver, &verdict.taken)?;
        self.note(|| format!("#{number} arrives: {}", verdict_of(&verdict.outcomes, &verdict.taken)));
        let (verdict, latest) = match self.too_late(number, &verdict) {
            Some(too_late) => too_late,
            None if self.shared.is_some() => (verdict, u64::MAX),
            None => (verdict, sent_at + ATTEMPT.as_micros() as u64 - self.time),
        };
        let after = (verdict.after.as_micros() as u64).min(latest);
        if self.mutated(Mutation::AnswerBeforeTheEnd) && self.random.percent(20) {
            let events = verdict.outcomes.len();
            self.schedule(0, Step::Early(run, number, events));
        }
        self.schedule(after, Step::Ended(run, number, verdict.outcomes));
        if let Some(again) = verdict.again {
            self.schedule(after + 500_000, Step::Ended(run, number, again));
        }
        Ok(())
    }

    fn ended(&mut self, number: u64, outcomes: Vec<Outcome>) -> Check {
        self.disconnect(number);
        let Some(attempt) = self.attempts.get(&number) else { return Ok(()) };
        let (id, lane) = (attempt.id, attempt.lane);
        let time = (self.steady(), self.time);
        for outcome in &outcomes {
            let throttled = matches!(outcome, Outcome::Throttled { .. });
            self.answered.push((self.time, lane, throttled));
        }
        // Where the platform is in trouble, silence is never the receivers': others are in use, and they are as silent.
        let ours = |outcome: &Outcome| match outcome {
            Outcome::Silent(_) if !self.plan.outages.is_empty() => Outcome::Ours(Lack::Silence),
            outcome => outcome.clone(),
        };
        let judged: Vec<Outcome> = outcomes.iter().map(ours).collect();
        let follows = self.oracle.ended(lane, number, &attempt.made, &judged, time);
        let unsure = self.oracle.stepped_back && !matches!(follows, Some(SuspensionReason::Destination(_)));
        // While the process stops nothing is decided any more; the next failure after the restart decides.
        let follows = follows.filter(|_| !unsure && self.stopping_since.is_none());
        let failures = self.oracle.lanes[lane].failures_told;
        self.note(|| {
            let ended = verdict_of(&outcomes, &[]);
            format!("#{number} ended: {ended}, follows {follows:?}; {lane} has {failures} failures")
        });
        let told = self.tamper_with_outcomes(outcomes);
        // The suspension has to come within this turn: the flag says that it is awaited, then that it came.
        self.oracle.lanes[lane].halted |= follows.is_some();
        let suspensions = self.suspensions_asked;
        self.tell(Input::Outcomes(id, told))?;
        let came = self.suspensions_asked > suspensions;
        let awaited = follows.is_some() && !self.mutated(Mutation::LoseSuspension);
        hold(Property::SuspendsByTheRule, came == awaited || unsure || self.mutated(Mutation::LoseSuspension), || {
            format!("subscription {lane}: {follows:?} has to follow; it came: {came}")
        })
    }

    /// What the engine is told of how an attempt ended.
    fn tamper_with_outcomes(&self, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
        match self.plan.mutation {
            Some(Mutation::TakeFailureForSuccess) => {
                for outcome in outcomes.iter_mut().filter(|outcome| matches!(outcome, Outcome::Failed(_))) {
                    *outcome = Outcome::Delivered;
                }
            }
            Some(Mutation::BlameReceivers) => {
                for outcome in &mut outcomes {
                    if matches!(outcome, Outcome::Ours(_) | Outcome::Silent(_)) {
                        *outcome = Outcome::Failed(no_answer());
                    }
                }
            }
            Some(Mutation::TakePartForWhole) => {
                if let Some(failed) = outcomes.iter().find(|outcome| matches!(outcome, Outcome::Failed(_))).cloned() {
                    outcomes.fill(failed);
                }
            }
            _ => {}
        }
        outcomes
    }

    fn begin_save(&mut self, mut save: Save) {
        // A save that failed is asked for again as it was.
        let (windows, asked_at) = match self.failed_save.take() {
            Some(failed) => (failed.windows, failed.asked_at),
            None => (self.oracle.asked(), self.time),
        };
        self.tamper_with(&mut save);
        self.note(|| {
            let lanes: Vec<_> = save.lanes.iter().map(shown).collect();
            format!("save mark {} {lanes:?}", save.mark)
        });
        if self.mutated(Mutation::ForgetSave) && self.random.percent(20) {
            return self.schedule(0, Step::SaveEnded(self.run, true));
        }
        self.pending_save = Some(PendingSave { save, windows, asked_at });
        if self.mutated(Mutation::AnswerBeforeDurable) {
            self.schedule(0, Step::SaveEnded(self.run, true));
            return self.schedule(3_000_000, Step::Save(self.run));
        }
        let takes = self.store_takes();
        self.schedule(takes, Step::Save(self.run));
    }

    fn tamper_with(&mut self, save: &mut Save) {
        for lane in &mut save.lanes {
            match self.plan.mutation {
                Some(Mutation::SaveCursorPastUnsettled) => lane.cursor = None,
                Some(Mutation::DropExceptions) => lane.exceptions.clear(),
                Some(Mutation::KeepSettledExceptions) => lane.settled.clear(),
                Some(Mutation::SaveDueTooEarly) => {
                    for exception in &mut lane.exceptions {
                        exception.due_at = exception.due_at - Duration::from_secs(60);
                    }
                }
                Some(Mutation::CountTwice) => {
                    if let Some(memory) = &mut lane.memory {
                        let minutes = minutes(memory);
                        for record in memory[minutes..].chunks_exact_mut(MINUTE_BYTES) {
                            let failed = u32::from_le_bytes([record[8], record[9], record[10], record[11]]) * 2;
                            record[8..12].copy_from_slice(&failed.to_le_bytes());
                        }
                    }
                }
                Some(Mutation::ForgetPause) => {
                    if let Some(memory) = &mut lane.memory {
                        memory[PAUSE].fill(0);
                    }
                }
                Some(Mutation::ForgetWhatWasTaken) => {
                    if let Some(memory) = &mut lane.memory {
                        let minutes = minutes(memory);
                        memory.drain(TAKEN..minutes);
                        memory[TAKEN - 4..TAKEN].fill(0);
                    }
                }
                Some(Mutation::LoseDropEntry) => lane.entries.retain(|entry| drop_count(&entry.body).is_none()),
                Some(Mutation::LoseFailureEntry) => lane.entries.retain(|entry| drop_count(&entry.body).is_some()),
                _ => {}
            }
        }
    }

    /// The pending save is made.
    pub(super) fn make_save(&mut self) {
        let Some(pending) = self.pending_save.take() else { return };
        let mut save = pending.save;
        // A lane that has nothing to save has saved everything.
        self.oracle.lanes.iter_mut().for_each(|lane| lane.saved_at = pending.asked_at);
        for lane in &mut save.lanes {
            if let Some(index) = self.oracle.find(lane.subscription) {
                let stored = self.oracle.lanes[index].stored.generation;
                let asked = pending.windows.get(index).cloned().unwrap_or_default();
                // One that a suspension overtook is taken without its memory, as long as it is of the same lane.
                let current = stored == lane.generation;
                let taken = lane.generation >= self.oracle.lanes[index].began_in && lane.generation <= stored;
                self.oracle.saved(index, asked, taken, current && lane.memory.is_some());
                let told = lane.entries.iter().filter_map(|entry| drop_count(&entry.body));
                self.oracle.lanes[index].drops_told += told.sum::<u64>();
                if self.plan.mutation == Some(Mutation::IgnoreGenerationOnSave) {
                    lane.generation = stored;
                }
            }
        }
        let _ = at_once(self.store.save(save));
    }

    /// Something on the agenda happens.
    pub(super) fn take(&mut self, step: Step) -> Check {
        let alive = |run| run == self.run && self.core.is_some();
        match step {
            Step::Batch(pim, events) => self.append(pim, events),
            Step::Incident(incident) => self.happen(incident)?,
            Step::Start => self.start()?,
            Step::Arrive(number) => self.arrive(number)?,
            Step::Place(what, holder, takes, then) => self.use_place(what, holder, takes, *then),
            Step::GiveBack(what, holder) => self.give_back(what, holder),
            Step::LookedUp(number, found, took) => self.looked_up(number, found, took),
            Step::Connected(number) => self.connected(number),
            Step::Use(index) => self.begin_use(index),
            Step::Used(index) => self.end_use(index),
            Step::Ended(run, number, outcomes) if alive(run) => self.ended(number, outcomes)?,
            Step::Early(run, number, events) if alive(run) => {
                if let Some(id) = self.attempts.get(&number).map(|attempt| attempt.id) {
                    self.tell(Input::Outcomes(id, vec![Outcome::Delivered; events]))?;
                }
            }
            Step::Read(run, id, pim, from, limit) if alive(run) => {
                let mut chunk = match self.store_fails() {
                    true => None,
                    false => at_once(self.store.read(Some(pim), from, limit)).ok(),
                };
                if self.mutated(Mutation::SkipEventAtFallBehind)
                    && let Some(chunk) = &mut chunk
                    && chunk.events.len() > 1
                {
                    chunk.events.remove(0);
                }
                let takes = self.store_takes();
                self.schedule(takes, Step::ReadEnded(run, id, chunk));
            }
            Step::ReadEnded(run, id, chunk) if alive(run) => {
                self.note(|| format!("read: {:?}", chunk.as_ref().map(|chunk| (chunk.events.len(), chunk.next))));
                self.tell(Input::Read(id, chunk))?;
            }
            Step::Load(run, id, pim, positions) if alive(run) => {
                let found = if self.store_fails() { None } else { self.load(pim, &positions) };
                let takes = self.store_takes();
                self.schedule(takes, Step::LoadEnded(run, id, positions, found));
            }
            Step::LoadEnded(run, id, positions, events) if alive(run) => {
                self.note(|| format!("loaded: {positions:?}, {:?} found", events.as_ref().map(Vec::len)));
                self.tell(Input::Loaded(id, positions, events))?;
            }
            Step::Missed(run, from, limit) if alive(run) => {
                let fails = self.store_fails();
                let chunk = if fails { None } else { at_once(self.store.read(None, from, limit)).ok() };
                let takes = self.store_takes() + if fails { STORE_AGAIN } else { 0 };
                self.schedule(takes, Step::MissedEnded(run, chunk));
            }
            Step::MissedEnded(run, chunk) if alive(run) => {
                self.missed_under_way = false;
                if let Some(chunk) = chunk {
                    self.tell(Input::Events(chunk.events, chunk.next))?;
                }
            }
            Step::Save(run) if alive(run) => {
                let fails = self.store_fails();
                if fails {
                    self.failed_save = self.pending_save.take();
                } else {
                    self.make_save();
                }
                if !self.mutated(Mutation::AnswerBeforeDurable) {
                    let takes = self.store_takes();
                    self.schedule(takes, Step::SaveEnded(run, !fails));
                }
            }
            Step::SaveEnded(run, done) if alive(run) => {
                self.note(|| format!("saved: {done}"));
                self.tell(Input::Saved(done))?;
            }
            Step::Suspend(run, judged, reason) if alive(run) => self.begin_suspension(judged, reason),
            Step::SuspendCommit(run, judged, reason, change) if alive(run) => self.suspend(judged, reason, *change),
            Step::TrimTick(run) if alive(run) => self.begin_trim(),
            Step::Trim(run, floors, oldest) if alive(run) => self.trim(&floors, oldest)?,
            Step::TrimEnded(run, before) if alive(run) => {
                self.trimming = false;
                let expired = self.oracle.expired(before);
                if !expired.is_empty() {
                    self.note(|| format!("events before {before} expired: {expired:?}"));
                }
                self.tell(Input::Expired(before))?;
            }
            // Answers to a process that is no more.
            _ => {}
        }
        Ok(())
    }

    fn load(&self, pim: domain::PimId, positions: &[Position]) -> Option<Vec<Arc<LoggedEvent>>> {
        let mut events = Vec::new();
        for position in positions {
            let limit = ReadLimit { events: 1, bytes: 1, until: position.next() };
            events.extend(at_once(self.store.read(Some(pim), *position, limit)).ok()?.events);
        }
        Some(events)
    }

    fn begin_suspension(&mut self, judged: Arc<Subscription>, reason: SuspensionReason) {
        if self.store_fails() {
            return self.schedule(STORE_AGAIN, Step::Suspend(self.run, judged, reason));
        }
        let Ok(Some(stored)) = at_once(self.store.subscription(judged.id)) else { return };
        let Some(mut change) = suspension::change(stored, &judged, reason, "https://pim.example", self.now()) else {
            return;
        };
        if self.mutated(Mutation::LoseNotification) {
            change.notifications.clear();
        }
        if self.mutated(Mutation::LogSuspensionTwice) {
            let mut again = change.entries.clone();
            again.iter_mut().for_each(|entry| entry.id = domain::LogId::generate());
            change.entries.extend(again);
        }
        let takes = self.store_takes();
        self.schedule(takes, Step::SuspendCommit(self.run, judged, reason, Box::new(change)));
    }

    fn suspend(&mut self, judged: Arc<Subscription>, reason: SuspensionReason, change: store::Change) {
        if self.store_fails() {
            return self.schedule(STORE_AGAIN, Step::Suspend(self.run, judged, reason));
        }
        match at_once(self.store.change(change)) {
            Ok(made) => self.committed(&made.subscriptions),
            Err(ChangeError::Conflict) => self.schedule(0, Step::Suspend(self.run, judged, reason)),
            Err(error) => panic!("the in-memory store refused a suspension: {error}"),
        }
    }

    pub(super) fn committed(&mut self, subscriptions: &[Subscription]) {
        for subscription in subscriptions {
            self.oracle.committed(subscription);
            let (status, at) = (subscription.status, subscription.status_since);
            self.note(|| format!("committed {}: {status:?} since {at}, {:?}", subscription.id, subscription.options));
            if self.mutated(Mutation::SendAfterSuspension) && !matches!(status, SubscriptionStatus::Active) {
                self.withheld_until = self.time + 2_000_000;
            }
        }
    }

    fn begin_trim(&mut self) {
        let every = self.plan.settings.trim_every.as_micros() as u64;
        self.schedule(every, Step::TrimTick(self.run));
        if self.stopping_since.is_some() || std::mem::replace(&mut self.trimming, true) {
            return;
        }
        let Some(floors) = self.core.as_ref().map(Core::floors) else { return };
        self.serve();
        let oldest = self.store.hour().ago(self.plan.settings.retention * HOURS_A_MINUTE);
        let takes = self.store_takes();
        self.schedule(takes, Step::Trim(self.run, floors, oldest));
    }

    /// Counts the hours of service.
    fn serve(&mut self) {
        let elapsed = Duration::from_micros(self.time - std::mem::replace(&mut self.served_until, self.time));
        at_once(self.store.served(elapsed * HOURS_A_MINUTE)).unwrap_or_default();
    }

    fn trim(&mut self, floors: &Floors, oldest: ServiceHour) -> Check {
        let mut floors = floors.clone();
        if self.mutated(Mutation::TrimTooFar) {
            floors.rest = Position(floors.rest.0 + 3);
            floors.pims.iter_mut().for_each(|(_, position)| position.0 += 3);
        }
        if !self.store_fails() {
            let before = self.positions();
            while at_once(self.store.trim(&floors.pims, floors.rest)).is_ok_and(|deleted| deleted > 0) {}
            let after = self.positions();
            for position in before.into_iter().filter(|position| after.binary_search(position).is_err()) {
                let needed_by = self.oracle.needs(position);
                hold(Property::NeededIsKept, needed_by.is_none(), || {
                    format!("event {position} was deleted; subscription {needed_by:?} needs it; floors {floors:?}")
                })?;
            }
        }
        if let Ok(before) = at_once(self.store.first_since(oldest)) {
            let takes = self.store_takes();
            self.schedule(takes, Step::TrimEnded(self.run, before));
        }
        Ok(())
    }

    /// What the log holds.
    pub(super) fn positions(&self) -> Vec<u64> {
        let limit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
        let chunk = at_once(self.store.read(None, Position::FIRST, limit)).unwrap_or_default();
        chunk.events.iter().map(|event| event.position.0).collect()
    }
}

/// A world lasts minutes, so a minute of it counts as an hour of service.
pub(super) const HOURS_A_MINUTE: u32 = 60;

/// Where in a lane's memory (see the crate `delivery`, `memory.rs`) the pause begins and ends, and where events settled ahead of the
/// cursor begin, behind their number.
const PAUSE: std::ops::Range<usize> = 17..57;
const TAKEN: usize = 61;

/// What a minute of the window takes.
const MINUTE_BYTES: usize = 20;

/// Where the minutes of the window begin.
fn minutes(memory: &[u8]) -> usize {
    let taken = memory[TAKEN - 4..TAKEN].try_into().map_or(0, u32::from_le_bytes);
    TAKEN + 8 * taken as usize
}

fn no_answer() -> Failure {
    let message = "no answer within 5 s".to_owned();
    Failure { reason: ErrorReason::DestinationTimeout, code: 500, message, answer: None }
}

/// Outcomes, for the trace: those in a row together.
fn verdict_of(outcomes: &[Outcome], taken: &[bool]) -> String {
    let mut text = String::new();
    for same in outcomes.chunk_by(|one, other| one == other) {
        text.push_str(&format!("{}×{:?} ", same.len(), same[0]));
    }
    if !taken.is_empty() {
        text.push_str(&format!("taken {:?}", taken.iter().map(|taken| u8::from(*taken)).collect::<Vec<_>>()));
    }
    text
}

/// A lane's part of a save, for the trace.
fn shown(lane: &store::LaneSave) -> String {
    let exceptions = lane.exceptions.iter().map(|one| format!("{}:{:?}{}", one.position, one.kind, one.failures));
    let exceptions: Vec<_> = exceptions.collect();
    let dropped: Vec<_> = lane.entries.iter().filter_map(|entry| drop_count(&entry.body)).collect();
    let told: u64 =
        lane.entries.iter().filter(|entry| drop_count(&entry.body).is_none()).map(|entry| entry.count).sum();
    let number = lane.subscription.0.as_u128() - 1;
    let (generation, cursor, settled) = (lane.generation, lane.cursor.map(|cursor| cursor.0), &lane.settled);
    format!("{number}.{generation}: {cursor:?} {exceptions:?} settled {settled:?} dropped {dropped:?} told {told}")
}

/// The number that an entry about a dropped backlog tells.
pub(super) fn drop_count(body: &LogBody) -> Option<u64> {
    let LogBody::FailedDelivery(failure) = body else { return None };
    if !failure.message.contains("dropped from the backlog") {
        return None;
    }
    failure.message.split(' ').next()?.parse().ok()
}
