//! Changes of subscriptions by people, at any node. Those that alter the sending of older events are answered once they
//! are in effect: the owner has applied them, or its lease has run out, and then nobody sends.

use std::time::Duration;

use domain::outcome::SuspensionReason;
use domain::subscription::{Subscription, SubscriptionStatus};
use store::{Cluster, Lease, Put, StoreError, Subscriptions, transition};

use super::calls::{Answer, Made, What};
use super::lease::VALID;
use super::plan::Change;
use super::step::{At, Local, Step};
use super::world::World;
use crate::mutation::Mutation;
use crate::plan::TYPES;
use crate::property::Check;
use crate::storage::at_once;
use crate::world::selection;

/// Interval of looks at a change that is not in effect yet.
const LOOK_EVERY: u64 = 150_000;

/// A change that a person asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    kind: Change,
    lane: usize,
    made: Option<Made>,
    /// The lease as it was seen, and since when.
    seen: Option<(Lease, Duration)>,
}

impl World {
    /// A person asks some node for a change.
    pub(super) fn ask_for(&mut self, kind: Change) -> Check {
        let lane = self.random.within(0, self.books.lanes() as u64 - 1) as usize;
        self.change_lane(kind, lane);
        Ok(())
    }

    pub(super) fn change_lane(&mut self, kind: Change, lane: usize) {
        let Some(at) = self.some_node() else { return self.schedule(1_000_000, Step::Change(kind)) };
        let number = self.wanted.len();
        self.wanted.push(Wanted { kind, lane, made: None, seen: None });
        let after = self.random.within(1_000, 20_000);
        self.local(at, after, Local::Change(number));
    }

    pub(super) fn change_at(&mut self, at: At, change: usize) -> Check {
        self.ask(at, What::Change(change));
        Ok(())
    }

    /// The store makes a change.
    pub(super) fn about_a_change(&mut self, at: At, number: usize) -> Check<Answer> {
        let Wanted { kind, lane, .. } = self.wanted[number];
        let id = self.books.stored(lane).id;
        let Ok(Some(stored)) = at_once(self.store.subscription(id)) else {
            return Ok(Answer::Changed(number, Err(crate::storage::unavailable())));
        };
        let Some(change) = self.change_of(kind, stored) else {
            return Ok(Answer::Changed(number, Err(crate::storage::unavailable())));
        };
        let commit = self.before_commit();
        let made = match at_once(self.store.change(change)) {
            Ok(made) => made,
            Err(error) => panic!("a change of subscription {lane} was refused: {error}"),
        };
        self.totals.changes += 1;
        let mut revision = 0;
        for subscription in &made.subscriptions {
            self.books.committed(subscription, commit);
            revision = subscription.revision;
        }
        self.note(|| {
            let stored = states(&made.subscriptions);
            format!("node {} commits {kind:?} of {lane}: version {}, {stored}", at.node, made.version)
        });
        self.news(made.shard);
        self.notices(made.shard);
        let made = Made { shard: made.shard, version: made.version, lane, revision };
        Ok(Answer::Changed(number, Ok(made)))
    }

    /// What a person changes; none if there is nothing to change.
    fn change_of(&mut self, kind: Change, stored: Subscription) -> Option<store::Change> {
        let mut change = store::Change::default();
        let (now, is_active) = (self.server_time(), stored.status.is_active());
        let is_suspended = matches!(stored.status, SubscriptionStatus::Suspended(_));
        match kind {
            Change::Suspend | Change::Toggle if is_active => {
                transition::suspend(&mut change, stored, SuspensionReason::User, "", now);
            }
            Change::Resume | Change::Toggle if is_suspended => transition::resume(&mut change, stored, "", now),
            Change::Redirect => {
                let receiver = self.random.within(0, self.receivers.len() as u64 - 1) as usize;
                let destination = super::setup::destination(&self.plan, receiver);
                let revision = stored.revision + 1;
                change.subscriptions = vec![Put::Changed(Subscription { destination, revision, ..stored })];
            }
            Change::Select => {
                let types: Vec<usize> = (0..TYPES.len()).filter(|_| self.random.percent(70)).collect();
                let selection = selection(if types.is_empty() { &[1] } else { &types }, None);
                let revision = stored.revision + 1;
                change.subscriptions = vec![Put::Changed(Subscription { selection, revision, ..stored })];
            }
            Change::Suspend | Change::Resume | Change::Toggle => return None,
        }
        Some(change)
    }

    /// A change was committed, or could not be made.
    pub(super) fn changed(&mut self, at: At, number: usize, result: Result<Made, StoreError>) -> Check {
        let Ok(made) = result else { return Ok(()) };
        self.wanted[number].made = Some(made);
        // A selection applies to later events only, a resumed subscription has none under way.
        let waits = !matches!(self.wanted[number].kind, Change::Select | Change::Resume);
        if waits && self.mutated(Mutation::AnswerAtCommit) {
            self.books.change_answered(made.lane, made.revision);
        } else if waits {
            return self.is_in_effect(at, number);
        }
        Ok(())
    }

    /// Looks whether a change is in effect.
    pub(super) fn is_in_effect(&mut self, at: At, number: usize) -> Check {
        let now = self.nodes[at.node].clock.uptime();
        self.ask(at, What::InEffect(number, now));
        Ok(())
    }

    pub(super) fn about_its_effect(&mut self, number: usize, asked: Duration) -> Answer {
        let Some(made) = self.wanted[number].made else { return What::InEffect(number, asked).refused() };
        let applied = self.applied.get(&made.shard).and_then(|applied| applied.iter().map(|(_, one)| *one).max());
        let roll = at_once(self.store.roll());
        let lease = roll.map(|roll| roll.leases.into_iter().find(|lease| lease.shard == made.shard));
        Answer::InEffect(number, asked, lease.map(|lease| (applied.unwrap_or_default(), lease)))
    }

    /// What is known of a change; `asked`: when the look was sent.
    pub(super) fn in_effect(
        &mut self,
        at: At,
        number: usize,
        asked: Duration,
        result: Result<(u64, Option<Lease>), StoreError>,
    ) -> Check {
        let now = self.nodes[at.node].clock.uptime();
        let wanted = &mut self.wanted[number];
        let (Some(made), Ok((applied, lease))) = (wanted.made, result) else {
            self.local(at, LOOK_EVERY, Local::InEffect(number));
            return Ok(());
        };
        let is_same = wanted.seen.as_ref().is_some_and(|(seen, _)| Some(seen) == lease.as_ref());
        if !is_same {
            wanted.seen = lease.map(|lease| (lease, now));
        }
        // Up to the look, not to its answer: the lease may have been renewed meanwhile.
        let has_run_out = wanted
            .seen
            .as_ref()
            .is_some_and(|(lease, since)| lease.owner.is_none() || asked.saturating_sub(*since) >= VALID);
        if applied >= made.version || has_run_out {
            self.note(|| format!("change {number} is answered: {applied} applied, run out {has_run_out}"));
            self.books.change_answered(made.lane, made.revision);
        } else {
            self.local(at, LOOK_EVERY, Local::InEffect(number));
        }
        Ok(())
    }
}

fn states(subscriptions: &[Subscription]) -> String {
    subscriptions.iter().map(|one| format!("{:?} in revision {}", one.status, one.revision)).collect()
}
