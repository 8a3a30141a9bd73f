//! Replays in a world: started and cancelled by people, read and saved beside live traffic.

use std::sync::Arc;
use std::time::Duration;

use domain::filter::Filter;
use domain::log_entry::{Action, LogEntry};
use domain::outcome::Outcome;
use domain::replay::{Only, Replay, ReplayProgress, ReplayScope, ReplayStatus};
use domain::subscription::Subscription;
use domain::{LoggedEvent, Position, ReplayId};
use engine::core::{AttemptId, ReplayRead, Reply, Wanted};
use engine::driver::Input;
use engine::work;
use store::{EventLog, Kept, ReplaySave, Replays, Shard};
use uuid::Uuid;

use super::{Attempt, Sent, Step, World};
use crate::mutation::Mutation;
use crate::oracle::{Sending, user_filter};
use crate::plan::ReplayPlan;
use crate::property::Check;
use crate::storage::{at_once, unavailable};

impl World {
    /// Somebody starts or cancels a replay.
    pub(super) fn replay(&mut self, plan: ReplayPlan) {
        if self.holds_back(|| Step::Replay(plan)) {
            return;
        }
        // The management API is part of the process.
        if !self.is_up() || self.stopping_since.is_some() || self.store_fails() {
            return;
        }
        if plan.cancel {
            self.cancel_a_replay();
        } else {
            self.start_a_replay(plan.lane);
        }
    }

    fn start_a_replay(&mut self, lane: Option<usize>) {
        let lanes = self.oracle.lanes.len() as u64;
        let drawn = self.replays.within(0, lanes.max(1) - 1) as usize;
        let index = lane.unwrap_or(drawn);
        let Some(stored) = self.oracle.lanes.get(index).map(|lane| lane.stored.clone()) else { return };
        let (scope, user, rate) = (self.scope(&stored), self.replays.percent(25), self.replays.percent(30));
        let user = user.then(|| self.replays.within(0, 2));
        self.next_replay += 1;
        let replay = Replay {
            id: ReplayId(Uuid::from_u128(self.next_replay)),
            subscription: stored.id,
            owner: stored.owner(),
            scope: scope.clone(),
            filter: user.and_then(|user| Filter::parse(&user_filter(user)).ok().flatten()),
            rate: rate.then(|| self.replays.within(1, 40) as f64 / 2.0),
            created_at: self.now(),
            status: ReplayStatus::Running,
            reason: None,
            progress: ReplayProgress::default(),
        };
        let (id, may) = (replay.id, stored.status.is_active() && self.oracle.running_replay(index).is_none());
        let entry = self.entry_about(&stored, Action::ReplayStarted);
        self.before_commit();
        let started = at_once(self.store.start_replay(replay, Vec::new(), entry)).is_ok();
        assert_eq!(started, may, "a replay of subscription {index} was started or refused by mistake");
        if started {
            self.note(|| format!("replay {id} of {index}: {scope:?}, user {user:?}"));
            self.totals.replays += 1;
            self.oracle.replay_started(id, index, scope, user);
            self.unnoticed();
        }
    }

    fn scope(&mut self, subscription: &Subscription) -> ReplayScope {
        let head = self.store.tail(Shard::FIRST).head();
        if self.replays.percent(20) {
            let some = (0..self.replays.within(1, 30)).map(|_| Position(self.replays.within(1, head.0 + 3)));
            let mut some: Vec<Position> = some.collect();
            some.sort_unstable();
            some.dedup();
            return ReplayScope::Events(some);
        }
        let now = self.now();
        let ago = Duration::from_secs(self.replays.one_of(&[20, 300, 4_000, 100_000]));
        let (from, to) = (now - ago, if self.replays.percent(70) { now } else { now - ago / 3 });
        let positions = at_once(self.store.positions(subscription.pim, from..to));
        let positions = positions.unwrap_or(Position::FIRST..Position::FIRST);
        let only = match self.replays.within(0, 9) {
            0 => Only { given_up: true, dropped: true },
            _ => Only::default(),
        };
        ReplayScope::Span { from, to, positions, only }
    }

    fn cancel_a_replay(&mut self) {
        let running = self.oracle.running_replays();
        let Some(chosen) = running.len().checked_sub(1) else { return };
        let (id, index) = running[self.replays.within(0, chosen as u64) as usize];
        let stored = self.oracle.lanes[index].stored.clone();
        let entry = self.entry_about(&stored, Action::ReplayCancelled);
        self.before_commit();
        match at_once(self.store.cancel_replay(stored.id, id, Vec::new(), entry)) {
            Ok(_) => {
                self.note(|| format!("replay {id} cancelled"));
                self.oracle.replay_cancelled(id);
                self.unnoticed();
            }
            Err(error) => panic!("replay {id} could not be cancelled: {error}"),
        }
    }

    fn entry_about(&self, of: &Subscription, action: Action) -> LogEntry {
        LogEntry::action(&of.owner(), of.subscriber_id, Some(of.id), action, self.now())
    }

    /// The store lists replays.
    pub(super) fn list_replays(&mut self, since: Option<u64>) {
        let mut result = match self.store_fails() {
            true => Err(unavailable()),
            false => at_once(self.store.replays_since(Shard::FIRST, since)),
        };
        if let Ok(replays) = &mut result {
            self.tamper_with_list(since, replays);
        }
        let takes = self.store_takes();
        self.answer(takes, Input::Replays { result });
    }

    fn tamper_with_list(&self, since: Option<u64>, replays: &mut Vec<Replay>) {
        match self.plan.mutation {
            Some(Mutation::IgnoreCancel) => replays.retain(|replay| replay.status != ReplayStatus::Cancelled),
            Some(Mutation::ReplayFromTheStart) if since.is_none() => {
                replays.iter_mut().for_each(|replay| replay.progress = ReplayProgress::default());
            }
            Some(Mutation::ForgetReplayRetries) if since.is_none() => {
                replays.iter_mut().for_each(|replay| replay.progress.open.clear());
            }
            Some(Mutation::ReplayUnfiltered) => replays.iter_mut().for_each(|replay| replay.filter = None),
            Some(Mutation::ReplayAfterItsEnd) if since.is_none() => {
                let ids = self.oracle.lanes.iter().map(|lane| lane.stored.id);
                let all = ids.flat_map(|id| at_once(self.store.replays(id)).unwrap_or_default());
                replays.clear();
                let ended = |replay: &Replay| replay.status != ReplayStatus::Done;
                replays.extend(all.filter(ended).map(|replay| Replay { status: ReplayStatus::Running, ..replay }));
            }
            _ => {}
        }
    }

    /// The store reads for a replay.
    pub(super) fn read_for_replay(&mut self, read: Box<ReplayRead>) {
        let mut result = match self.store_fails() {
            true => Err(unavailable()),
            false => at_once(work::read_for_replay(&self.store, &read)),
        };
        if let Ok(chunk) = &mut result {
            if self.mutated(Mutation::ShowForeignTypes)
                && let Some(histories) = &mut chunk.histories
            {
                for lane in &self.oracle.lanes {
                    histories.extend(at_once(self.store.histories(&lane.stored.owner())).unwrap_or_default());
                }
            }
            if self.mutated(Mutation::EndReplayEarly)
                && let Wanted::Range { limit, .. } = &read.wanted
            {
                chunk.events.truncate(3);
                chunk.next = limit.until;
            }
        }
        let takes = self.store_takes();
        self.answer(takes, Reply::ReplayRead { read, result }.into());
    }

    /// The engine makes an attempt of a replay.
    pub(super) fn deliver_for_replay(
        &mut self,
        id: AttemptId,
        replay: ReplayId,
        subscription: &Arc<Subscription>,
        events: &[Arc<LoggedEvent>],
    ) -> Check {
        self.next_attempt += 1;
        let attempt = self.next_attempt;
        let now = self.steady();
        let (rate, routed) = match &mut self.driver {
            Some(driver) => {
                let routed = driver.core().routed();
                let status = driver.status(subscription.id, now);
                let behind = status.as_ref().is_none_or(|(_, reach, _)| reach.is_some());
                (status.and_then(|(status, ..)| status.rate), (!behind).then_some(routed.0))
            }
            None => (None, None),
        };
        let sending = Sending {
            attempt,
            time: (now, self.time),
            subscription,
            events,
            rate,
            excused: self.engine_may_not_know() || self.of_run.reads_replays,
        };
        let (lane, made) = self.oracle.replayed(replay, &sending, routed)?;
        if self.mutated(Mutation::ReplayTwice) && attempt.is_multiple_of(5) {
            self.oracle.replayed(replay, &sending, routed)?;
        }
        self.totals.replayed += made.positions.len() as u64;
        // For the rate of their host.
        self.replayed.push(Sent { at: self.time, lane, position: made.positions[0] });
        let receiver = super::setup::receiver_of(subscription);
        self.note(|| format!("send #{attempt} of replay {replay}: {:?} for {lane} to r{receiver}", made.positions));
        let sent_at = self.time;
        let replay = Some(replay);
        self.attempts.insert(attempt, Attempt { id, lane, made, receiver, sent_at, run: self.run, replay });
        self.send_out(attempt);
        Ok(())
    }

    /// An attempt of a replay has ended. It never suspends the subscription.
    pub(super) fn replay_attempt_ended(&mut self, number: u64, replay: ReplayId, outcomes: Vec<Outcome>) -> Check {
        let Some(attempt) = self.attempts.get(&number) else { return Ok(()) };
        let id = attempt.id;
        let judged = self.as_judged(&outcomes);
        self.oracle.replay_ended(replay, number, &attempt.made, &judged, self.steady());
        self.note(|| format!("#{number} of replay {replay} ended: {outcomes:?}"));
        let told = match self.plan.mutation {
            Some(Mutation::BlameReplays) => {
                let blamed = |outcome: Outcome| match outcome {
                    Outcome::Ours(_) | Outcome::Silent(_) => Outcome::Failed(super::attempts::no_answer()),
                    other => other,
                };
                outcomes.into_iter().map(blamed).collect()
            }
            _ => outcomes,
        };
        // Suspensions that follow from nothing are noticed where they are requested.
        self.tell(Reply::Outcomes { attempt: id, outcomes: told }.into())
    }

    /// Plants faults in the progress of replays.
    pub(super) fn tamper_with_progress(&mut self, replays: &mut [ReplaySave]) {
        for save in replays {
            match self.plan.mutation {
                Some(Mutation::SaveProgressAhead) => save.progress.open.clear(),
                Some(Mutation::NeverEndReplay) => save.end = None,
                _ => {}
            }
        }
    }
}
