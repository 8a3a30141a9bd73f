//! Records about events that lanes settled without a delivery, and where an event is. Nothing of it is lost between a
//! lane and the store: records answer until their save has succeeded.

use std::collections::HashSet;

use domain::fate::{DropReason, DroppedBacklog, GivenUp, OutcomeCounts, Whereabouts};
use domain::outcome::Outcome;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Position, SubscriptionId, Timestamp};
use store::Facts;

use super::Core;
use super::lanes::Entry;
use delivery::lane::Silence;

/// What the records say about an event; the latest record counts.
fn recorded(facts: &Facts, position: Position) -> Option<Whereabouts> {
    if facts.delivered_late.contains(&position) {
        return Some(Whereabouts::Delivered);
    }
    if let Some(given_up) = facts.given_up.iter().find(|given_up| given_up.position == position) {
        return Some(Whereabouts::GivenUp(given_up.clone()));
    }
    facts.dropped.iter().rev().find(|dropped| dropped.contains(position)).map(was_dropped)
}

fn was_dropped(dropped: &DroppedBacklog) -> Whereabouts {
    Whereabouts::Dropped { reason: dropped.reason, at: dropped.at, uncertain: dropped.uncertain }
}

/// Moves records behind others.
pub(super) fn append(facts: &mut Facts, mut later: Facts) {
    facts.given_up.append(&mut later.given_up);
    facts.dropped.append(&mut later.dropped);
    facts.delivered_late.append(&mut later.delivered_late);
    for counts in later.counts {
        count(&mut facts.counts, &counts);
    }
}

/// Adds counts to those of their step.
fn count(all: &mut Vec<OutcomeCounts>, counts: &OutcomeCounts) {
    match all.iter_mut().find(|step| step.from == counts.from) {
        Some(step) => {
            step.delivered += counts.delivered;
            step.failed += counts.failed;
            step.throttled += counts.throttled;
        }
        None => all.push(*counts),
    }
}

/// The outcomes of an attempt in the step of this moment.
pub(super) fn counted(outcomes: &[Outcome], silence: Silence, now: Timestamp) -> OutcomeCounts {
    let mut step = OutcomeCounts::at(now);
    for outcome in outcomes {
        match outcome {
            Outcome::Delivered => step.delivered += 1,
            Outcome::Silent(_) if matches!(silence, Silence::Undecided { .. }) => {}
            Outcome::Failed(_) | Outcome::Silent(_) | Outcome::Refused(_) | Outcome::Broken(_) => step.failed += 1,
            Outcome::Throttled { .. } => step.throttled += 1,
            Outcome::NotProcessed(_) | Outcome::Ours(_) | Outcome::Abandoned => {}
        }
    }
    step
}

impl Core {
    /// Where an event of a subscription is, provided its selection includes the event; `None` if the subscription has
    /// no lane here.
    pub fn whereabouts(&self, id: SubscriptionId, position: Position) -> Option<Whereabouts> {
        let slot = *self.by_subscription.get(&id)?;
        let entry = self.entries.get(slot)?.as_ref()?;
        // Its predecessors first: an attempt of theirs may be in flight.
        let replaced = || self.entries.iter().flatten().filter(|entry| entry.replaced && entry.subscription.id == id);
        let mut lanes = vec![entry];
        if position < entry.from {
            lanes.extend(replaced());
        }
        let by_lanes: Vec<_> =
            lanes.iter().map(|entry| entry.lane.whereabouts(position, entry.from, self.clock)).collect();
        let certain =
            |at: &&Whereabouts| matches!(at, Whereabouts::InFlight | Whereabouts::GivenUp(_) | Whereabouts::Delivered);
        if let Some(at) = by_lanes.iter().find(certain) {
            return Some(at.clone());
        }
        // Records, the latest first.
        let leftovers = self.saver.facts.iter().rev().filter(|(of, _)| *of == id).map(|(_, facts)| facts);
        let of_lanes = lanes.iter().map(|entry| &entry.facts);
        let records = of_lanes.chain(leftovers).chain(self.saver.unsaved_facts(|of| of == id));
        if let Some(at) = records.filter_map(|facts| recorded(facts, position)).next() {
            return Some(at);
        }
        if let Some(dropped) = entry.stopped.as_ref().filter(|dropped| dropped.contains(position)) {
            return Some(was_dropped(dropped));
        }
        // Not routed yet, and not of an earlier lane. Changes before it may be unknown: a stopped lane may have been
        // resumed.
        let begins = if entry.lane.is_stopped() { entry.subscription.status_since } else { entry.from };
        if position >= self.routed.max(begins) {
            return Some(Whereabouts::Waiting);
        }
        by_lanes.into_iter().next()
    }

    /// Outcomes of these subscriptions that are not saved yet, together, by step.
    pub fn outcome_counts(&self, of: &[SubscriptionId]) -> Vec<OutcomeCounts> {
        let mut all = Vec::new();
        let wanted: HashSet<SubscriptionId> = of.iter().copied().collect();
        let lanes = self.entries.iter().flatten().filter(|entry| wanted.contains(&entry.subscription.id));
        let leftovers = self.saver.facts.iter().filter(|(of, _)| wanted.contains(of)).map(|(_, facts)| facts);
        let in_save = self.saver.unsaved_facts(|of| wanted.contains(&of));
        let facts = lanes.map(|entry| &entry.facts).chain(leftovers).chain(in_save);
        for counts in facts.flat_map(|facts| &facts.counts) {
            count(&mut all, counts);
        }
        all.sort_by_key(|counts| counts.from);
        all
    }

    /// Begins the record of a stopped lane's drop: everything that it had not settled.
    pub(super) fn record_stop(&mut self, slot: usize, reason: DropReason) {
        let (routed, at, begun_at) = (self.routed, self.clock.wall, self.begun_at);
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let until = entry.subscription.status_since;
        let from = entry.lane.reach().unwrap_or(routed).max(entry.from).min(until);
        let mut also = entry.lane.unsettled(true);
        also.retain(|position| !(from..until).contains(position));
        let except = entry.lane.spared(from..until, true);
        let uncertain = entry.restored && first(&also, from) < begun_at;
        entry.stopped = Some(DroppedBacklog { from, until, also, except, reason, at, uncertain });
    }

    /// Records that a lane's undelivered events before `before` are dropped; call it before they are.
    pub(super) fn record_drop(&mut self, slot: usize, before: Position, reason: DropReason) {
        let (routed, at, begun_at) = (self.routed, self.clock.wall, self.begun_at);
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let from = entry.lane.reach().unwrap_or(routed).max(entry.from).min(before);
        let mut also = entry.lane.unsettled(false);
        also.retain(|position| *position < from);
        let except = entry.lane.spared(from..before, false);
        if from < before || !also.is_empty() {
            let uncertain = entry.restored && first(&also, from) < begun_at;
            entry.facts.dropped.push(DroppedBacklog { from, until: before, also, except, reason, at, uncertain });
        }
    }
}

impl Entry {
    /// Counts the outcomes of an attempt in the step of this moment.
    pub(super) fn count_in_steps(&mut self, outcomes: &[Outcome], silence: Silence, now: Timestamp) {
        let step = counted(outcomes, silence, now);
        if !step.is_empty() {
            count(&mut self.facts.counts, &step);
        }
    }

    /// Whether a step with unsaved outcomes is over.
    pub(super) fn has_full_step(&self, now: Timestamp) -> bool {
        self.facts.counts.len() > 1
            || self.facts.counts.first().is_some_and(|step| step.from + OutcomeCounts::STEP <= now)
    }

    /// The records to be saved. Counts wait for the end of their step, unless the lane's memory is saved as well.
    pub(super) fn take_facts(&mut self, with_counts: bool, now: Timestamp) -> Facts {
        let counts =
            if with_counts || self.has_full_step(now) { Vec::new() } else { std::mem::take(&mut self.facts.counts) };
        std::mem::replace(&mut self.facts, Facts { counts, ..Facts::default() })
    }

    /// Adds what the lane has settled to the records.
    pub(super) fn settle(&mut self, (given_up, late): (Vec<GivenUp>, Vec<Position>)) {
        if let Some(stopped) = &mut self.stopped {
            for position in given_up.iter().map(|given_up| given_up.position).chain(late.iter().copied()) {
                stopped.also.retain(|other| *other != position);
                if stopped.contains(position) {
                    stopped.except.push(position);
                }
            }
        }
        self.facts.given_up.extend(given_up);
        self.facts.delivered_late.extend(late);
    }

    /// The stopped lane's undelivered events are about to be forgotten: its drop is recorded. While attempts are in
    /// flight it is uncertain, because a crash loses their outcomes.
    pub(super) fn record_dropped(&mut self) {
        let Some(stopped) = &self.stopped else { return };
        let in_flight = self.lane.in_flight() > 0;
        if stopped.from < stopped.until || !stopped.also.is_empty() {
            self.facts.dropped.push(DroppedBacklog { uncertain: stopped.uncertain || in_flight, ..stopped.clone() });
        }
        if !in_flight {
            self.stopped = None;
        }
    }

    /// Whether the last attempt of a stopped lane has ended after its drop was recorded.
    pub(super) fn drop_is_certain_now(&self) -> bool {
        self.stopped.is_some() && self.lane.is_over() && self.lane.in_flight() == 0
    }
}

/// The first position of a drop.
fn first(also: &[Position], from: Position) -> Position {
    also.first().copied().unwrap_or(from).min(from)
}

/// Cause of the drop of a stopped lane.
pub(super) fn why_stopped(subscription: &Subscription, held: bool) -> DropReason {
    match subscription.status {
        SubscriptionStatus::Revoked | SubscriptionStatus::Deleted => DropReason::Revoked,
        SubscriptionStatus::Suspended(_) if held => DropReason::HoldEnded,
        SubscriptionStatus::Suspended(_) | SubscriptionStatus::Active => DropReason::Suspended,
    }
}
