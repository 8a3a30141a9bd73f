//! The port of the Events API bridge: the last known state of each product and product model, kept in one commit with the
//! events that it led to.
//!
//! **Why one commit.** A delta is the difference of two states. Were the events durable without the new state, the next
//! delta would tell the same change again; were the state durable without the events, a change would never be told. And
//! an event that is known already must not touch the state: it would go back in time. So [`Snapshots::append_new`] takes
//! events that are all new, made from states that nobody changed since, or nothing at all; the caller then looks again.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{Event, PimId, Timestamp};

use crate::condition::Condition;
use crate::error::{AppendError, ChangeError, StoreError, TenureError};
use crate::shard::Tenure;

/// What kind of entity a snapshot is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SnapshotKind {
    /// A product; its key is its uuid, or what stands in for that.
    Product,
    /// A product model; its key is its code.
    ProductModel,
}

/// Names a snapshot of a PIM.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SnapshotKey {
    /// What it is of.
    pub kind: SnapshotKind,
    /// Which one.
    pub key: String,
}

/// What is kept of an entity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Tells this state from all others that the entity had, also before it was removed and came again. At least 1.
    pub revision: u64,
    /// The state, in whatever form its writer chose.
    pub body: Vec<u8>,
}

/// What a snapshot takes beside its key and body, about.
const ROW: u64 = 100;

/// What a snapshot counts for among those of its PIM, which are bounded.
pub fn size(key: &SnapshotKey, body: &[u8]) -> u64 {
    ROW + key.key.len() as u64 + body.len() as u64
}

/// A snapshot that changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotSave {
    /// Which one.
    pub key: SnapshotKey,
    /// The revision that the events were made from; `None` = there was none.
    pub seen: Option<u64>,
    /// The new state; `None` = the entity is gone, nothing of it is kept.
    pub body: Option<Vec<u8>>,
}

/// A text about the bridge of a PIM, for whoever looks at it from another process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoredStatus {
    /// The text.
    pub text: String,
    /// Which version of it this is; 0 = there was none.
    pub revision: u64,
}

/// Nothing was appended and no snapshot was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendNewError {
    /// Some of the events are known within the dedup window: leave them out, with what follows from them.
    #[error("{} of the events are known already", .0.len())]
    Known(Vec<String>),
    /// A snapshot is not what it was when it was read: read again.
    #[error("a snapshot was changed by somebody else in the meantime")]
    Changed,
    /// As for other appends.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<StoreError> for AppendNewError {
    fn from(error: StoreError) -> AppendNewError {
        AppendNewError::Append(AppendError::Store(error))
    }
}

/// The states of entities, and what is remembered of each PIM's bridge.
#[async_trait]
pub trait Snapshots: Send + Sync + 'static {
    /// The snapshots of a PIM that there are of these.
    async fn snapshots(&self, pim: PimId, keys: Vec<SnapshotKey>)
    -> Result<HashMap<SnapshotKey, Snapshot>, StoreError>;

    /// Appends events, whose ids must differ from each other, and changes snapshots, each named once: all of it or nothing, in
    /// one commit, and answers when it is on stable storage.
    ///
    /// What a PIM's snapshots take ([`size`]) is bounded by the backend. One that does not fit is not kept, and neither
    /// is the one that it would replace, for a delta from that would tell a change again: the next state of the entity
    /// has no delta. The events are appended all the same.
    async fn append_new(
        &self,
        pim: PimId,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
    ) -> Result<(), AppendNewError> {
        self.append_new_if(pim, events, saves, now, Vec::new()).await
    }

    /// The same if all of the conditions hold in the commit, else [`AppendError::Outdated`].
    async fn append_new_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<(), AppendNewError>;

    /// Deletes snapshots and notes of PIMs of the owner's shard that are not registered any more, in slices. Gives the
    /// number deleted in this call; 0 = nothing left to do.
    async fn prune_snapshots(&self, tenure: &Tenure) -> Result<u64, TenureError>;

    /// What [`Snapshots::put_bridge_status`] kept last.
    async fn bridge_status(&self, pim: PimId) -> Result<Option<StoredStatus>, StoreError>;

    /// Keeps a note that was made from that of [`StoredStatus::revision`]: a [`ChangeError::Conflict`] if there is a
    /// newer one. The revision is counted up.
    async fn put_bridge_status(&self, pim: PimId, note: StoredStatus) -> Result<(), ChangeError>;
}
