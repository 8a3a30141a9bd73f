//! Persistent state of the platform, behind ports: the [`catalog`] with one port per part, the [`EventLog`], the
//! [`Ledger`] with the progress of each lane, and the [`Snapshots`] of the Events API bridge. Includes the in-memory
//! reference and the conformance suite for all backends.
//!
//! **One order for all writes.** A backend serialises appends and changes. A change committed before an append applies
//! to the appended events. A change therefore needs no lock against deliveries: it is stamped with the head of the log.

pub mod catalog;
pub mod elsewhere;
pub mod event_log;
pub mod fate;
pub mod kept;
pub mod ledger;
pub mod replays;
pub mod room;
pub mod shard;
pub mod snapshots;

pub mod cluster;

pub mod condition;
pub mod confirmation;
pub mod edit;

pub mod changes;
pub mod tail;

pub mod error;

pub mod merge;
pub mod stamp;
pub mod transition;

pub mod frame;
pub mod known;
pub mod moving;
pub mod sealed;
pub mod vault;

pub mod figures;

pub mod trace;

pub mod memory;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use catalog::{
    Change, ChangedPage, ClientQuery, ClientRecord, Clients, Entries, LogPage, Made, Outbox, Page, PimQuery, Pims, Put,
    StatusFilter, SubscriberQuery, SubscriptionCounts, SubscriptionQuery, Subscriptions, Waiting, Whose,
};
pub use changes::Changes;
pub use cluster::{Cluster, Lease, Node, Profile, READS, Roll};
pub use condition::Condition;
pub use edit::{edit_client, edit_pim};
pub use elsewhere::{ATTENTIVE, Elsewhere};
pub use error::{AppendError, ChangeError, StoreError, TenureError};
pub use event_log::{Appended, Chunk, EventLog, Floors, ReadLimit, Scope};
pub use figures::Backend;
pub use kept::{Era, History, KeepBounds, Kept, KeptPage, KeptQuery, Recorded, Undelivered};
pub use ledger::{Exception, ExceptionKind, Facts, LaneRecord, LaneSave, Ledger, LedgerRecord, Save};
pub use memory::MemoryStore;
pub use replays::{ReplaySave, Replays};
pub use room::{Backlog, Pressed};
pub use shard::{Epoch, NodeId, Shard, Shards, Spread, Tenure};
pub use snapshots::{AppendNewError, Snapshot, SnapshotKey, SnapshotKind, SnapshotSave, Snapshots, StoredStatus};
pub use tail::Tail;
pub use vault::Vault;

/// All ports of one backend.
pub trait Store:
    Pims + Clients + Subscriptions + Entries + Outbox + EventLog + Ledger + Snapshots + Kept + Replays + Cluster
{
}

impl<S> Store for S where
    S: Pims + Clients + Subscriptions + Entries + Outbox + EventLog + Ledger + Snapshots + Kept + Replays + Cluster
{
}
