//! Consequences of a subscription change by the contract.

use domain::subscription::{Ordering, Subscription, SubscriptionStatus};
use domain::{Position, Timestamp};

use super::{Asked, Lane, Oracle, State, is_topic};

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
        let was_active = lane.stored.status.is_active();
        if was_active && matches!(stored.status, SubscriptionStatus::Suspended(reason) if reason.by_the_platform()) {
            lane.suspensions += 1;
        }
        if moved && lives(stored) {
            if stored.status.is_active() || !lives(&lane.stored) {
                // The store forgets the lane's memory.
                lane.durable = Asked { failures: lane.durable.failures, ..Asked::default() };
                lane.resumed = (stored.generation, stored.status_since.0);
            }
            if !lives(&lane.stored) {
                lane.began_in = stored.generation;
                lane.forgotten_before = stored.status_since.0;
            }
        }
        if stored.destination != lane.stored.destination {
            lane.durable.forget_destination();
        }
        if stored.options.hold != lane.stored.options.hold && !stored.status.is_active() {
            lane.items.values_mut().filter(|item| !item.state.is_settled()).for_each(|item| item.optional = true);
        }
        lane.kept_entities_in_order |= keeps_entities_in_order(stored);
        lane.stored = stored.clone();
        self.replays_follow(index);
    }

    /// The engine was notified.
    pub fn applied(&mut self, new: &Subscription, head: Position) {
        let Some(index) = self.find(new.id) else { return };
        let lane = &mut self.lanes[index];
        let Some(old) = lane.known.replace(new.clone()) else {
            if keeps_entities_in_order(new) {
                lane.ordered_from = new.status_since.0;
            }
            lane.stopped = !new.status.is_active();
            return;
        };
        if new.revision <= old.revision {
            lane.known = Some(old);
            return;
        }
        match (keeps_entities_in_order(new), keeps_entities_in_order(&old)) {
            (false, _) => lane.ordered_from = u64::MAX,
            (true, false) => lane.ordered_from = head.0,
            (true, true) => {}
        }
        if is_topic(new) && !is_topic(&old) {
            lane.items.values_mut().filter(|item| !item.state.is_settled()).for_each(|item| item.loose = true);
        }
        if !new.options.respect_retry_after {
            // A started pause may be completed or not.
            lane.pause_until = Timestamp::EPOCH;
        }
        let moved = new.generation != old.generation;
        // The engine may learn of a stop after its end: events accepted since are owed.
        let until = if lane.resumed.0 > new.generation { lane.resumed.1 } else { u64::MAX };
        // If it learns only of the last of several stops, it cannot know the events accepted during the others.
        let passed_by = std::mem::take(&mut lane.passed_by);
        if new.generation > old.generation + 1 && !new.status.is_active() {
            lane.may_count += passed_by.iter().filter(|position| **position < new.status_since.0).count() as u64;
        }
        // If it misses the resume between two stops, the start of the second is unknown.
        let silent = moved && lane.stopped;
        if new.destination != old.destination {
            lane.start_afresh();
            lane.halted = false;
        }
        let new_destination = new.destination != old.destination;
        match new.status {
            _ if lives(new) && (new.lane_since > old.lane_since || lane.stopped) => {
                // It may have missed the end of the lane before.
                lane.stop(new.lane_since, lives(&old), new.lane_since.0);
                lane.stopped = false;
                lane.replace();
                lane.halted = false;
                lane.start_afresh();
            }
            SubscriptionStatus::Active if moved => {
                lane.halted = false;
                lane.start_afresh();
            }
            SubscriptionStatus::Suspended(_) if new.options.hold && moved => {}
            SubscriptionStatus::Suspended(_) if moved || old.options.hold && !new.options.hold => {
                lane.stop(new.status_since, silent, until);
            }
            SubscriptionStatus::Revoked if moved => lane.stop(new.status_since, silent, until),
            SubscriptionStatus::Deleted => {
                lane.stop(new.status_since, true, u64::MAX);
                lane.replace();
            }
            _ => {}
        }
        if new_destination {
            self.replays_go_elsewhere(index);
        }
    }
}

impl Lane {
    fn new(stored: Subscription) -> Lane {
        Lane {
            began_in: stored.generation,
            kept_entities_in_order: keeps_entities_in_order(&stored),
            stored,
            known: None,
            accepted: Default::default(),
            items: Default::default(),
            halted: false,
            stopped: false,
            number: 0,
            in_flight: 0,
            under_way: 0,
            window: Vec::new(),
            silences: Vec::new(),
            suspends_from: Timestamp::EPOCH,
            back: None,
            unfed: None,
            judge_at: None,
            ahead: Default::default(),
            expired_before: 0,
            saved_at: 0,
            taken_at: 0,
            durable: Asked::default(),
            last_taken: Default::default(),
            last_sent: None,
            replayed_last: None,
            recently_sent: Default::default(),
            pause_until: Timestamp::EPOCH,
            failures_reported: 0,
            failures_lost: 0,
            suspensions: 0,
            may_count: 0,
            ordered_from: u64::MAX,
            drops_reported: 0,
            forgotten_before: 0,
            passed_by: Vec::new(),
            resumed: (0, 0),
        }
    }

    pub(super) fn start_afresh(&mut self) {
        self.window.clear();
        self.silences.clear();
        self.suspends_from = Timestamp::EPOCH;
        self.last_sent = None;
        self.pause_until = Timestamp::EPOCH;
        (self.back, self.unfed, self.judge_at) = (None, None, None);
        for item in self.items.values_mut().filter(|item| item.in_flight.is_none()) {
            if matches!(item.state, State::Owed | State::Throttled) {
                item.first_tried_at = None;
            }
        }
    }

    /// Attempts in flight no longer belong to the lane.
    pub(super) fn replace(&mut self) {
        self.number += 1;
        self.in_flight = 0;
        self.under_way = 0;
        self.back = None;
    }

    /// Drops the undelivered events before `until`, except those in flight.
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
            // Events kept beyond the suspension need not be counted.
            item.optional |= silent || *position >= since.0;
            self.may_count += u64::from(item.optional);
        }
    }
}

/// Whether events are owed to it: it is active, or holds them.
pub(super) fn lives(subscription: &Subscription) -> bool {
    let holds = matches!(subscription.status, SubscriptionStatus::Suspended(_)) && subscription.options.hold;
    subscription.status.is_active() || holds
}

/// Whether the events of one entity are sent one after another, in parallel with those of others.
pub(super) fn keeps_entities_in_order(subscription: &Subscription) -> bool {
    subscription.options.ordering == Ordering::PerEntity && !is_topic(subscription)
}
