//! Effects of a subscription's change on its lane.

use std::sync::Arc;

use delivery::Lane;
use domain::Position;
use domain::destination::number_of;
use domain::log_entry::LogEntry;
use domain::subscription::{Subscription, SubscriptionStatus};
use store::{Facts, LaneRecord};

use super::facts::why_stopped;
use super::host_rate::HostOf;
use super::ids::LaneId;
use super::lanes::Entry;
use super::{Core, Output, replaying};

impl Core {
    /// Restores a lane from its saved state.
    pub(super) fn restore_lane(&mut self, subscription: Subscription, record: Option<LaneRecord>) {
        let (cursor, memory, exceptions) = match record {
            Some(record) => (record.cursor, record.memory, record.exceptions),
            None => (Some(subscription.status_since), None, Vec::new()),
        };
        let holds = subscription.holds();
        if subscription.status.is_active() || holds {
            // A held lane has its own cursor; if the crash came before it was saved, it is at the mark.
            let reach = if holds { Some(cursor.unwrap_or(self.routed)) } else { cursor };
            let lane = Lane::restore(
                self.delivery.clone(),
                Core::lane_options(&subscription),
                reach,
                memory.as_deref(),
                exceptions,
                self.now,
            );
            let floor = [reach, lane.first_waiting()].into_iter().flatten().min();
            // Events before its cursor don't concern it, even those still to be routed.
            let slot = self.insert(subscription, lane, reach.unwrap_or(Position::FIRST), floor);
            self.was_restored(slot);
            let Some(id) = self.lane_id(slot) else { return };
            self.tell(id, if holds { delivery::Input::Held } else { delivery::Input::Timeout });
            return;
        }
        // Suspended or revoked before the crash; the dropped events may not have been settled.
        let unsettled = cursor.is_some() || !exceptions.is_empty();
        if subscription.status == SubscriptionStatus::Deleted || !unsettled {
            return self.insert_stopped(subscription);
        }
        let from = Some(cursor.unwrap_or(self.routed));
        let options = Core::lane_options(&subscription);
        let mut lane = Lane::restore(self.delivery.clone(), options, from, memory.as_deref(), exceptions, self.now);
        lane.handle(self.now, delivery::Input::Stopped);
        let floor = [cursor, lane.first_waiting()].into_iter().flatten().min();
        let reason = why_stopped(&subscription, false);
        let slot = self.insert(subscription, lane, Position::FIRST, floor);
        self.was_restored(slot);
        self.record_stop(slot, reason);
        self.drop_backlog(slot, false);
    }

    fn was_restored(&mut self, slot: usize) {
        if let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) {
            entry.restored = true;
        }
    }

    /// The lane of a subscription that is not active and has nothing left to count.
    fn insert_stopped(&mut self, subscription: Subscription) {
        if subscription.status == SubscriptionStatus::Deleted {
            return;
        }
        let mut lane = Lane::new(self.delivery.clone(), Core::lane_options(&subscription));
        lane.handle(self.now, delivery::Input::Stopped);
        lane.handle(self.now, delivery::Input::Dropped);
        self.insert(subscription, lane, Position::FIRST, None);
    }

    fn insert(&mut self, subscription: Subscription, lane: Lane, from: Position, floor: Option<Position>) -> usize {
        self.next_number += 1;
        let id = subscription.id;
        let listens = subscription.status.is_active();
        let entry = Entry {
            number: self.next_number,
            host: host_of(&subscription),
            paced_with: HostOf::subscription(&subscription),
            began: subscription.generation,
            subscription: Arc::new(subscription),
            lane,
            lack: None,
            from,
            timer: None,
            unsaved: false,
            saved_floor: floor,
            saving_floor: None,
            drop_exceptions: false,
            replaced: false,
            restored: false,
            facts: Facts::default(),
            stopped: None,
            matched: 0,
            filtered_out: 0,
            delivered: 0,
            failed: 0,
            replays: replaying::OfLane::default(),
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.entries.push(None);
                self.entries.len() - 1
            }
        };
        if listens {
            self.index.add(slot, &entry.subscription);
        }
        if from > self.routed {
            self.beginning.push((from, slot));
        }
        self.entries[slot] = Some(entry);
        self.by_subscription.insert(id, slot);
        slot
    }

    /// Removes a lane. Results of its in-flight attempts are ignored.
    fn remove(&mut self, slot: usize) -> Option<Entry> {
        let entry = self.entries.get_mut(slot)?.take()?;
        self.index.remove(slot, &entry.subscription);
        if let Some(at) = entry.timer {
            self.timers.remove(&(at, slot));
        }
        self.saver.lanes.retain(|other| *other != slot);
        self.host_rate.leave(slot);
        self.by_subscription.remove(&entry.subscription.id);
        self.uncount_lack(slot, &entry);
        self.free.push(slot);
        Some(entry)
    }

    /// Retires a lane. Failures of its in-flight attempts are still logged. Returns the entries not saved yet.
    fn replace(&mut self, slot: usize) -> Vec<LogEntry> {
        let Some(mut entry) = self.remove(slot) else { return Vec::new() };
        entry.lane.handle(self.now, delivery::Input::Stopped);
        let now = self.clock;
        let unreported = entry.log_entries(Vec::new(), |lane| lane.take_failures(now));
        self.take_facts(&mut entry);
        if entry.lane.in_flight() > 0 {
            entry.replaced = true;
            (entry.timer, entry.lack) = (None, None);
            self.free.retain(|other| *other != slot);
            self.entries[slot] = Some(entry);
        }
        unreported
    }

    /// Takes the records of a lane that is replaced; its successor's saves contain them.
    fn take_facts(&mut self, entry: &mut Entry) {
        let settled = entry.lane.take_settled(self.clock);
        entry.settle(settled);
        entry.record_dropped();
        entry.stopped = None;
        let facts = std::mem::take(&mut entry.facts);
        if !facts.is_empty() {
            self.saver.facts.push((entry.subscription.id, facts));
        }
    }

    /// Logs the last attempts of a replaced lane, and removes the lane after them.
    pub(super) fn pump_replaced(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        self.totals.given_up += entry.lane.take_given_up();
        let now = self.clock;
        let entries = entry.log_entries(Vec::new(), |lane| lane.take_failures(now));
        let settled = entry.lane.take_settled(now);
        entry.settle(settled);
        let facts = std::mem::take(&mut entry.facts);
        let (id, over) = (entry.subscription.id, entry.lane.in_flight() == 0);
        self.saver.urgent |= !entries.is_empty();
        if !facts.is_empty() {
            self.saver.facts.push((id, facts));
        }
        self.saver.entries.extend(entries.into_iter().map(|log_entry| (id, log_entry)));
        if over {
            self.entries[slot] = None;
            self.free.push(slot);
        }
    }

    pub(super) fn lane_id(&self, slot: usize) -> Option<LaneId> {
        let entry = self.entries.get(slot)?.as_ref()?;
        Some(LaneId { slot, number: entry.number })
    }

    /// Handles a new or changed subscription.
    pub(super) fn changed(&mut self, subscription: Subscription) {
        let Some(slot) = self.by_subscription.get(&subscription.id).copied() else {
            return self.appeared(subscription);
        };
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let (old, stopped) = (entry.subscription.clone(), entry.lane.is_stopped());
        if subscription.revision < old.revision || *old == subscription {
            return;
        }
        self.index.remove(slot, &old);
        if subscription.status.is_active() {
            self.index.add(slot, &subscription);
        }
        // The same endpoint with another secret or other headers isn't a new one.
        let new_destination = subscription.destination.identity() != old.destination.identity();
        if subscription.destination != old.destination || !subscription.status.is_active() {
            self.outputs.push_back(Output::Forget { subscription: subscription.id });
        }
        if old.status.is_active()
            && let SubscriptionStatus::Suspended(reason) = subscription.status
        {
            self.totals.suspended(reason);
        }
        let moved = subscription.generation != old.generation;
        let subscription = Arc::new(subscription);
        entry.subscription = subscription.clone();
        entry.host = host_of(&subscription);
        entry.paced_with = HostOf::subscription(&subscription);
        // A save in flight may come too late: a lane that goes on saves all of its waiting events again.
        entry.drop_exceptions |= moved && (subscription.holds() || subscription.status.is_active());
        if moved {
            self.end_replay(slot);
        }
        let Some(id) = self.lane_id(slot) else { return };
        let configured = delivery::Input::Configured { options: Core::lane_options(&subscription), new_destination };
        let lives = subscription.status.is_active() || subscription.holds();
        // Whatever happened in between.
        let begins = lives && (subscription.lane_since > old.lane_since || stopped);
        match subscription.status {
            SubscriptionStatus::Deleted => _ = self.remove(slot),
            _ if begins => self.begins(slot),
            SubscriptionStatus::Active if moved => {
                let options = Core::lane_options(&subscription);
                self.tell(id, delivery::Input::Configured { options, new_destination: false });
                self.tell(id, delivery::Input::Released);
            }
            SubscriptionStatus::Suspended(_) if moved && lives => {
                self.tell(id, delivery::Input::Held);
                self.tell(id, configured);
            }
            SubscriptionStatus::Suspended(_) | SubscriptionStatus::Revoked if moved => {
                self.stop_and_drop(slot, old.holds());
            }
            SubscriptionStatus::Active | SubscriptionStatus::Suspended(_) | SubscriptionStatus::Revoked => {
                self.tell(id, configured);
            }
        }
    }

    fn appeared(&mut self, subscription: Subscription) {
        if subscription.status.is_active() || subscription.holds() {
            // The store has its cursor at the head; from there on it follows the mark.
            self.insert_new(subscription);
        } else {
            self.insert_stopped(subscription);
        }
    }

    /// A lane begins, from its position in the log. It doesn't send yet if it holds its events.
    fn insert_new(&mut self, subscription: Subscription) -> usize {
        let (from, holds) = (subscription.lane_since, subscription.holds());
        let lane = Lane::new(self.delivery.clone(), Core::lane_options(&subscription));
        let slot = self.insert(subscription, lane, from, Some(from));
        if holds && let Some(id) = self.lane_id(slot) {
            self.tell(id, delivery::Input::Held);
        }
        self.mark_unsaved(slot);
        slot
    }

    /// A new lane takes the place of one that is over.
    fn begins(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let subscription = entry.subscription.clone();
        let counters = (entry.matched, entry.filtered_out, entry.delivered, entry.failed);
        let unreported = self.replace(slot);
        let slot = self.insert_new(Subscription::clone(&subscription));
        if let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) {
            (entry.matched, entry.filtered_out, entry.delivered, entry.failed) = counters;
        }
        self.saver.urgent |= !unreported.is_empty();
        self.saver.entries.extend(unreported.into_iter().map(|log_entry| (subscription.id, log_entry)));
    }

    /// Handles a suspension without hold, or a revocation: sending stops, and undelivered events are counted, logged
    /// and dropped.
    fn stop_and_drop(&mut self, slot: usize, held: bool) {
        let Some(id) = self.lane_id(slot) else { return };
        let stopped_before = self.entry(id).is_some_and(|entry| entry.lane.is_stopped());
        self.tell(id, delivery::Input::Stopped);
        if !stopped_before && let Some(entry) = self.entry(id) {
            let reason = why_stopped(&entry.subscription, held);
            self.record_stop(slot, reason);
        }
        self.drop_backlog(slot, stopped_before);
    }
}

/// The host of a subscription's destination, as a number.
fn host_of(subscription: &Subscription) -> u64 {
    number_of(&subscription.destination.host().to_ascii_lowercase())
}
