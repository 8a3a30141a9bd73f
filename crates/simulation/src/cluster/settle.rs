//! End of a world: everything is healed, all subscriptions are resumed, and once it has settled the books are closed.

use std::collections::BTreeMap;

use domain::subscription::SubscriptionStatus;
use store::{Shard, Shards};

use super::holding::Stage;
use super::plan::Change;
use super::world::World;
use crate::plan::SECOND;
use crate::property::{Check, Property, hold};
use crate::receiver::Behaviour;
use crate::storage::Health;

/// Covers pauses and incidents that are under way, a lease, all retries and the longest pause of a topic.
const SETTLES_WITHIN: u64 = 400 * SECOND;

impl World {
    pub(super) fn settle(&mut self) -> Check {
        let healed = self.time;
        self.healed = true;
        for receiver in &mut self.receivers {
            receiver.schedule.push((healed, Behaviour::Good(1)));
        }
        self.storage.schedule.push((healed, Health::Good));
        self.nodes.iter_mut().for_each(|node| (node.cut_until, node.unfit_until) = (0, 0));
        self.note(|| "healed".to_owned());
        // Nodes come back, pauses and failovers end, suspensions under way are made.
        self.until(healed + 45 * SECOND, |_| false)?;
        let end = self.time + SETTLES_WITHIN;
        loop {
            self.resume_all();
            self.until(self.time + 2 * SECOND, |_| false)?;
            let settled = |world: &World| world.is_settled();
            if self.until((self.time + 40 * SECOND).min(end), settled)? && self.all_are_active() {
                break;
            }
            if self.time >= end {
                break;
            }
        }
        // A node that comes back takes those that were killed for living, until their beats have stood still for a
        // lease.
        self.until(self.time + 30 * SECOND, |world| world.is_settled() && world.every_shard_is_owned().is_ok())?;
        self.every_shard_is_owned()?;
        hold(Property::EveryEventEnds, self.producers_rest(), || "a producer got no answer".to_owned())?;
        self.books.close()?;
        self.owners_are_notified()
    }

    fn all_are_active(&self) -> bool {
        (0..self.books.lanes()).all(|lane| self.books.stored(lane).status.is_active())
    }

    fn resume_all(&mut self) {
        for lane in 0..self.books.lanes() {
            if matches!(self.books.stored(lane).status, SubscriptionStatus::Suspended(_)) {
                self.change_lane(Change::Resume, lane);
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.producers_rest() && self.books.is_settled() && self.owners().is_ok() && !self.any_notice_waits()
    }

    fn any_notice_waits(&self) -> bool {
        self.store.spread().shards().any(|shard| !self.waiting_notices(shard).is_empty())
    }

    /// How many shards each node delivers for, all of them by their owners; else what is wrong.
    fn owners(&self) -> Result<BTreeMap<usize, usize>, String> {
        let mut owners: BTreeMap<Shard, usize> = BTreeMap::new();
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(process) = &node.process else { return Err(format!("node {index} is not back")) };
            counts.insert(index, process.holdings.len());
            for (shard, holding) in &process.holdings {
                let is_running = holding.stage == Stage::Running && holding.driver.is_some();
                let is_current = self.books.tenure(*shard) == Some(holding.tenure);
                if !is_running || !is_current || owners.insert(*shard, index).is_some() {
                    return Err(format!("node {index} has {} in the stage {:?}", holding.tenure, holding.stage));
                }
            }
        }
        match self.store.spread().shards().find(|shard| !owners.contains_key(shard)) {
            Some(shard) => Err(format!("shard {shard} has no owner")),
            None => Ok(counts),
        }
    }

    fn every_shard_is_owned(&self) -> Check {
        let counts = self.owners();
        let shards = usize::from(self.plan.shards);
        let fair = |count: &usize| (shards / self.nodes.len()..=shards.div_ceil(self.nodes.len())).contains(count);
        let is_fair = counts.as_ref().is_ok_and(|counts| counts.values().all(fair));
        hold(Property::EveryShardIsOwned, is_fair, || format!("{counts:?} of {shards} shards"))
    }

    /// Every suspension by the platform is told, and everything in the outbox was sent.
    fn owners_are_notified(&self) -> Check {
        for shard in self.store.spread().shards() {
            let waiting = self.waiting_notices(shard);
            hold(Property::NoticesAreSentOnce, waiting.is_empty(), || format!("{waiting:?} were not sent"))?;
        }
        let (told, least) = (self.books.notices(), self.books.told_at_least());
        hold(Property::NoticesAreSentOnce, told >= least, || format!("{told} notifications of {least} were sent"))
    }
}
