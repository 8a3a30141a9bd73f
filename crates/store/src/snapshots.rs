//! Port of the Events API bridge: the last known state of each product and product model, committed together with the
//! resulting events.
//!
//! **Why one commit.** A delta is the difference of two states. If the events were durable without the new state, the
//! next delta would repeat the change; if the state were durable without the events, the change would be lost. A known
//! event must not touch the state, which would go back in time. So [`Snapshots::append_new`] accepts events that are
//! all new and made from unchanged states, or nothing; the caller then reads again.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{Event, PimId, Timestamp};

use crate::condition::Condition;
use crate::error::{AppendError, ChangeError, StoreError, TenureError};
use crate::shard::Tenure;

/// Kind of entity of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SnapshotKind {
    /// A product; its key is its uuid or a substitute.
    Product,
    /// A product model; its key is its code.
    ProductModel,
}

/// Key of a snapshot within a PIM.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SnapshotKey {
    /// Kind of the entity.
    pub kind: SnapshotKind,
    /// Key of the entity.
    pub key: String,
}

/// Stored state of an entity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Distinguishes this state from all others of the entity, even across a removal. At least 1.
    pub revision: u64,
    /// The state, opaque to the store.
    pub body: Vec<u8>,
}

/// Approximate size of a snapshot besides its key and body.
const ROW: u64 = 100;

/// Size of a snapshot, counted towards its PIM's bound.
pub fn size(key: &SnapshotKey, body: &[u8]) -> u64 {
    ROW + key.key.len() as u64 + body.len() as u64
}

/// A changed snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotSave {
    /// Its key.
    pub key: SnapshotKey,
    /// Revision that the events were made from; `None` = there was none.
    pub seen: Option<u64>,
    /// The new state; `None` = the entity was removed and nothing is kept.
    pub body: Option<Vec<u8>>,
}

/// Status text of a PIM's bridge, for readers in other processes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoredStatus {
    /// The text.
    pub text: String,
    /// Its revision; 0 = there was none.
    pub revision: u64,
}

/// Nothing was appended and no snapshot was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendNewError {
    /// Ids of events known within the dedup window: retry without them and their consequences.
    #[error("{} of the events are known already", .0.len())]
    Known(Vec<String>),
    /// A snapshot has changed since it was read: read again.
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

/// States of entities, and the status of each PIM's bridge.
#[async_trait]
pub trait Snapshots: Send + Sync + 'static {
    /// The existing snapshots of a PIM with these keys.
    async fn snapshots(&self, pim: PimId, keys: Vec<SnapshotKey>)
    -> Result<HashMap<SnapshotKey, Snapshot>, StoreError>;

    /// Appends events with distinct ids and changes snapshots, each named once, all or nothing in one commit. Returns
    /// when it is on stable storage.
    ///
    /// The size of a PIM's snapshots ([`size`]) is bounded by the backend. A state that doesn't fit is not stored, and
    /// its predecessor is deleted, because a delta from that would repeat a change: the next state of the entity has no
    /// delta. The events are appended all the same.
    async fn append_new(
        &self,
        pim: PimId,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
    ) -> Result<(), AppendNewError> {
        self.append_new_if(pim, events, saves, now, Vec::new()).await
    }

    /// Does so if all conditions hold in the commit, otherwise [`AppendError::Outdated`].
    async fn append_new_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<(), AppendNewError>;

    /// Deletes snapshots and statuses of unregistered PIMs of the owner's shard, in slices. Returns the number deleted
    /// by this call; 0 means that nothing is left.
    async fn prune_snapshots(&self, tenure: &Tenure) -> Result<u64, TenureError>;

    /// Status last stored by [`Snapshots::put_bridge_status`].
    async fn bridge_status(&self, pim: PimId) -> Result<Option<StoredStatus>, StoreError>;

    /// Stores a status made from revision [`StoredStatus::revision`]: a [`ChangeError::Conflict`] if there is a newer
    /// one. The revision is incremented.
    async fn put_bridge_status(&self, pim: PimId, note: StoredStatus) -> Result<(), ChangeError>;
}
