//! Attempts: each hand-over to a sink looks at the own lease first.

use std::sync::Arc;

use domain::LoggedEvent;
use domain::outcome::{ErrorReason, Failure, Lack, Outcome};
use domain::subscription::Subscription;
use engine::core::{AttemptId, Reply};

use super::books::Handed;
use super::step::{At, Local, Step};
use super::world::{Attempt, World};
use crate::mutation::Mutation;
use crate::property::Check;
use crate::receiver::{ATTEMPT, BatchVerdict};
use crate::world::receiver_of;

impl World {
    /// A driver hands events over to a sink.
    pub(super) fn deliver(
        &mut self,
        at: At,
        run: u64,
        id: AttemptId,
        subscription: &Subscription,
        events: Vec<Arc<LoggedEvent>>,
    ) -> Check {
        let now = self.lease_clock(at.node);
        let (Some(process), looks) = (&self.nodes[at.node].process, !self.mutated(Mutation::SendAfterTheEnd)) else {
            return Ok(());
        };
        let Some(holding) = process.holdings.values().find(|holding| holding.run == run) else { return Ok(()) };
        let tenure = holding.tenure;
        if looks && !process.leases.owns(tenure.shard, process.losses, now) {
            let outcomes = events.iter().map(|_| Outcome::Ours(Lack::Store)).collect();
            let input = Reply::Outcomes { attempt: id, outcomes }.into();
            self.local(at, 0, Local::Reported(run, input));
            return Ok(());
        }
        // Once the store went back, its positions are used again by other events.
        let may_be_gone = process.server != self.server.number;
        let events: Vec<(Arc<LoggedEvent>, u64)> = events
            .into_iter()
            .map(|event| {
                let number = super::producers::number_of(&event);
                (event, number)
            })
            .collect();
        self.next_attempt += 1;
        let attempt = self.next_attempt;
        let handed = Handed { attempt, run, tenure, subscription, events: &events, may_be_gone };
        let lane = self.books.handed(&handed)?;
        self.totals.attempts += 1;
        let receiver = receiver_of(subscription);
        let events: Vec<(u64, u64)> = events.iter().map(|(event, number)| (event.position.0, *number)).collect();
        self.note(|| format!("node {} sends #{attempt}: {events:?} for {lane} to r{receiver}", at.node));
        let batch = crate::oracle::is_topic(subscription);
        let made = Attempt { id, at, run, lane, events, receiver, sent_at: self.time, batch };
        self.attempts.insert(attempt, made);
        let way = self.receivers[receiver].way().as_micros() as u64;
        self.schedule(way, Step::Arrive(attempt));
        Ok(())
    }

    /// A request arrives at its receiver, whatever has become of its sender.
    pub(super) fn arrive(&mut self, number: u64) -> Check {
        let Some(attempt) = self.attempts.get(&number) else { return Ok(()) };
        let (lane, receiver, sent_at, at) = (attempt.lane, attempt.receiver, attempt.sent_at, attempt.at);
        let verdict = if attempt.batch {
            let keys = self.books.entities(lane, &attempt.events);
            self.receivers[receiver].take(self.time, &keys)
        } else {
            let verdict = self.receivers[receiver].arrive(self.time);
            BatchVerdict {
                taken: vec![verdict.taken],
                outcomes: vec![verdict.outcome],
                after: verdict.after,
                again: None,
            }
        };
        self.books.got(lane, &attempt.events, &verdict.taken, &verdict.outcomes)?;
        self.note(|| format!("#{number} arrives: {:?}, {:?}", verdict.taken, verdict.outcomes));
        let latest = sent_at + ATTEMPT.as_micros() as u64 - self.time;
        let after = (verdict.after.as_micros() as u64).min(latest);
        self.local(at, after, Local::Ended(number, verdict.outcomes));
        Ok(())
    }

    /// An attempt ends in its process, unless that is gone.
    pub(super) fn ended(&mut self, at: At, number: u64, mut outcomes: Vec<Outcome>) -> Check {
        let Some(attempt) = self.attempts.remove(&number) else { return Ok(()) };
        let slept = self.time > attempt.sent_at + ATTEMPT.as_micros() as u64;
        if slept && self.random.percent(60) {
            // The timeout was slept through; whether there was an answer does not matter any more.
            let judged = match self.mutated(Mutation::BlamePauses) {
                true => Outcome::Failed(no_answer()),
                false => Outcome::Ours(Lack::Clock),
            };
            outcomes.fill(judged);
        }
        if self.holding(at, attempt.run).is_none() {
            return Ok(());
        }
        let now = self.active(at);
        self.books.ended(attempt.lane, number, &attempt.events, &outcomes, now);
        self.tell(at, attempt.run, Reply::Outcomes { attempt: attempt.id, outcomes }.into())
    }
}

fn no_answer() -> Failure {
    let message = "no answer within 5 s".to_owned();
    Failure { reason: ErrorReason::DestinationTimeout, code: 500, message, answer: None }
}
