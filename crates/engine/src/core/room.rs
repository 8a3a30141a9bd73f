//! Room in the log: near its bound, events held for suspended subscriptions are dropped first, then the backlog of a
//! topic that accepts nothing.

use domain::outcome::SuspensionReason;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, Position};

use super::Core;
use super::drops::Why;
use super::lanes::Entry;
use super::output::{Output, Suspend};

impl Core {
    /// Drops the oldest events of a PIM, those before `before`. The next candidate is chosen by the next call, once it
    /// is known whether this was enough.
    pub(super) fn make_room(&mut self, pim: PimId, before: Position) {
        let held: Vec<usize> = self.slots_that_need(pim, before, |entry| holds(&entry.subscription)).collect();
        for slot in &held {
            self.drop_before(*slot, before, Why::GaveWay);
        }
        if !held.is_empty() {
            return;
        }
        let now = self.now;
        let waiting: Vec<usize> = self.slots_that_need(pim, before, |entry| !holds(&entry.subscription)).collect();
        let takes_nothing = waiting.into_iter().filter_map(|slot| {
            let entry = self.entries.get_mut(slot).and_then(Option::as_mut)?;
            entry.lane.status(now).taking_nothing_since?;
            Some((entry.lane.reach(), entry.subscription.clone()))
        });
        // The backlog that reaches back furthest is the largest.
        if let Some((_, subscription)) = takes_nothing.min_by_key(|(reach, _)| *reach) {
            tracing::warn!(
                subscription.id = %subscription.id,
                "the log is nearly full: suspending a topic that accepts nothing before its patience ends"
            );
            let reason = SuspensionReason::TookNothing;
            self.outputs.push_back(Output::Suspend(Suspend { subscription, reason, last: None }));
        }
    }

    fn slots_that_need(
        &self,
        pim: PimId,
        before: Position,
        wanted: impl Fn(&Entry) -> bool,
    ) -> impl Iterator<Item = usize> {
        self.entries.iter().enumerate().filter_map(move |(slot, entry)| {
            let entry = entry.as_ref()?;
            (entry.subscription.pim == pim && entry.needs(before) && wanted(entry)).then_some(slot)
        })
    }
}

/// Whether events are held for a suspended subscription.
fn holds(subscription: &Subscription) -> bool {
    subscription.options.hold && matches!(subscription.status, SubscriptionStatus::Suspended(_))
}

impl Entry {
    /// Whether the lane still has to deliver events before `before`. Undelivered events of a stopped lane are counted
    /// already.
    pub(super) fn needs(&self, before: Position) -> bool {
        let first = [self.lane.reach(), self.lane.first_waiting(), self.lane.cursor()].into_iter().flatten().min();
        first.is_some_and(|first| first < before) && !self.drop_exceptions && !self.lane.is_stopped()
    }
}
