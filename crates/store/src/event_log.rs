//! Port of the event log: append durably, read from a position, delete unneeded events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::outcome::Lack;
use domain::{Event, LoggedEvent, PimId, Position, ServiceHour, Timestamp};

use crate::condition::Condition;
use crate::error::{AppendError, StoreError, TenureError};
use crate::room::Backlog;
use crate::shard::{Shard, Shards, Tenure};
use crate::tail::Tail;

/// Result of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Appended {
    /// Events in the request.
    pub accepted: usize,
    /// Number of events already known, within the request or the dedup window; they are not in the log twice.
    pub duplicates: usize,
}

/// Scope of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All PIMs of a shard.
    Shard(Shard),
    /// One PIM.
    Pim(PimId),
}

/// Events of a shard's log that its owner needs when it restarts from the saved state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Floors {
    /// First position needed by a lane, per PIM.
    pub pims: Vec<(PimId, Position)>,
    /// The same for PIMs without such a lane.
    pub rest: Position,
}

/// Limits of a read.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Maximum number of events.
    pub events: usize,
    /// Maximum number of bytes of events; at least one event is read.
    pub bytes: usize,
    /// Exclusive end.
    pub until: Position,
}

/// A chunk of the log.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Events in order. Positions may have gaps, due to other PIMs' events and deleted ones.
    pub events: Vec<Arc<LoggedEvent>>,
    /// Next position to read: all events of the scope before it are in this chunk or preceded it.
    pub next: Position,
}

/// The log of accepted events: one sequence per shard, over all of its PIMs. Any process may append and read.
#[async_trait]
pub trait EventLog: Shards {
    /// The current hour of service; its number is recorded with every write.
    fn hour(&self) -> ServiceHour;

    /// Adds running time since the last call: full hours are counted, the rest is kept. Called by the owner of
    /// [`Shard::FIRST`] for all shards, by a monotonic clock.
    async fn served(&self, tenure: &Tenure, elapsed: Duration) -> Result<ServiceHour, TenureError>;

    /// Appends a request's events, all or none, and returns when they are on stable storage. Skips events whose
    /// identity ([`Event::identity`]: the producer's source and the id) the PIM has used within the dedup window, which
    /// is counted in hours of service; the first one wins. Appends are visible in [`EventLog::tail`] before the return.
    /// `now` is only recorded.
    async fn append(&self, pim: PimId, events: Vec<Event>, now: Timestamp) -> Result<Appended, AppendError> {
        self.append_if(pim, events, now, Vec::new()).await
    }

    /// Appends if all conditions hold in the commit, otherwise [`AppendError::Outdated`].
    async fn append_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<Appended, AppendError>;

    /// Reads from `from` on. At the end of the log `next` is the head (or `limit.until`).
    async fn read(&self, scope: Scope, from: Position, limit: ReadLimit) -> Result<Chunk, StoreError>;

    /// A shard's newest events, in memory, and its head, for the owner. Must be requested again after each takeover.
    fn tail(&self, shard: Shard) -> Arc<Tail>;

    /// Head of a shard's log: the position of its next event.
    async fn head(&self, shard: Shard) -> Result<Position, StoreError>;

    /// Usage of the log's bound by PIM, over all shards.
    fn backlog(&self) -> Backlog;

    /// The position before which a PIM has at least this many bytes of events; the head if it has fewer.
    async fn position_after(&self, pim: PimId, bytes: u64) -> Result<Position, StoreError>;

    /// The position of a shard's first event accepted in this hour of service or later; the head if there is none.
    async fn first_since(&self, shard: Shard, hour: ServiceHour) -> Result<Position, StoreError>;

    /// Events of the owner's shard that no lane needs become kept ([`crate::Kept`]), and kept ones beyond the bounds
    /// are deleted; none of another shard, whatever the floors name. Floors only rise. Works in slices, so that appends
    /// are not delayed. Returns the number of events handled by this call; 0 means that nothing is left. Events of one
    /// append may be backlog until none of them is needed. Positions are never reused, even when all events are
    /// deleted.
    async fn trim(&self, tenure: &Tenure, floors: &Floors) -> Result<u64, TenureError>;

    /// Conditions that prevent appends; empty if there are none. Cheap, because it is called often: it returns within a
    /// few seconds even if the backend hangs, and causes no disk writes.
    async fn lacks(&self) -> Vec<Lack> {
        Vec::new()
    }
}
