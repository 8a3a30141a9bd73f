//! What a change of a subscription means by the contract.

use domain::subscription::{Ordering, Subscription, SubscriptionStatus};
use domain::{Position, Timestamp};

use super::{Lane, Oracle, State};

impl Oracle {
    /// A change was committed.
    pub fn committed(&mut self, stored: &Subscription) {
        let Some(index) = self.find(stored.id) else {
            self.by_id.insert(stored.id, self.lanes.len());
            self.lanes.push(Lane::new(stored.clone()));
            return;
        };
        let lane = &mut self.lanes[index];
        let moved = stored.generation != lane.stored.generation;
        if moved && matches!(stored.status, SubscriptionStatus::Suspended(reason) if reason.by_the_platform()) {
            lane.suspensions += 1;
        }
        if moved && stored.status.is_active() || stored.destination != lane.stored.destination {
            lane.durable_window.clear();
        }
        if stored.options.hold != lane.stored.options.hold && !stored.status.is_active() {
            lane.toggled = true;
            lane.items.values_mut().filter(|item| !item.state.is_settled()).for_each(|item| item.optional = true);
        }
        lane.stored = stored.clone();
    }

    /// The engine was told.
    pub fn applied(&mut self, new: &Subscription, head: Position) {
        let Some(index) = self.find(new.id) else { return };
        let lane = &mut self.lanes[index];
        let Some(old) = lane.known.replace(new.clone()) else {
            if new.options.ordering == Ordering::PerEntity {
                lane.ordered_from = new.status_since.0;
            }
            lane.stopped = !new.status.is_active();
            return;
        };
        if new.revision <= old.revision {
            lane.known = Some(old);
            return;
        }
        match (new.options.ordering, old.options.ordering) {
            (Ordering::None, _) => lane.ordered_from = u64::MAX,
            (Ordering::PerEntity, Ordering::None) => lane.ordered_from = head.0,
            (Ordering::PerEntity, Ordering::PerEntity) => {}
        }
        if !new.options.respect_retry_after {
            // A pause that was begun may be kept to its end or not.
            lane.pause_until = Timestamp::EPOCH;
        }
        let moved = new.generation != old.generation;
        if new.destination != old.destination {
            lane.start_afresh();
            lane.halted = false;
        }
        match new.status {
            SubscriptionStatus::Active if moved => {
                let missed_suspension = old.status.is_active();
                if new.options.hold {
                    // One that was stopped goes on as well: what it dropped stays dropped.
                    lane.stopped = false;
                    if missed_suspension {
                        lane.items.values_mut().for_each(|item| item.optional |= !item.state.is_settled());
                    }
                } else {
                    lane.stop(new.status_since, missed_suspension, new.status_since.0);
                    lane.stopped = false;
                    lane.number += 1;
                    lane.in_flight = 0;
                }
                lane.toggled = false;
                lane.halted = false;
                lane.start_afresh();
            }
            SubscriptionStatus::Suspended(_) if new.options.hold && moved => {}
            SubscriptionStatus::Suspended(_) if moved || old.options.hold && !new.options.hold => {
                lane.stop(new.status_since, false, u64::MAX);
            }
            SubscriptionStatus::Revoked if moved => lane.stop(new.status_since, false, u64::MAX),
            SubscriptionStatus::Deleted => {
                lane.stop(new.status_since, true, u64::MAX);
                lane.number += 1;
                lane.in_flight = 0;
            }
            _ => {}
        }
    }
}

impl Lane {
    fn new(stored: Subscription) -> Lane {
        Lane {
            stored,
            known: None,
            items: Default::default(),
            halted: false,
            stopped: false,
            number: 0,
            in_flight: 0,
            window: Vec::new(),
            durable_window: Vec::new(),
            last_sent: None,
            recently_sent: Default::default(),
            pause_until: Timestamp::EPOCH,
            failures_told: 0,
            failures_durable: 0,
            failures_lost: 0,
            suspensions: 0,
            may_count: 0,
            ordered_from: u64::MAX,
            toggled: false,
        }
    }

    pub(super) fn start_afresh(&mut self) {
        self.window.clear();
        self.last_sent = None;
        self.pause_until = Timestamp::EPOCH;
    }

    /// Drops what is not delivered of the events before `until`, apart from what is under way.
    pub(super) fn stop(&mut self, since: Position, silent: bool, until: u64) {
        self.stopped = true;
        for (position, item) in self.items.range_mut(..until) {
            if item.state.is_settled() {
                continue;
            }
            if item.in_flight.is_some() {
                item.late = true;
                self.may_count += 1;
                continue;
            }
            item.state = State::Dropped;
            // Events that were kept beyond the suspension need not be counted.
            item.optional |= silent || *position >= since.0;
            self.may_count += u64::from(item.optional);
        }
    }
}
