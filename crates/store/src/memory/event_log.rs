//! The event log in memory.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Event, LoggedEvent, PimId, Position, ServiceHour, Timestamp};

use super::{MemoryStore, ShardState, State};
use crate::condition::Condition;
use crate::error::{AppendError, StoreError, TenureError};
use crate::event_log::{Appended, Chunk, EventLog, Floors, ReadLimit, Scope};
use crate::room::Backlog;
use crate::shard::{Shard, Tenure};
use crate::tail::Tail;

const HOUR: Duration = Duration::from_secs(3600);

impl MemoryStore {
    /// Whether an event is known within the dedup window.
    pub(super) fn knows(&self, state: &State, pim: PimId, event: &Event) -> bool {
        let seen = state.seen.get(&(pim, event.identity().into_owned()));
        seen.is_some_and(|hour| *hour >= state.hour.ago(self.settings.dedup_window))
    }

    /// Appends while holding the lock.
    pub(super) fn append_to(
        &self,
        state: &mut State,
        pim: PimId,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        let accepted = events.len();
        let mut in_request = HashSet::new();
        let mut fresh = Vec::new();
        for event in events {
            let key = (pim, event.identity().into_owned());
            if !self.knows(state, pim, &event) && in_request.insert(key) {
                fresh.push(event);
            }
        }
        let more = fresh.iter().map(|event| event.size() as u64).sum::<u64>();
        if let Some(message) = state.backlog.lacks(pim, more).filter(|_| !fresh.is_empty()) {
            return Err(AppendError::BacklogFull { message, retry_after: Duration::from_secs(5) });
        }
        let oldest = state.hour.ago(self.settings.dedup_window);
        while state.seen_order.front().is_some_and(|(hour, ..)| *hour < oldest) {
            let Some((hour, pim, id)) = state.seen_order.pop_front() else { break };
            let key = (pim, id);
            if state.seen.get(&key) == Some(&hour) {
                state.seen.remove(&key);
            }
        }
        let duplicates = accepted - fresh.len();
        let mut logged = Vec::with_capacity(fresh.len());
        for event in fresh {
            state.seen.insert((pim, event.identity().into_owned()), state.hour);
            state.seen_order.push_back((state.hour, pim, event.identity().into_owned()));
            let shard = state.shard_of(pim);
            let event = Arc::new(LoggedEvent { position: shard.head(), pim, accepted_at: now, event });
            shard.accepted += 1;
            shard.events.push_back(Arc::clone(&event));
            logged.push(event);
        }
        state.backlog.count(pim, i64::try_from(more).unwrap_or(i64::MAX));
        // While holding the lock, so that the tail has the log's order.
        let shard = state.spread.shard_of(pim);
        state.tell(|news| news.tail(shard).push(logged.iter().cloned()));
        Ok(Appended { accepted, duplicates })
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    fn hour(&self) -> ServiceHour {
        self.state.lock().hour
    }

    async fn served(&self, tenure: &Tenure, elapsed: Duration) -> Result<ServiceHour, TenureError> {
        let mut state = self.state.lock();
        state.owned(tenure)?;
        state.served = state.served.saturating_add(elapsed);
        while state.served >= HOUR {
            state.served -= HOUR;
            state.hour.0 += 1;
            let hour = state.hour;
            for shard in &mut state.shards {
                shard.hours.insert(hour, shard.head());
            }
        }
        Ok(state.hour)
    }

    async fn append_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<Appended, AppendError> {
        let mut state = self.state.lock();
        if !state.hold(&conditions) {
            return Err(AppendError::Outdated);
        }
        self.append_to(&mut state, pim, events, now)
    }

    async fn read(&self, scope: Scope, from: Position, limit: ReadLimit) -> Result<Chunk, StoreError> {
        let mut state = self.state.lock();
        let shard = match scope {
            Scope::Shard(shard) => state.shard(shard),
            Scope::Pim(pim) => state.shard_of(pim),
        };
        let end = shard.head().min(limit.until).max(from);
        let mut events = Vec::new();
        let mut bytes = 0;
        let start = shard.events.partition_point(|event| event.position < from);
        for event in shard.events.range(start..) {
            if event.position >= end {
                break;
            }
            if matches!(scope, Scope::Pim(pim) if pim != event.pim) {
                continue;
            }
            let full = events.len() >= limit.events.max(1) || bytes + event.event.size() > limit.bytes;
            if full && !events.is_empty() {
                return Ok(Chunk { events, next: event.position });
            }
            bytes += event.event.size();
            events.push(Arc::clone(event));
        }
        Ok(Chunk { events, next: end })
    }

    fn tail(&self, shard: Shard) -> Arc<Tail> {
        Arc::clone(self.news.tail(shard))
    }

    async fn head(&self, shard: Shard) -> Result<Position, StoreError> {
        Ok(self.state.lock().shard(shard).head())
    }

    fn backlog(&self) -> Backlog {
        self.state.lock().backlog.clone()
    }

    async fn position_after(&self, pim: PimId, bytes: u64) -> Result<Position, StoreError> {
        let mut state = self.state.lock();
        let floor = state.keeping(pim).floor;
        let shard = state.shard_of(pim);
        let mut so_far = 0;
        let of_pim = shard.events.iter().filter(|event| event.pim == pim && event.position >= floor);
        let mut before = of_pim.skip_while(|event| {
            so_far += event.event.size() as u64;
            so_far < bytes
        });
        Ok(before.next().map_or(shard.head(), |last| last.position.next()))
    }

    async fn first_since(&self, shard: Shard, hour: ServiceHour) -> Result<Position, StoreError> {
        let mut state = self.state.lock();
        let shard = state.shard(shard);
        let began = shard.began(hour);
        let first = shard.events.partition_point(|event| event.position < began);
        Ok(shard.events.get(first).map_or(shard.head(), |event| event.position))
    }

    async fn trim(&self, tenure: &Tenure, floors: &Floors) -> Result<u64, TenureError> {
        let mut state = self.state.lock();
        state.owned(tenure)?;
        Ok(state.trim(tenure.shard, floors, self.settings.keep))
    }
}

impl ShardState {
    /// Head of the log at the start of this hour of service; the current head if it hasn't started.
    pub(super) fn began(&self, hour: ServiceHour) -> Position {
        if hour == ServiceHour::default() {
            return Position::FIRST;
        }
        self.hours.range(hour..).next().map_or(self.head(), |(_, head)| *head)
    }
}
