//! Kept events in memory: what becomes kept, and what is deleted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::fate::{DropReason, DroppedBacklog, GivenUp, OutcomeCounts};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, Position, ServiceHour, SubscriptionId, Timestamp};

use super::State;
use crate::event_log::Floors;
use crate::kept::{History, KeepBounds, size};
use crate::ledger::Facts;
use crate::shard::Shard;
use crate::stamp::Stamped;

/// Hours of service for which outcome counts are stored.
const COUNTED_HOURS: u32 = 24;

/// Where a PIM's kept events begin and end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    /// Events before it are kept, those from it on are backlog.
    pub(super) floor: Position,
    /// Events before it were deleted, or count as such.
    pub(super) from: Position,
}

impl Default for Keeping {
    fn default() -> Keeping {
        Keeping { floor: Position::FIRST, from: Position::FIRST }
    }
}

/// Records about the events of a subscription.
#[derive(Clone, Debug)]
pub(super) struct Records {
    pub(super) pim: PimId,
    pub(super) given_up: BTreeMap<Position, GivenUp>,
    /// In the order of their arrival.
    pub(super) dropped: Vec<DroppedBacklog>,
    pub(super) delivered_late: BTreeSet<Position>,
    pub(super) counts: BTreeMap<Timestamp, (ServiceHour, OutcomeCounts)>,
}

impl Records {
    fn new(pim: PimId) -> Records {
        Records {
            pim,
            given_up: BTreeMap::new(),
            dropped: Vec::new(),
            delivered_late: BTreeSet::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Adds a dropped backlog. If it ended its lane, it replaces an uncertain one with the same end and reason.
    fn drop_backlog(&mut self, backlog: DroppedBacklog) {
        let is_replaced = |old: &DroppedBacklog| {
            let same = old.until == backlog.until && old.reason == backlog.reason;
            old.uncertain && same && backlog.reason.ends_the_lane()
        };
        self.dropped.retain(|old| !is_replaced(old));
        self.dropped.push(backlog);
    }

    fn bytes(&self) -> u64 {
        let single = self.given_up.len() as u64 * size::GIVEN_UP;
        let late = self.delivered_late.len() as u64 * size::DELIVERED_LATE;
        single + late + self.dropped.iter().map(size::dropped).sum::<u64>()
    }

    /// The position behind the oldest record.
    fn oldest(&self) -> Option<Position> {
        let single = [self.given_up.keys().next(), self.delivered_late.first()];
        let dropped = self.dropped.iter().map(|backlog| backlog.until).min();
        single.into_iter().flatten().map(|position| position.next()).chain(dropped).min()
    }

    /// Deletes records about events before a position.
    fn prune(&mut self, from: Position) {
        self.given_up.retain(|position, _| *position >= from);
        self.delivered_late.retain(|position| *position >= from);
        self.dropped.retain(|backlog| backlog.until > from);
    }
}

impl State {
    pub(super) fn keeping(&self, pim: PimId) -> Keeping {
        self.keeping.get(&pim).copied().unwrap_or_default()
    }

    /// Applies floors and bounds to the events of a shard; returns the number of events that became kept, if any are,
    /// and were deleted.
    pub(super) fn trim(&mut self, shard: Shard, floors: &Floors, keep: KeepBounds) -> u64 {
        let released = self.release(shard, floors);
        let oldest = keep.oldest(self.hour);
        let began = self.shard(shard).began(oldest);
        let mut deleted = 0;
        for (pim, Keeping { floor, .. }) in self.keeping.clone() {
            if self.spread.shard_of(pim) == shard {
                deleted += self.forget(pim, if keep.keep_any() { began.min(floor) } else { floor });
            }
        }
        if keep.keep_any() {
            deleted += self.shed(shard, keep.bytes) + released;
        }
        let oldest = ServiceHour(self.hour.0.saturating_sub(COUNTED_HOURS));
        self.records.values_mut().for_each(|of| of.counts.retain(|_, (hour, _)| *hour >= oldest));
        deleted
    }

    /// Raises the floors of PIMs with events.
    fn release(&mut self, shard: Shard, floors: &Floors) -> u64 {
        let of_pims: HashMap<PimId, Position> = floors.pims.iter().copied().collect();
        let head = self.shard(shard).head();
        let mut released = 0;
        for event in self.shard(shard).events.clone() {
            let floor = (*of_pims.get(&event.pim).unwrap_or(&floors.rest)).min(head);
            if (self.keeping(event.pim).floor..floor).contains(&event.position) {
                self.backlog.count(event.pim, -i64::try_from(event.event.size()).unwrap_or(i64::MAX));
                self.keeping.entry(event.pim).or_default().floor = event.position.next();
                released += 1;
            }
        }
        released
    }

    /// Deletes what is known of a PIM before a position; events that a lane needs stay in the log.
    fn forget(&mut self, pim: PimId, from: Position) -> u64 {
        let keeping = self.keeping.entry(pim).or_default();
        keeping.from = keeping.from.max(from);
        let Keeping { floor, from } = *keeping;
        let events = &mut self.shard_of(pim).events;
        let before = events.len();
        events.retain(|event| event.pim != pim || event.position >= from.min(floor));
        let deleted = before - events.len();
        self.records.values_mut().filter(|of| of.pim == pim).for_each(|of| of.prune(from));
        let State { histories, subscriptions, .. } = self;
        let of_pim = |id| subscriptions.get(id).is_some_and(|(_, of)| of.pim == pim);
        histories.iter_mut().filter(|(id, _)| of_pim(id)).for_each(|(_, history)| history.prune(from));
        deleted as u64
    }

    /// Deletes the oldest of the PIM with the most bytes until all fit.
    fn shed(&mut self, shard: Shard, bound: u64) -> u64 {
        let mut deleted = 0;
        let mut stuck = BTreeSet::new();
        loop {
            let kept = self.kept_bytes();
            if kept.values().sum::<u64>() <= bound {
                return deleted;
            }
            let most = kept.into_iter().filter(|(pim, _)| !stuck.contains(pim)).max_by_key(|(_, bytes)| *bytes);
            let Some((pim, _)) = most else { return deleted };
            // Another shard's owner deletes its own.
            let oldest = self.oldest(pim).filter(|_| self.spread.shard_of(pim) == shard);
            match oldest {
                Some(oldest) => deleted += self.forget(pim, oldest),
                None => _ = stuck.insert(pim),
            }
        }
    }

    /// The position behind a PIM's oldest kept event; without one, behind its oldest record.
    fn oldest(&mut self, pim: PimId) -> Option<Position> {
        let floor = self.keeping(pim).floor;
        let oldest = self.shard_of(pim).events.iter().find(|event| event.pim == pim && event.position < floor);
        let event = oldest.map(|event| event.position.next());
        event.or_else(|| self.records.values().filter(|of| of.pim == pim).filter_map(Records::oldest).min())
    }

    /// Bytes of kept events and records, by PIM.
    pub(super) fn kept_bytes(&self) -> BTreeMap<PimId, u64> {
        let mut bytes = BTreeMap::new();
        for event in self.shards.iter().flat_map(|shard| &shard.events) {
            if event.position < self.keeping(event.pim).floor {
                *bytes.entry(event.pim).or_default() += event.event.size() as u64;
            }
        }
        for records in self.records.values() {
            *bytes.entry(records.pim).or_default() += records.bytes();
        }
        for (id, history) in &self.histories {
            let Some((_, of)) = self.subscriptions.get(id) else { continue };
            let past = history.eras.split_last().map_or(&[][..], |(_, past)| past);
            *bytes.entry(of.pim).or_default() += past.iter().map(crate::kept::Era::size).sum::<u64>();
        }
        bytes
    }

    /// Stores facts about a subscription's events.
    pub(super) fn record(&mut self, subscription: SubscriptionId, pim: PimId, facts: Facts) {
        if facts.is_empty() {
            return;
        }
        let hour = self.hour;
        let records = self.records.entry(subscription).or_insert_with(|| Records::new(pim));
        records.given_up.extend(facts.given_up.into_iter().map(|given_up| (given_up.position, given_up)));
        facts.dropped.into_iter().for_each(|backlog| records.drop_backlog(backlog));
        records.delivered_late.extend(facts.delivered_late);
        for add in facts.counts {
            let fresh = (hour, OutcomeCounts { from: add.from, ..OutcomeCounts::default() });
            let (_, counts) = records.counts.entry(add.from).or_insert(fresh);
            counts.delivered += add.delivered;
            counts.failed += add.failed;
            counts.throttled += add.throttled;
        }
    }

    /// Records the effects of a change on the history and the backlog of a subscription, before those on its lane.
    pub(super) fn remember(&mut self, stamped: &Stamped, head: Position) {
        let Subscription { id, pim, status, updated_at, .. } = stamped.subscription;
        if status == SubscriptionStatus::Deleted {
            self.histories.remove(&id);
            self.records.remove(&id);
            return;
        }
        if let Some(era) = stamped.era.clone() {
            match self.histories.get_mut(&id) {
                Some(history) => history.push(era),
                None => _ = self.histories.insert(id, History::begin(id, era)),
            }
        }
        if let Some(reason) = stamped.dropped {
            self.drop_backlog(id, pim, reason, head, updated_at);
        }
    }

    /// What the ledger knows about a dropped backlog.
    fn drop_backlog(&mut self, of: SubscriptionId, pim: PimId, reason: DropReason, head: Position, at: Timestamp) {
        let ledger = &self.shard_of(pim).ledger;
        let lane = ledger.lanes.iter().find(|lane| lane.subscription == of);
        let also: Vec<_> = lane.into_iter().flat_map(|lane| &lane.exceptions).map(|one| one.position).collect();
        let from = ledger.cursor(of);
        if from < head || !also.is_empty() {
            let backlog = DroppedBacklog { from, until: head, also, except: Vec::new(), reason, at, uncertain: true };
            self.record(of, pim, Facts { dropped: vec![backlog], ..Facts::default() });
        }
    }
}
