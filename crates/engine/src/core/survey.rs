//! All lanes at a glance: sums for metrics, made in one pass over the lanes that looks at no event twice.

use std::collections::BinaryHeap;
use std::sync::Arc;

use delivery::lane::Load;
use domain::destination::DestinationType;
use domain::outcome::{ErrorReason, SuspensionReason};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, Position, SubscriptionId, Timestamp};

use super::Core;

/// What the core counted since the start of the process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Events that were routed.
    pub routed: u64,
    /// Pairs of an event and a subscription that it is for.
    pub matched: u64,
    /// Pairs of an event and a subscription to its type whose filter let it not pass.
    pub filtered_out: u64,
    /// Events that a subscription does not get although it was tried: refused, or failed too often or for too long.
    pub given_up: u64,
    /// Events of a backlog that was dropped by a suspension or revocation.
    pub dropped_by_stop: u64,
    /// Events that were older than the platform keeps them.
    pub expired: u64,
    /// Events that were held for a suspended subscription, and gave way when the log was nearly full.
    pub gave_way: u64,
    /// Suspensions, by [`suspension_names`].
    pub suspensions: [u64; SUSPENSIONS],
}

/// Reasons for suspensions: those that concern no destination, and one for each error.
const SUSPENSIONS: usize = 6 + ErrorReason::ALL.len();

/// What the places of [`Totals::suspensions`] are called.
pub fn suspension_names() -> impl Iterator<Item = &'static str> {
    ["user", "operator", "success_rate", "permission_withdrawn", "took_nothing", "pim_withdrawn"]
        .into_iter()
        .chain(ErrorReason::ALL.iter().map(|reason| reason.as_str()))
}

fn place(reason: SuspensionReason) -> usize {
    match reason {
        SuspensionReason::User => 0,
        SuspensionReason::Operator => 1,
        SuspensionReason::SuccessRate => 2,
        SuspensionReason::PermissionWithdrawn => 3,
        SuspensionReason::TookNothing => 4,
        SuspensionReason::PimWithdrawn => 5,
        SuspensionReason::Destination(reason) => 6 + reason as usize,
    }
}

impl Totals {
    pub(super) fn suspended(&mut self, reason: SuspensionReason) {
        if let Some(count) = self.suspensions.get_mut(place(reason)) {
            *count += 1;
        }
    }
}

/// The lanes of one type of destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lanes {
    /// Subscriptions that are active.
    pub active: u64,
    /// Those that are suspended.
    pub suspended: u64,
    /// Those whose PIM or client is gone.
    pub revoked: u64,
    /// Active ones that read the log because they cannot keep up.
    pub behind: u64,
    /// What active lanes have at hand; the backlog of a lane that is behind is longer.
    pub backlog: u64,
    /// Events under way.
    pub in_flight: u64,
    /// Events that wait for a retry.
    pub waiting_retries: u64,
    /// Events that wait for their turn.
    pub waiting_turns: u64,
    /// When the oldest event was accepted that an active lane has at hand.
    pub oldest: Option<Timestamp>,
    /// Where the active lane reads on that is furthest behind.
    pub furthest: Option<(Position, PimId)>,
}

/// One subscription.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Which.
    pub subscription: Arc<Subscription>,
    /// Events delivered since the start of the process.
    pub delivered: u64,
    /// Attempts that failed since then.
    pub failed: u64,
    /// What its lane has at hand.
    pub load: Load,
    /// Where its lane reads on, if it is behind.
    pub reach: Option<Position>,
    /// Events a second that its lane sends at most; none for topics.
    pub rate: Option<f64>,
}

/// All lanes at one moment.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// What was counted.
    pub totals: Totals,
    /// By type of destination, in the order of [`DestinationType`].
    pub lanes: [Lanes; DestinationType::ALL.len()],
    /// All events before it are routed.
    pub routed: Position,
    /// Where the log ends.
    pub head: Position,
    /// The subscriptions that were asked for, oldest first.
    pub subscriptions: Vec<Figures>,
    /// Active and suspended subscriptions that are not among them.
    pub left_out: u64,
}

impl Core {
    /// All lanes now, with the figures of the `at_most` oldest subscriptions.
    pub fn survey(&self, at_most: usize) -> Survey {
        let mut survey = Survey { totals: self.totals.clone(), routed: self.routed, ..Survey::default() };
        // The newest of the oldest is on top.
        let mut oldest: BinaryHeap<(SubscriptionId, usize)> = BinaryHeap::new();
        for (slot, entry) in self.entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let load = entry.lane.load(self.clock);
            let lanes = &mut survey.lanes[entry.subscription.destination.of_type().index()];
            lanes.in_flight += load.in_flight;
            if entry.replaced {
                continue;
            }
            match entry.subscription.status {
                SubscriptionStatus::Active => {
                    lanes.active += 1;
                    lanes.backlog += load.backlog;
                    lanes.waiting_retries += load.waiting_retries;
                    lanes.waiting_turns += load.waiting_turns;
                    lanes.oldest = lanes.oldest.into_iter().chain(load.oldest).min();
                    if let Some(reach) = entry.lane.reach() {
                        lanes.behind += 1;
                        let here = (reach, entry.subscription.pim);
                        lanes.furthest = lanes.furthest.into_iter().chain([here]).min();
                    }
                }
                SubscriptionStatus::Suspended(_) => lanes.suspended += 1,
                SubscriptionStatus::Revoked => lanes.revoked += 1,
                SubscriptionStatus::Deleted => {}
            }
            if entry.subscription.status.counts() {
                survey.left_out += 1;
                if at_most > 0 {
                    oldest.push((entry.subscription.id, slot));
                    if oldest.len() > at_most {
                        oldest.pop();
                    }
                }
            }
        }
        let shown = oldest.into_sorted_vec().into_iter().filter_map(|(_, slot)| self.entries.get(slot)?.as_ref());
        survey.subscriptions = shown
            .map(|entry| Figures {
                subscription: entry.subscription.clone(),
                delivered: entry.delivered,
                failed: entry.failed,
                load: entry.lane.load(self.clock),
                reach: entry.lane.reach(),
                rate: entry.lane.rate(),
            })
            .collect();
        survey.left_out -= survey.subscriptions.len() as u64;
        survey
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_for_a_suspension_has_a_place_with_its_name() {
        let names: Vec<_> = suspension_names().collect();
        assert_eq!(names.len(), SUSPENSIONS);
        let mut totals = Totals::default();
        for reason in ErrorReason::ALL {
            totals.suspended(SuspensionReason::Destination(reason));
            let place = totals.suspensions.iter().rposition(|count| *count == 1).unwrap();
            assert_eq!(names[place], reason.as_str());
        }
        totals.suspended(SuspensionReason::SuccessRate);
        assert_eq!(totals.suspensions[names.iter().position(|name| *name == "success_rate").unwrap()], 1);
    }
}
