//! Incidents of a world beside traffic: crashes, restarts, clock jumps, and changes of subscriptions by people.

use std::sync::Arc;
use std::time::Duration;

use domain::log_entry::{Action, LogEntry};
use domain::outcome::SuspensionReason;
use domain::subscription::{Subscription, SubscriptionStatus};
use engine::driver::{Driver, Found, Input};
use store::{Change, Ledger, Put, Shard, Shards, Subscriptions};

use super::driver::Run;
use super::{Step, World, setup};
use crate::mutation::Mutation;
use crate::oracle::State;
use crate::plan::{Incident, SubscriptionPlan, TYPES, options};
use crate::property::{Check, Property, hold};
use crate::storage::at_once;

/// Changes made by people while the engine looks elsewhere.
const QUICK: [Incident; 6] = [
    Incident::SuspendOrResume,
    Incident::SuspendOrResume,
    Incident::ResumeAll,
    Incident::Select,
    Incident::Redirect,
    Incident::Options,
];

impl World {
    pub(super) fn happen(&mut self, incident: Incident) -> Check {
        self.note(|| format!("{incident:?}"));
        match incident {
            Incident::Crash(away) => {
                if self.is_up() {
                    self.back_after = away;
                    self.crash()?;
                }
            }
            Incident::Restart(away) => {
                if self.is_up() && self.stopping_since.is_none() {
                    self.back_after = away;
                    self.stopping_since = Some(self.time);
                    self.tell(Input::Stop)?;
                }
            }
            Incident::Jump(by) => {
                self.offset += by;
                self.oracle.clock_jumped();
            }
            incident => {
                // The management API is part of the process.
                if self.holds_back(|| Step::Incident(incident)) {
                    return Ok(());
                }
                if self.is_up() && self.stopping_since.is_none() && !self.store_fails() {
                    self.change(incident);
                }
            }
        }
        Ok(())
    }

    pub(super) fn change_something(&mut self) -> Check {
        let incident = self.random.one_of(&QUICK);
        self.happen(incident)
    }

    /// The process dies.
    fn crash(&mut self) -> Check {
        if self.pending_save.is_some()
            && self.random.percent(50)
            && !self.connections.hide()
            && !self.connections.fail()
        {
            self.make_save()?;
        }
        self.end_suddenly(false)
    }

    /// The driver is gone, with everything in flight; `lives`: its process goes on.
    pub(super) fn end_suddenly(&mut self, lives: bool) -> Check {
        self.pending_save = None;
        self.gone();
        self.connections.without_driver(lives);
        // Requests in transit may still arrive.
        let on_their_way: Vec<_> =
            self.agenda.iter().filter(|(_, step)| matches!(step, Step::Arrive(_))).map(|(key, _)| *key).collect();
        for key in on_their_way {
            if self.random.percent(50) {
                self.agenda.remove(&key);
            }
        }
        let ledger = at_once(self.store.load(&self.tenure)).unwrap_or_default();
        self.note(|| format!("the store has {ledger:?}"));
        self.oracle.crashed(&ledger)
    }

    fn gone(&mut self) {
        self.driver = None;
        self.failed_save = None;
        self.run += 1;
        self.of_run = Run::default();
        self.stopping_since = None;
        self.schedule(self.back_after, Step::Start);
    }

    /// The process has stopped in order. If it was quiet, everything is saved and nothing will be sent twice.
    pub(super) fn stopped(&mut self, quiet: bool) -> Check {
        self.pending_save = None;
        self.gone();
        self.connections.without_driver(false);
        let ledger = at_once(self.store.load(&self.tenure)).unwrap_or_default();
        self.note(|| format!("the store has {ledger:?}"));
        let settled = |world: &World| {
            let lanes = world.oracle.lanes.iter();
            lanes.map(|lane| lane.items.values().filter(|item| item.state.is_settled()).count()).sum::<usize>()
        };
        let before = settled(self);
        self.oracle.crashed(&ledger)?;
        let after = settled(self);
        hold(Property::DuplicatesAreExplained, !quiet || after >= before, || {
            format!("{} settled events will be sent again after a stop in order", before - after)
        })
    }

    /// The process starts and resumes all lanes from their saved state.
    pub(super) fn start(&mut self) -> Check {
        if self.store_fails() || self.connections.are_in_trouble() {
            self.schedule(1_000_000, Step::Start);
            return Ok(());
        }
        let (in_process, went_back, remembered) = self.connections.begin_anew();
        if !(went_back && self.mutated(Mutation::KeepTail)) {
            self.store = self.store.reopen();
        }
        let Ok(tenure) = at_once(self.store.take(Shard::FIRST)) else { return Ok(()) };
        self.tenure = tenure;
        let ledger = at_once(self.store.load(&self.tenure)).unwrap_or_default();
        let mut ledger = remembered.unwrap_or(ledger);
        let Ok((version, subscriptions)) = at_once(self.store.changed_since(Shard::FIRST, None)) else { return Ok(()) };
        if self.mutated(Mutation::ResumeAtOldCursor) {
            for record in &mut ledger.lanes {
                let cursor = record.cursor.unwrap_or(ledger.mark);
                record.cursor = Some(domain::Position(cursor.0.saturating_sub(20).max(1)));
            }
        }
        if !in_process {
            self.offset_at_start = self.offset;
            self.oracle.started();
        }
        // The clock of a process goes on; at its start it is the wall clock.
        let now = self.steady();
        let mut settings = self.plan.settings.clone();
        match self.plan.mutation {
            Some(Mutation::SuspendAtOnce) => settings.delivery.suspend_after = Duration::ZERO,
            Some(Mutation::NoHostRate) => settings.host_rate = u32::MAX,
            Some(Mutation::LosePatience) => settings.delivery.topic_patience /= 10,
            _ => {}
        }
        let head = store::EventLog::tail(&self.store, Shard::FIRST).head();
        self.pushed = head;
        for subscription in &subscriptions {
            self.oracle.applied(subscription, head);
        }
        let found = Found { shard: Shard::FIRST, ledger, version, subscriptions, head };
        self.driver = Some(Driver::new(settings, Arc::default(), now, found));
        self.served_until = self.time;
        self.note(|| "started".to_owned());
        self.tell(Input::News)
    }

    fn change(&mut self, incident: Incident) {
        if incident == Incident::Create {
            let receiver = self.random.within(0, self.receivers.len() as u64 - 1) as usize;
            let plan = SubscriptionPlan::random(&mut self.random, self.plan.pims, receiver);
            self.totals.changes += 1;
            return self.subscribe(&plan);
        }
        let lanes = self.oracle.lanes.len() as u64;
        if incident == Incident::ResumeAll {
            for index in 0..lanes as usize {
                self.change_one(index, Incident::ResumeAll);
            }
        } else if lanes > 0 {
            let index = self.random.within(0, lanes - 1) as usize;
            self.change_one(index, incident);
        }
    }

    fn change_one(&mut self, index: usize, incident: Incident) {
        let stored = self.oracle.lanes[index].stored.clone();
        let suspended = matches!(stored.status, SubscriptionStatus::Suspended(_));
        if !stored.status.counts() {
            return;
        }
        let mut new = Subscription { revision: stored.revision + 1, updated_at: self.now(), ..stored };
        let action = match incident {
            Incident::SuspendOrResume if !suspended => {
                new.status = SubscriptionStatus::Suspended(SuspensionReason::User);
                Action::SubscriptionSuspendedByTheUser
            }
            Incident::SuspendOrResume | Incident::ResumeAll => {
                if !suspended {
                    return;
                }
                new.status = SubscriptionStatus::Active;
                Action::SubscriptionResumedByTheUser
            }
            Incident::Delete => {
                new.status = SubscriptionStatus::Deleted;
                Action::SubscriptionDeleted
            }
            Incident::Revoke => {
                new.status = SubscriptionStatus::Revoked;
                Action::SubscriptionRevoked
            }
            Incident::Redirect => {
                let receiver = self.random.within(0, self.receivers.len() as u64 - 1) as usize;
                new.destination = self.destination(receiver);
                Action::SubscriptionUpdated
            }
            Incident::Options => {
                new.options = options(&mut self.random);
                Action::SubscriptionUpdated
            }
            _ => {
                let types: Vec<usize> = (0..TYPES.len()).filter(|_| self.random.percent(60)).collect();
                let user = self.random.percent(35).then(|| self.random.within(0, 2));
                new.selection = setup::selection(if types.is_empty() { &[1] } else { &types }, user);
                Action::SubscriptionUpdated
            }
        };
        let entry = LogEntry::action(&new.owner(), new.subscriber_id, Some(new.id), action, self.now());
        let change = Change { subscriptions: vec![Put::Changed(new)], entries: vec![entry], ..Change::default() };
        self.before_commit();
        match at_once(self.store.change(change)) {
            Ok(made) => {
                self.totals.changes += 1;
                self.committed(&made.subscriptions);
            }
            Err(error) => panic!("a change of subscription {index} was refused: {error}"),
        }
    }

    /// Whether anything is still owed to an active subscription.
    pub(super) fn owes(&self) -> bool {
        self.oracle.lanes.iter().any(|lane| {
            let open = |state: State| !state.is_settled();
            lane.stored.status.is_active() && lane.items.values().any(|item| open(item.state) && !item.optional)
        })
    }
}
