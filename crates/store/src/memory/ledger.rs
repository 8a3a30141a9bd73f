//! The ledger in memory.

use async_trait::async_trait;
use domain::subscription::SubscriptionStatus;
use domain::{Position, SubscriptionId};

use super::MemoryStore;
use crate::catalog::Page;
use crate::error::{StoreError, TenureError};
use crate::ledger::{LaneRecord, LaneSave, Ledger, LedgerRecord, Save};
use crate::shard::Tenure;
use crate::stamp::LaneEffect;

#[async_trait]
impl Ledger for MemoryStore {
    async fn mark(&self, tenure: &Tenure) -> Result<Position, StoreError> {
        Ok(self.state.lock().shard(tenure.shard).ledger.mark)
    }

    async fn lanes(
        &self,
        tenure: &Tenure,
        after: Option<SubscriptionId>,
        at_most: usize,
    ) -> Result<Page<LaneRecord>, StoreError> {
        let mut state = self.state.lock();
        let lanes = state.shard(tenure.shard).ledger.lanes.iter();
        let behind = lanes.filter(|lane| after.is_none_or(|after| lane.subscription > after));
        Ok(Page::of(behind.take(at_most + 1).cloned().collect(), at_most))
    }

    async fn save(&self, tenure: &Tenure, save: Save) -> Result<(), TenureError> {
        let mut state = self.state.lock();
        let ledger = &mut state.owned(tenure)?.ledger;
        ledger.mark = ledger.mark.max(save.mark);
        for mut lane in save.lanes {
            let Some((_, stored)) = state.subscriptions.get(&lane.subscription) else { continue };
            let (current, pim, status) = (stored.generation, stored.pim, stored.status);
            if state.spread.shard_of(pim) != tenure.shard {
                continue;
            }
            // Entries and facts are kept regardless of the subscription's later changes.
            for entry in std::mem::take(&mut lane.entries) {
                state.add(entry);
            }
            if status != SubscriptionStatus::Deleted {
                state.record(lane.subscription, pim, std::mem::take(&mut lane.facts));
            }
            let ledger = &mut state.shard(tenure.shard).ledger;
            let began = ledger.lane(lane.subscription).generation;
            if let Some(lane) = lane.as_of(began, current, save.mark) {
                ledger.save_lane(lane);
            }
        }
        for replay in save.replays {
            state.save_replay(tenure.shard, replay);
        }
        Ok(())
    }
}

impl LedgerRecord {
    fn save_lane(&mut self, lane: LaneSave) {
        let record = self.lane(lane.subscription);
        record.cursor = lane.cursor;
        if lane.memory.is_some() {
            record.memory = lane.memory;
        }
        if lane.drop_exceptions {
            record.exceptions.clear();
        }
        record.exceptions.retain(|exception| !lane.settled.contains(&exception.position));
        for exception in lane.exceptions {
            record.exceptions.retain(|old| old.position != exception.position);
            record.exceptions.push(exception);
        }
        record.exceptions.sort_by_key(|exception| exception.position);
    }

    /// Position of a lane: its own cursor, or the mark.
    pub(super) fn cursor(&self, of: SubscriptionId) -> Position {
        let record = self.lanes.iter().find(|lane| lane.subscription == of);
        record.and_then(|lane| lane.cursor).unwrap_or(self.mark)
    }

    /// Applies the effect of a subscription's change to its lane, at this head of the log.
    pub(super) fn affect(&mut self, of: SubscriptionId, generation: u32, effect: LaneEffect, head: Position) {
        let cursor = self.cursor(of);
        if effect == LaneEffect::None {
            return;
        }
        if effect == LaneEffect::Forget {
            self.lanes.retain(|lane| lane.subscription != of);
            return;
        }
        let record = self.lane(of);
        match effect {
            LaneEffect::Reset => {
                record.generation = generation;
                record.cursor = Some(head);
                record.memory = None;
                record.exceptions.clear();
            }
            LaneEffect::GoOn => {
                record.cursor = Some(cursor);
                record.memory = None;
            }
            LaneEffect::Pin => record.cursor = Some(cursor),
            LaneEffect::None | LaneEffect::Forget => {}
        }
    }

    fn lane(&mut self, of: SubscriptionId) -> &mut LaneRecord {
        let lanes = &mut self.lanes;
        let at = lanes.binary_search_by_key(&of, |lane| lane.subscription).unwrap_or_else(|at| {
            let (cursor, memory, exceptions) = (None, None, Vec::new());
            lanes.insert(at, LaneRecord { subscription: of, generation: 0, cursor, memory, exceptions });
            at
        });
        &mut lanes[at]
    }
}
