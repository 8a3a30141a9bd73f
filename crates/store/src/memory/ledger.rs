//! The ledger in memory.

use async_trait::async_trait;
use domain::{Position, SubscriptionId};

use super::{MemoryStore, State};
use crate::error::StoreError;
use crate::ledger::{LaneRecord, LaneSave, Ledger, LedgerRecord, Save};
use crate::stamp::LaneEffect;

#[async_trait]
impl Ledger for MemoryStore {
    async fn load(&self) -> Result<LedgerRecord, StoreError> {
        Ok(self.state.lock().ledger.clone())
    }

    async fn save(&self, save: Save) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.ledger.mark = state.ledger.mark.max(save.mark);
        for mut lane in save.lanes {
            let Some((_, stored)) = state.subscriptions.get(&lane.subscription) else { continue };
            let current = stored.generation;
            // What happened has happened, whatever the subscription has become since.
            for entry in std::mem::take(&mut lane.entries) {
                state.add(entry);
            }
            let began = state.lane(lane.subscription).generation;
            if let Some(lane) = lane.as_of(began, current, save.mark) {
                state.save_lane(lane);
            }
        }
        Ok(())
    }
}

impl State {
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

    /// Where a lane stands: its own cursor, or the mark.
    pub(super) fn cursor(&self, of: SubscriptionId) -> Position {
        let record = self.ledger.lanes.iter().find(|lane| lane.subscription == of);
        record.and_then(|lane| lane.cursor).unwrap_or(self.ledger.mark)
    }

    /// Does to a lane what the change of its subscription asks for.
    pub(super) fn affect(&mut self, of: SubscriptionId, generation: u32, effect: LaneEffect) {
        let (head, cursor) = (self.head(), self.cursor(of));
        if effect == LaneEffect::None {
            return;
        }
        if effect == LaneEffect::Forget {
            self.ledger.lanes.retain(|lane| lane.subscription != of);
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
        let lanes = &mut self.ledger.lanes;
        let at = lanes.iter().position(|lane| lane.subscription == of).unwrap_or_else(|| {
            lanes.push(LaneRecord {
                subscription: of,
                generation: 0,
                cursor: None,
                memory: None,
                exceptions: Vec::new(),
            });
            lanes.len() - 1
        });
        &mut lanes[at]
    }
}
