//! The port of the event log: append durably, read from a position, delete what no lane needs.

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

/// What became of a request's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Appended {
    /// Events in the request.
    pub accepted: usize,
    /// Those among them that were known already, within the request or the dedup window, and are not in the log twice.
    pub duplicates: usize,
}

/// Whose events are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Those of all PIMs of a shard.
    Shard(Shard),
    /// Those of one PIM.
    Pim(PimId),
}

/// What of a shard's log is still needed, if its owner starts again from what is saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Floors {
    /// Per PIM, the first position that one of its lanes needs.
    pub pims: Vec<(PimId, Position)>,
    /// The same for PIMs without such a lane.
    pub rest: Position,
}

/// How much to read at once.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// At most so many events.
    pub events: usize,
    /// Stop after so many bytes of events; one event is always read.
    pub bytes: usize,
    /// Positions from here on are not read.
    pub until: Position,
}

/// A piece of the log.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Events in order. Positions may have gaps: other PIMs' events, deleted ones.
    pub events: Vec<Arc<LoggedEvent>>,
    /// Where to read on: all events of the scope before it are in this chunk or were before it.
    pub next: Position,
}

/// The log of accepted events: one sequence in each shard, over all of its PIMs. Everybody appends and reads.
#[async_trait]
pub trait EventLog: Shards {
    /// The hour of service that it is now; what is written carries its number.
    fn hour(&self) -> ServiceHour;

    /// The platform has run for this long since it last said so: full hours are counted, the rest is kept. It is said
    /// by the owner of [`Shard::FIRST`] for all shards, by a monotonic clock.
    async fn served(&self, tenure: &Tenure, elapsed: Duration) -> Result<ServiceHour, TenureError>;

    /// Appends a request's events, all or none, and answers when they are on stable storage. Events whose identity
    /// ([`Event::identity`]: the producer's source and the id) is known of the PIM within the dedup window, which is
    /// counted in hours of service, are left out; the first one wins. Appends are seen in [`EventLog::tail`] before the
    /// answer. `now` is only told.
    async fn append(&self, pim: PimId, events: Vec<Event>, now: Timestamp) -> Result<Appended, AppendError> {
        self.append_if(pim, events, now, Vec::new()).await
    }

    /// The same if all of the conditions hold in the commit, else [`AppendError::Outdated`].
    async fn append_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<Appended, AppendError>;

    /// Reads from `from` on. At the end of the log `next` is the head (or `limit.until`).
    async fn read(&self, scope: Scope, from: Position, limit: ReadLimit) -> Result<Chunk, StoreError>;

    /// News of a shard's log: its newest events, in memory, and its head, for the owner. To be asked for anew after
    /// each takeover.
    fn tail(&self, shard: Shard) -> Arc<Tail>;

    /// Where the log of a shard ends: the position of its next event.
    async fn head(&self, shard: Shard) -> Result<Position, StoreError>;

    /// How much of the log's bound is used, and by whom, over all shards.
    fn backlog(&self) -> Backlog;

    /// The position before which a PIM has at least so many bytes of events; where all of them are fewer, the head.
    async fn position_after(&self, pim: PimId, bytes: u64) -> Result<Position, StoreError>;

    /// The position of a shard's first event that was accepted in this hour of service or later; the head if there is
    /// none.
    async fn first_since(&self, shard: Shard, hour: ServiceHour) -> Result<Position, StoreError>;

    /// Deletes events of the owner's shard that no lane needs, and none of another shard, whatever the floors name. In
    /// slices, so that appends are not held up. Gives the number deleted in this call; 0 = nothing left to do. Events
    /// that were appended together may be kept until none of them is needed. Positions are never used again, also when
    /// all events are gone.
    async fn trim(&self, tenure: &Tenure, floors: &Floors) -> Result<u64, TenureError>;

    /// What is missing for appends to work; nothing where they do. Cheap, for it is asked often: it answers within a
    /// few seconds also while the backend hangs, and wears no disk.
    async fn lacks(&self) -> Vec<Lack> {
        Vec::new()
    }
}
