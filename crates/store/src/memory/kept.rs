//! Reading kept events in memory.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use domain::exception::ExceptionKind;
use domain::fate::{DroppedBacklog, OutcomeCounts};
use domain::subscriber::Owner;
use domain::subscription::SubscriptionStatus;
use domain::{LoggedEvent, PimId, Position, SubscriptionId, Timestamp};

use super::{MemoryStore, State};
use crate::error::StoreError;
use crate::kept::{History, Kept, KeptPage, KeptQuery, Recorded, Undelivered};

#[async_trait]
impl Kept for MemoryStore {
    async fn kept_from(&self, pim: PimId) -> Result<Position, StoreError> {
        Ok(self.state.lock().keeping(pim).from)
    }

    async fn oldest_kept(&self, pim: PimId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state.lock().known(pim).next().map(|event| event.accepted_at))
    }

    async fn find(&self, pim: PimId, query: &KeptQuery) -> Result<KeptPage, StoreError> {
        let mut state = self.state.lock();
        let before = |event: &&Arc<LoggedEvent>| query.before.is_none_or(|before| event.position < before);
        let found = state.known(pim).rev().filter(before).filter(|event| query.asks_for(event));
        let mut events: Vec<_> = found.take(query.limit.saturating_add(1)).cloned().collect();
        let more = events.len() > query.limit;
        events.truncate(query.limit);
        let next = if more { events.last().map(|event| event.position) } else { None };
        Ok(KeptPage { events, next })
    }

    async fn positions(&self, pim: PimId, accepted: Range<Timestamp>) -> Result<Range<Position>, StoreError> {
        let mut state = self.state.lock();
        let mut within = state.known(pim).filter(|event| accepted.contains(&event.accepted_at));
        let Some(first) = within.next() else { return Ok(Position::FIRST..Position::FIRST) };
        Ok(first.position..within.next_back().unwrap_or(first).position.next())
    }

    async fn history(&self, subscription: SubscriptionId) -> Result<Option<History>, StoreError> {
        Ok(self.state.lock().histories.get(&subscription).cloned())
    }

    async fn histories(&self, owner: &Owner) -> Result<Vec<History>, StoreError> {
        let state = self.state.lock();
        let all = state.subscriptions.values().map(|(_, one)| one).filter(|one| one.owner() == *owner);
        let visible = all.filter(|one| one.status != SubscriptionStatus::Revoked);
        Ok(visible.filter_map(|one| state.histories.get(&one.id).cloned()).collect())
    }

    async fn recorded(&self, subscription: SubscriptionId, position: Position) -> Result<Recorded, StoreError> {
        let mut state = self.state.lock();
        let Some((_, of)) = state.subscriptions.get(&subscription) else { return Ok(Recorded::default()) };
        let pim = of.pim;
        let ledger = &state.shard_of(pim).ledger;
        let lane = ledger.lanes.iter().find(|lane| lane.subscription == subscription);
        let mut exceptions = lane.into_iter().flat_map(|lane| &lane.exceptions);
        let exception = exceptions.find(|exception| exception.position == position).cloned();
        let cursor = ledger.cursor(subscription);
        let Some(records) = state.records.get(&subscription) else {
            return Ok(Recorded { cursor, exception, ..Recorded::default() });
        };
        Ok(Recorded {
            cursor,
            exception,
            given_up: records.given_up.get(&position).cloned(),
            dropped: records.dropped.iter().rfind(|backlog| backlog.contains(position)).cloned(),
            delivered_late: records.delivered_late.contains(&position),
        })
    }

    async fn undelivered(
        &self,
        subscription: SubscriptionId,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Undelivered>, StoreError> {
        let mut state = self.state.lock();
        let Some((_, of)) = state.subscriptions.get(&subscription) else { return Ok(Vec::new()) };
        let pim = of.pim;
        let lane = state.shard_of(pim).ledger.lanes.iter().find(|lane| lane.subscription == subscription);
        let exceptions = lane.into_iter().flat_map(|lane| &lane.exceptions);
        let waiting = exceptions.filter(|exception| exception.kind != ExceptionKind::Predecessor);
        let mut all: Vec<_> = waiting.map(|one| (one.position, Undelivered::Waiting(one.clone()))).collect();
        if let Some(records) = state.records.get(&subscription) {
            let given_up = records.given_up.values();
            all.extend(given_up.map(|one| (one.position, Undelivered::GivenUp(one.clone()))));
        }
        all.retain(|(position, _)| before.is_none_or(|before| *position < before));
        all.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
        Ok(all.into_iter().take(limit).map(|(_, one)| one).collect())
    }

    async fn exceptional(
        &self,
        subscription: SubscriptionId,
        positions: Range<Position>,
    ) -> Result<(Vec<Position>, Vec<DroppedBacklog>), StoreError> {
        let state = self.state.lock();
        let Some(records) = state.records.get(&subscription) else { return Ok(Default::default()) };
        let given_up = records.given_up.range(positions.clone()).map(|(position, _)| *position).collect();
        let late: Vec<_> = records.delivered_late.range(positions.clone()).copied().collect();
        let dropped = records.dropped.iter().filter(|backlog| backlog.touches(&positions));
        Ok((given_up, dropped.cloned().map(|backlog| backlog.without(&late)).collect()))
    }

    async fn outcome_counts(
        &self,
        _: &Owner,
        of: &[SubscriptionId],
        from: Timestamp,
    ) -> Result<Vec<OutcomeCounts>, StoreError> {
        let state = self.state.lock();
        let records = of.iter().filter_map(|id| state.records.get(id));
        Ok(OutcomeCounts::sum(records.flat_map(|records| records.counts.range(from..).map(|(_, (_, counts))| *counts))))
    }

    async fn given_up(&self, _: &Owner, of: &[SubscriptionId], at_most: u32) -> Result<Vec<u32>, StoreError> {
        let state = self.state.lock();
        let count = |id| state.records.get(id).map_or(0, |records| records.given_up.len());
        Ok(of.iter().map(|id| u32::try_from(count(id)).unwrap_or(u32::MAX).min(at_most)).collect())
    }

    async fn kept_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.state.lock().kept_bytes().values().sum())
    }
}

impl State {
    /// Events of a PIM that are not deleted and whose history is known.
    fn known(&mut self, pim: PimId) -> impl DoubleEndedIterator<Item = &Arc<LoggedEvent>> {
        let from = self.keeping(pim).from;
        self.shard_of(pim).events.iter().filter(move |event| event.pim == pim && event.position >= from)
    }
}
