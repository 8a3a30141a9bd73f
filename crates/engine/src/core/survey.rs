//! Survey of all lanes: sums for metrics, made in one pass over the lanes without visiting events.

use std::collections::BinaryHeap;
use std::sync::Arc;

use delivery::lane::Load;
use domain::destination::DestinationType;
use domain::outcome::{ErrorReason, SuspensionReason};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, Position, SubscriptionId, Timestamp};

use super::Core;

/// Counters of the core since the start of the process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Routed events.
    pub routed: u64,
    /// Matching pairs of event and subscription.
    pub matched: u64,
    /// Pairs of an event and a subscription to its type whose filter excludes it.
    pub filtered_out: u64,
    /// Events given up after attempts: refused, or failed too often or for too long.
    pub given_up: u64,
    /// Events of backlogs dropped by a suspension or revocation.
    pub dropped_by_stop: u64,
    /// Events older than the retention.
    pub expired: u64,
    /// Events held for a suspended subscription and dropped when the log was nearly full.
    pub gave_way: u64,
    /// Suspensions, by [`suspension_names`].
    pub suspensions: [u64; SUSPENSIONS],
}

/// Number of suspension reasons: those unrelated to a destination, and one per error.
const SUSPENSIONS: usize = 6 + ErrorReason::ALL.len();

/// Names of the elements of [`Totals::suspensions`].
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
    /// Adds those of another shard.
    fn absorb(&mut self, other: &Totals) {
        self.routed += other.routed;
        self.matched += other.matched;
        self.filtered_out += other.filtered_out;
        self.given_up += other.given_up;
        self.dropped_by_stop += other.dropped_by_stop;
        self.expired += other.expired;
        self.gave_way += other.gave_way;
        for (count, more) in self.suspensions.iter_mut().zip(other.suspensions) {
            *count += more;
        }
    }

    pub(super) fn suspended(&mut self, reason: SuspensionReason) {
        if let Some(count) = self.suspensions.get_mut(place(reason)) {
            *count += 1;
        }
    }
}

/// Lanes of one destination type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lanes {
    /// Active subscriptions.
    pub active: u64,
    /// Suspended ones.
    pub suspended: u64,
    /// Revoked ones, because their PIM or client is gone.
    pub revoked: u64,
    /// Active ones that read the log because they cannot keep up.
    pub behind: u64,
    /// Events in hand of active lanes; the backlog of a lane that is behind is longer.
    pub backlog: u64,
    /// Events in flight.
    pub in_flight: u64,
    /// Events waiting for a retry.
    pub waiting_retries: u64,
    /// Events waiting for their turn.
    pub waiting_turns: u64,
    /// Acceptance time of the oldest event in hand of an active lane.
    pub oldest: Option<Timestamp>,
    /// Next read of the active lane that is furthest behind.
    pub furthest: Option<(Position, PimId)>,
    /// Positions between it and the head of the log.
    pub log_lag: u64,
}

impl Lanes {
    /// Adds those of another shard.
    fn absorb(&mut self, other: &Lanes) {
        self.active += other.active;
        self.suspended += other.suspended;
        self.revoked += other.revoked;
        self.behind += other.behind;
        self.backlog += other.backlog;
        self.in_flight += other.in_flight;
        self.waiting_retries += other.waiting_retries;
        self.waiting_turns += other.waiting_turns;
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        self.log_lag = self.log_lag.max(other.log_lag);
    }
}

/// Figures of one subscription.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The subscription.
    pub subscription: Arc<Subscription>,
    /// Events delivered since the start of the process.
    pub delivered: u64,
    /// Attempts failed since then.
    pub failed: u64,
    /// Load of its lane.
    pub load: Load,
    /// Next read of its lane, if it is behind.
    pub reach: Option<Position>,
    /// Positions between it and the head of the log.
    pub lag: u64,
    /// Maximum events per second of its lane; none for topics.
    pub rate: Option<f64>,
}

/// All lanes at one moment.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Counters.
    pub totals: Totals,
    /// By destination type, in the order of [`DestinationType`].
    pub lanes: [Lanes; DestinationType::ALL.len()],
    /// All events before it are routed.
    pub routed: Position,
    /// Head of the log.
    pub head: Position,
    /// Events that are not routed yet.
    pub unrouted: u64,
    /// The requested subscriptions, oldest first.
    pub subscriptions: Vec<Figures>,
    /// Number of other active and suspended subscriptions.
    pub left_out: u64,
}

impl Survey {
    /// Sets the head of the log, and what follows from it.
    pub(crate) fn measure(&mut self, head: Position) {
        let to = |from: Position| head.0.saturating_sub(from.0);
        self.head = head;
        self.unrouted = to(self.routed);
        for lanes in &mut self.lanes {
            lanes.log_lag = lanes.furthest.map_or(0, |(position, _)| to(position));
        }
        for figures in &mut self.subscriptions {
            figures.lag = figures.reach.map_or(0, to);
        }
    }

    /// Adds the survey of another shard, with the figures of the `at_most` oldest subscriptions of both. Positions of
    /// different shards cannot be compared: those are of this one.
    pub fn absorb(&mut self, other: Survey, at_most: usize) {
        self.totals.absorb(&other.totals);
        for (lanes, of_other) in self.lanes.iter_mut().zip(&other.lanes) {
            lanes.absorb(of_other);
        }
        self.unrouted += other.unrouted;
        self.left_out += other.left_out;
        self.subscriptions.extend(other.subscriptions);
        self.subscriptions.sort_by_key(|figures| figures.subscription.id);
        self.left_out += self.subscriptions.len().saturating_sub(at_most) as u64;
        self.subscriptions.truncate(at_most);
    }
}

impl Core {
    /// Survey of all lanes, with the figures of the `at_most` oldest subscriptions.
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
                lag: 0,
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
