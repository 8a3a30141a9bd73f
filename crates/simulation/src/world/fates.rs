//! Checks of fates: what the platform says became of kept events, against the oracle's books.

use std::sync::Arc;

use domain::subscription::SubscriptionStatus;
use domain::{LoggedEvent, PimId, Position};
use engine::driver::Driver;
use store::{Facts, History, Kept, KeptQuery, LaneSave, Recorded, fate};

use super::World;
use crate::mutation::Mutation;
use crate::property::{Check, Property, hold};
use crate::storage::at_once;

/// Number of events checked at one moment on the way.
const AT_ONCE: usize = 12;

impl World {
    /// Checks the fates of some kept events for one subscription.
    pub(super) fn look_at_fates(&mut self) -> Check {
        let lanes = self.oracle.lanes.len() as u64;
        if lanes == 0 {
            return Ok(());
        }
        let index = self.looks.within(0, lanes - 1) as usize;
        let events = self.kept_for(index);
        for _ in 0..AT_ONCE.min(events.len()) {
            let event = &events[self.looks.within(0, events.len() as u64 - 1) as usize];
            self.fate_is_true(index, event)?;
        }
        Ok(())
    }

    /// Checks the fates of all kept events for all subscriptions.
    pub(super) fn fates_are_true(&mut self) -> Check {
        for index in 0..self.oracle.lanes.len() {
            for event in self.kept_for(index) {
                self.fate_is_true(index, &event)?;
            }
        }
        Ok(())
    }

    /// The kept events of a subscription's PIM, newest first; none for a deleted subscription.
    fn kept_for(&self, index: usize) -> Vec<Arc<LoggedEvent>> {
        let stored = &self.oracle.lanes[index].stored;
        if stored.status == SubscriptionStatus::Deleted {
            return Vec::new();
        }
        let query = KeptQuery { limit: usize::MAX - 1, ..KeptQuery::default() };
        at_once(self.store.find(stored.pim, &query)).unwrap_or_default().events
    }

    fn fate_is_true(&mut self, index: usize, event: &LoggedEvent) -> Check {
        let (id, pim, position) = (self.oracle.lanes[index].stored.id, event.pim, event.position);
        let whereabouts = self.driver.as_ref().and_then(|driver| Driver::whereabouts(driver, id, position));
        let (Ok(mut recorded), Ok(history)) =
            (at_once(self.store.recorded(id, position)), at_once(self.store.history(id)))
        else {
            return Ok(());
        };
        let history = history.map(|history| self.tampered(history));
        self.tamper_with_records(&mut recorded);
        let now = self.now();
        let judge = |whereabouts| fate::judge(event, history.as_ref()?, whereabouts, &recorded, now);
        // The store alone is what another node of a cluster has.
        for (whereabouts, up) in [(whereabouts.clone(), self.is_up()), (None, false)] {
            let judged = judge(whereabouts.clone());
            hold(Property::EveryFateIsKnown, judged.is_some(), || {
                format!(
                    "subscription {index}: nothing is known about event {position} ({}): {history:?}",
                    self.kept_from(pim)
                )
            })?;
            let Some(judged) = judged else { continue };
            let wrong = self.oracle.contradicts(index, position.0, &judged, up);
            self.totals.fates[judged.fate as usize] += 1;
            hold(Property::FatesAreTrue, wrong.is_none(), || {
                let lane = &self.oracle.lanes[index];
                let (accepted, item) = (lane.accepted.get(&position.0), lane.items.get(&position.0));
                format!(
                    "subscription {index}: event {position} is said to be {:?} ({}), but {}: {accepted:?}, {item:?}; \
                     {whereabouts:?}, {recorded:?}",
                    judged.fate,
                    judged.why,
                    wrong.unwrap_or_default()
                )
            })?;
        }
        Ok(())
    }

    fn kept_from(&self, pim: PimId) -> Position {
        at_once(self.store.kept_from(pim)).unwrap_or_default()
    }

    /// Plants a fault in the history.
    fn tampered(&self, mut history: History) -> History {
        if self.mutated(Mutation::ShiftEras) {
            for era in history.eras.iter_mut().skip(1) {
                era.from = era.from.next();
            }
        }
        history
    }

    /// Plants a fault in what the store wrote with a change.
    fn tamper_with_records(&self, recorded: &mut Recorded) {
        if self.mutated(Mutation::NoProvisionalDrop) {
            recorded.dropped = recorded.dropped.take().filter(|dropped| !dropped.uncertain);
        }
    }

    /// Plants a fault in the records of a save.
    pub(super) fn tamper_with_facts(&mut self, lane: &mut LaneSave) {
        let facts = &mut lane.facts;
        match self.plan.mutation {
            Some(Mutation::LoseGivenUp) => facts.given_up.clear(),
            Some(Mutation::LoseLateDelivery) => facts.delivered_late.clear(),
            Some(Mutation::LoseDropRecord) => facts.dropped.clear(),
            Some(Mutation::DropWithoutSingles) => facts.dropped.iter_mut().for_each(|one| one.also.clear()),
            Some(Mutation::DropForCertain) => facts.dropped.iter_mut().for_each(|one| one.uncertain = false),
            Some(Mutation::RecordAfterCursor) => {
                let late = std::mem::take(facts);
                *facts = self.late_facts.insert(lane.subscription, late).unwrap_or_default();
            }
            _ => {}
        }
    }
}

/// Records that reach the store one save too late (a planted fault).
pub(super) type LateFacts = std::collections::HashMap<domain::SubscriptionId, Facts>;
