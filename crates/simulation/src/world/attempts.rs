//! Attempts: start, arrival and end.

use std::sync::Arc;

use domain::LoggedEvent;
use domain::outcome::{ErrorReason, Failure, Lack, Outcome, SuspensionReason};
use domain::subscription::Subscription;
use engine::core::{AttemptId, Reply};

use super::{Attempt, Sent, Step, World};
use crate::mutation::Mutation;
use crate::oracle::{Sending, State};
use crate::property::{Check, Property, hold};
use crate::receiver::{ATTEMPT, BatchVerdict};

impl World {
    pub(super) fn deliver(
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
        let status = self.driver.as_mut().and_then(|driver| driver.status(subscription.id, now));
        let rate = status.and_then(|(status, ..)| status.rate);
        let lane = self.oracle.find(subscription.id);
        let excused = self.engine_may_not_know()
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
        self.oracle.tried(receiver, sent_at);
        self.attempts.insert(attempt, Attempt { id, lane, made, receiver, sent_at, run: self.run, replay: None });
        self.send_out(attempt);
        Ok(())
    }

    /// An attempt sets out, unless the platform lacks a resource for it.
    pub(super) fn send_out(&mut self, attempt: u64) {
        match self.plan.lack(self.time) {
            Some(lack) => self.come_to_nothing(attempt, lack),
            None => self.set_out(attempt),
        }
    }

    /// The platform lacks a resource needed by the attempt: it ends without reaching any receiver.
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

    pub(super) fn arrive(&mut self, number: u64) -> Check {
        let Some(attempt) = self.attempts.get(&number) else { return Ok(()) };
        let (lane, sent_at, run, receiver) = (attempt.lane, attempt.sent_at, attempt.run, attempt.receiver);
        let verdict = if attempt.made.batch {
            let entity = |position: &u64| self.oracle.entity(*position);
            let keys: Vec<u64> = attempt.made.positions.iter().map(entity).collect();
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
        match attempt.replay {
            Some(replay) => self.oracle.replay_taken(replay, &attempt.made, &verdict.taken),
            None => self.oracle.taken(lane, &attempt.made, receiver, &verdict.taken)?,
        }
        self.note(|| format!("#{number} arrives: {}", verdict_of(&verdict.outcomes, &verdict.taken)));
        let (verdict, latest) = match self.too_late(number, &verdict) {
            Some(too_late) => too_late,
            None if self.shared.is_some() => (verdict, u64::MAX),
            None => (verdict, sent_at + ATTEMPT.as_micros() as u64 - self.time),
        };
        // A replay changes no fate.
        if let Some(attempt) = self.attempts.get(&number).filter(|attempt| attempt.replay.is_none()) {
            let dead = attempt.run != self.run;
            self.oracle.received(lane, &attempt.made, &verdict.taken, &verdict.outcomes, dead);
        }
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

    pub(super) fn ended(&mut self, number: u64, outcomes: Vec<Outcome>) -> Check {
        self.disconnect(number);
        let Some(attempt) = self.attempts.get(&number) else { return Ok(()) };
        if let Some(replay) = attempt.replay {
            return self.replay_attempt_ended(number, replay, outcomes);
        }
        let (id, lane) = (attempt.id, attempt.lane);
        let time = (self.steady(), self.time);
        for outcome in &outcomes {
            let throttled = matches!(outcome, Outcome::Throttled { .. });
            self.answered.push((self.time, lane, throttled));
        }
        let judged: Vec<Outcome> = if self.plan.judges_silence {
            self.oracle.judge_silence(lane, attempt.receiver, &outcomes, attempt.sent_at, time)
        } else {
            self.as_judged(&outcomes)
        };
        let follows = self.oracle.ended(lane, number, &attempt.made, &judged, time);
        let unsure = self.oracle.stepped_back && !matches!(follows, Some(SuspensionReason::Destination(_)));
        // Nothing is decided while the process stops; the next failure after the restart decides.
        let follows = follows.filter(|_| !unsure && self.stopping_since.is_none());
        let failures = self.oracle.lanes[lane].failures_reported;
        self.note(|| {
            let ended = verdict_of(&outcomes, &[]);
            format!("#{number} ended: {ended}, follows {follows:?}; {lane} has {failures} failures")
        });
        let reported = self.tamper_with_outcomes(outcomes, &judged);
        // The suspension has to come within this turn: the flag marks it as expected, then as made.
        self.oracle.lanes[lane].halted |= follows.is_some();
        let suspensions = self.suspensions_asked;
        self.tell(Reply::Outcomes { attempt: id, outcomes: reported }.into())?;
        let came = self.suspensions_asked > suspensions;
        let awaited = follows.is_some() && !self.mutated(Mutation::LoseSuspension);
        hold(Property::SuspendsByTheRule, came == awaited || unsure || self.mutated(Mutation::LoseSuspension), || {
            format!("subscription {lane}: {follows:?} has to follow; it came: {came}")
        })
    }

    /// The outcomes as they count. During a platform outage, silence is never the receivers' fault: the others in use
    /// are just as silent.
    pub(super) fn as_judged(&self, outcomes: &[Outcome]) -> Vec<Outcome> {
        let ours = |outcome: &Outcome| match outcome {
            Outcome::Silent(_) if !self.plan.outages.is_empty() => Outcome::Ours(Lack::Silence),
            outcome => outcome.clone(),
        };
        outcomes.iter().map(ours).collect()
    }

    /// The outcomes reported to the engine; `judged`: as they count.
    fn tamper_with_outcomes(&self, mut outcomes: Vec<Outcome>, judged: &[Outcome]) -> Vec<Outcome> {
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
            Some(Mutation::ExcuseSilence) => {
                for outcome in outcomes.iter_mut().filter(|outcome| is_silent(outcome)) {
                    *outcome = Outcome::Ours(Lack::Silence);
                }
            }
            // Nothing but their being silence tells failures that may be disproven from others.
            Some(Mutation::KeepDisprovenFailures) => {
                for (outcome, _) in outcomes.iter_mut().zip(judged).filter(|(_, judged)| is_silent(judged)) {
                    *outcome = Outcome::Failed(Failure { reason: ErrorReason::DnsLookupFailure, ..no_answer() });
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

    /// Deliveries of an attempt are reported to the engine before its end (a planted fault).
    pub(super) fn ended_early(&mut self, number: u64, events: usize) -> Check {
        let Some(attempt) = self.attempts.get(&number).map(|attempt| attempt.id) else { return Ok(()) };
        self.tell(Reply::Outcomes { attempt, outcomes: vec![Outcome::Delivered; events] }.into())
    }
}

fn is_silent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Silent(_))
}

pub(super) fn no_answer() -> Failure {
    let message = "no answer within 5 s".to_owned();
    Failure { reason: ErrorReason::DestinationTimeout, code: 500, message, answer: None }
}

/// Outcomes for the trace: equal consecutive ones together.
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
