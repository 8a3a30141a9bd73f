//! The store's side of the driver's requests: reads, suspensions, trims.

use std::time::Duration;

use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{LogId, PimId, Position};
use engine::core::{Floors, Read, ReadId, Reply, Suspend};
use engine::driver::{Input, Trimmed};
use engine::{suspension, work};
use store::{Change, ChangeError, EventLog, ReadLimit, Scope, Shard, Subscriptions, TenureError};

use super::{Step, World};
use crate::mutation::Mutation;
use crate::property::{Check, Property, hold};
use crate::storage::{at_once, unavailable};

/// A world lasts minutes, so one minute counts as this many hours of service.
pub(super) const HOURS_A_MINUTE: u32 = 60;

impl World {
    pub(super) fn read_changes(&mut self, since: u64) {
        let mut result = match self.store_fails() {
            true => Err(unavailable()),
            false => at_once(self.store.changed_since(Shard::FIRST, Some(since))),
        };
        if self.mutated(Mutation::LoseChange)
            && let Ok((_, changed)) = &mut result
            && changed.len() > 1
        {
            changed.pop();
        }
        let takes = self.store_takes();
        self.answer(takes, Input::Changed { result });
    }

    pub(super) fn read_missed(&mut self, from: Position, limit: ReadLimit) {
        let mut result = match self.store_fails() {
            true => Err(unavailable()),
            false => at_once(self.store.read(Scope::Shard(Shard::FIRST), from, limit)),
        };
        if self.mutated(Mutation::SkipToHead)
            && let Ok(chunk) = &mut result
        {
            chunk.events.clear();
            chunk.next = limit.until;
        }
        let takes = self.store_takes();
        self.answer(takes, Input::Missed { result });
    }

    pub(super) fn read(&mut self, read: Read) {
        let mut chunk = match self.store_fails() {
            true => Err(unavailable()),
            false => at_once(self.store.read(Scope::Pim(read.pim), read.from, read.limit)),
        };
        if self.mutated(Mutation::SkipEventAtFallBehind)
            && let Ok(chunk) = &mut chunk
            && chunk.events.len() > 1
        {
            chunk.events.remove(0);
        }
        let takes = self.store_takes();
        self.answer(takes, Reply::Read { id: read.id, chunk }.into());
    }

    pub(super) fn load(&mut self, id: ReadId, pim: PimId, positions: Vec<Position>) {
        let events = match self.store_fails() {
            true => Err(unavailable()),
            false => at_once(work::load(&self.store, pim, &positions)),
        };
        let takes = self.store_takes();
        self.answer(takes, Reply::Loaded { id, positions, events }.into());
    }

    pub(super) fn prepare_suspension(&mut self, number: u64, wanted: &Suspend) {
        let (now, frequent) = (self.now(), self.plan.settings.frequent);
        let prepared = match self.store_fails() {
            true => Err(unavailable().into()),
            false => at_once(suspension::prepare(&self.store, self.tenure, wanted, now, frequent)),
        };
        let takes = self.store_takes();
        match prepared {
            Ok(Some(_)) if self.is_fenced(Input::Suspended { number, result: Err(ChangeError::Fenced) }) => {}
            Ok(Some(mut change)) => {
                if self.mutated(Mutation::LoseNotification) {
                    change.notifications.clear();
                }
                if self.mutated(Mutation::LogSuspensionTwice) {
                    let mut again = change.entries.clone();
                    again.iter_mut().for_each(|entry| entry.id = LogId::generate());
                    change.entries.extend(again);
                }
                self.schedule(takes, Step::SuspendCommit(self.run, number, Box::new(change)));
            }
            Ok(None) => self.answer(takes, Input::Suspended { number, result: Ok(false) }),
            Err(error) => self.answer(takes, Input::Suspended { number, result: Err(error) }),
        }
    }

    pub(super) fn commit_suspension(&mut self, number: u64, change: Change) {
        let made = match self.store_fails() {
            true => Err(unavailable().into()),
            false => {
                self.before_commit();
                at_once(self.store.change(change))
            }
        };
        let result = made.map(|made| self.committed(&made.subscriptions)).map(|()| true);
        let takes = self.store_takes();
        self.answer(takes, Input::Suspended { number, result });
    }

    /// Changes were committed.
    pub(super) fn committed(&mut self, subscriptions: &[Subscription]) {
        self.unnoticed();
        self.withhold();
        for subscription in subscriptions {
            self.oracle.committed(subscription);
            let (status, at) = (subscription.status, subscription.status_since);
            self.note(|| format!("committed {}: {status:?} since {at}, {:?}", subscription.id, subscription.options));
            if self.mutated(Mutation::SendAfterSuspension) && !matches!(status, SubscriptionStatus::Active) {
                self.withheld_until = self.time + 2_000_000;
            }
        }
    }

    pub(super) fn begin_trim(&mut self, floors: Floors, retention: Duration) {
        if self.is_fenced(Input::Trimmed { result: Err(TenureError::Fenced) }) {
            return;
        }
        if !self.connections.hide() && !self.connections.fail() {
            self.before_commit();
            self.serve();
        }
        let takes = self.store_takes();
        self.schedule(takes, Step::Trim(self.run, floors, retention * HOURS_A_MINUTE));
    }

    /// Counts the hours of service.
    fn serve(&mut self) {
        let elapsed = Duration::from_micros(self.time - std::mem::replace(&mut self.served_until, self.time));
        at_once(self.store.served(&self.tenure, elapsed * HOURS_A_MINUTE)).unwrap_or_default();
    }

    pub(super) fn trim(&mut self, mut floors: Floors, retention: Duration) -> Check {
        if self.mutated(Mutation::TrimTooFar) {
            floors.rest = Position(floors.rest.0 + 3);
            floors.pims.iter_mut().for_each(|(_, position)| position.0 += 3);
        }
        if self.mutated(Mutation::TrimByTheMark) {
            floors.pims.clear();
        }
        let mut result = Ok(Trimmed::default());
        if !self.store_fails() {
            self.before_commit();
            let before = self.positions();
            result = at_once(work::trim(&self.store, &self.tenure, &floors, retention));
            let after = self.positions();
            let gone = before.into_iter().filter(|position| after.binary_search(position).is_err());
            let gone: Vec<u64> = gone.collect();
            self.oracle.replays_lose(&gone);
            for position in gone {
                let needed_by = self.oracle.needs(position);
                hold(Property::NeededIsKept, needed_by.is_none(), || {
                    format!("event {position} was deleted; subscription {needed_by:?} needs it; floors {floors:?}")
                })?;
            }
        }
        let takes = self.store_takes();
        self.answer(takes, Input::Trimmed { result });
        Ok(())
    }

    /// The positions in the log.
    pub(super) fn positions(&self) -> Vec<u64> {
        let limit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
        let chunk = at_once(self.store.read(Scope::Shard(Shard::FIRST), Position::FIRST, limit)).unwrap_or_default();
        chunk.events.iter().map(|event| event.position.0).collect()
    }
}
