//! The in-memory reference: simple and obviously correct. One lock over the whole state, no tasks, no clock. All
//! backends must behave like it.

mod clients;
mod cluster;
mod entries;
mod event_log;
mod keeping;
mod kept;
mod ledger;
#[cfg(any(test, feature = "conformance"))]
mod moments;
mod outbox;
mod pims;
mod replays;
mod snapshots;
mod subscriptions;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use domain::log_entry::LogEntry;
use domain::notification::Outgoing;
use domain::pim::Pim;
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::Subscription;
use domain::{LogId, LoggedEvent, PimId, Position, ServiceHour, SubscriberId, SubscriptionId};
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use crate::catalog::ClientRecord;
use crate::changes::Changes;
use crate::cluster::{Lease, Node};
use crate::condition::Condition;
use crate::error::{StoreError, TenureError};
use crate::kept::{History, KeepBounds};
use crate::ledger::LedgerRecord;
use crate::memory::keeping::{Keeping, Records};
use crate::memory::replays::StoredReplay;
use crate::room::Backlog;
use crate::shard::{Epoch, NodeId, Shard, Shards, Spread, Tenure};
use crate::snapshots::{Snapshot, SnapshotKey, StoredStatus};
use crate::tail::Tail;

#[cfg(any(test, feature = "conformance"))]
pub use moments::Moment;

/// Bounds of a [`MemoryStore`].
#[derive(Clone, Copy, Debug)]
pub struct MemorySettings {
    /// Distribution of PIMs over shards.
    pub spread: Spread,
    /// Bytes of the newest events held by the tail.
    pub tail_bytes: usize,
    /// Bytes of events in the log beyond which appends are rejected.
    pub max_log_bytes: u64,
    /// Bytes of the states of one PIM's entities.
    pub max_state_bytes: u64,
    /// Bytes of the log entries of one PIM.
    pub max_entry_bytes: u64,
    /// Retention of ids, in hours of service.
    pub dedup_window: Duration,
    /// Bounds of kept events.
    pub keep: KeepBounds,
}

impl Default for MemorySettings {
    fn default() -> MemorySettings {
        MemorySettings {
            spread: Spread::ONE,
            tail_bytes: 16 << 20,
            max_log_bytes: 1 << 30,
            max_state_bytes: 1 << 30,
            max_entry_bytes: 1 << 30,
            // Contract page 6: 24 h.
            dedup_window: Duration::from_secs(24 * 60 * 60),
            keep: KeepBounds::CONTRACT,
        }
    }
}

/// All ports in memory. Nothing survives the process, but [`MemoryStore::reopen`] simulates a restart or another node.
#[derive(Debug)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    settings: MemorySettings,
    node: NodeId,
    news: Arc<News>,
}

/// Signals to one process, by shard.
#[derive(Debug)]
struct News {
    tails: Vec<Arc<Tail>>,
    changes: Vec<Changes>,
}

impl News {
    fn changes(&self, shard: Shard) -> &Changes {
        &self.changes[usize::from(shard.number())]
    }

    fn tail(&self, shard: Shard) -> &Arc<Tail> {
        &self.tails[usize::from(shard.number())]
    }
}

#[derive(Clone, Debug)]
struct State {
    spread: Spread,
    shards: Vec<ShardState>,
    /// In the order of their ids.
    nodes: BTreeMap<NodeId, Node>,
    /// Processes to be notified.
    listeners: Vec<Weak<News>>,
    // The log.
    backlog: Backlog,
    seen: HashMap<(PimId, String), ServiceHour>,
    seen_order: VecDeque<(ServiceHour, PimId, String)>,
    /// The hour of service, and the part of it that has passed.
    hour: ServiceHour,
    served: Duration,
    // Kept events.
    keeping: BTreeMap<PimId, Keeping>,
    histories: BTreeMap<SubscriptionId, History>,
    records: BTreeMap<SubscriptionId, Records>,
    /// Oldest first.
    replays: Vec<StoredReplay>,
    // The catalogue.
    pims: BTreeMap<PimId, Pim>,
    pims_version: u64,
    last_pim: u32,
    clients: HashMap<Owner, ClientRecord>,
    subscribers: BTreeMap<SubscriberId, Subscriber>,
    /// With the versions of their last changes.
    subscriptions: BTreeMap<SubscriptionId, (u64, Subscription)>,
    /// The hours of the last changes of subscribers and subscriptions.
    changed: HashMap<Uuid, ServiceHour>,
    entries: BTreeMap<LogId, KeptEntry>,
    max_entry_bytes: u64,
    /// The latest entry of each kind of error.
    latest_errors: HashMap<ErrorKey, LogId>,
    notifications: VecDeque<(Owner, Outgoing)>,
    // The Events API bridge.
    snapshots: HashMap<(PimId, SnapshotKey), Snapshot>,
    bridge_statuses: HashMap<PimId, StoredStatus>,
}

/// State of one shard.
#[derive(Clone, Debug)]
struct ShardState {
    lease: Lease,
    events: VecDeque<Arc<LoggedEvent>>,
    /// Number of events accepted so far; the head is one more.
    accepted: u64,
    /// Head of the log at the start of each hour of service.
    hours: BTreeMap<ServiceHour, Position>,
    /// Version of its catalogue.
    version: u64,
    ledger: LedgerRecord,
}

impl ShardState {
    fn new(shard: Shard) -> ShardState {
        ShardState {
            lease: Lease { shard, owner: None, epoch: Epoch(0), beat: 0 },
            events: VecDeque::new(),
            accepted: 0,
            hours: BTreeMap::new(),
            version: 0,
            ledger: LedgerRecord::default(),
        }
    }

    /// Makes this process the owner.
    fn take(&mut self, node: NodeId) -> Tenure {
        let lease = &mut self.lease;
        *lease = Lease { owner: Some(node), epoch: Epoch(lease.epoch.0 + 1), beat: lease.beat + 1, ..*lease };
        Tenure { shard: lease.shard, node, epoch: lease.epoch }
    }

    fn head(&self) -> Position {
        Position(self.accepted + 1)
    }
}

/// A log entry, the hour of its latest occurrence, and its size in other backends.
#[derive(Clone, Debug)]
struct KeptEntry {
    entry: LogEntry,
    hour: ServiceHour,
    bytes: u64,
}

impl KeptEntry {
    fn new(entry: LogEntry, hour: ServiceHour) -> KeptEntry {
        let bytes = serde_json::to_string(&entry).map_or(0, |text| text.len() as u64);
        KeptEntry { entry, hour, bytes }
    }
}

/// Key by which errors are merged.
type ErrorKey = (Owner, Option<SubscriberId>, Option<SubscriptionId>, [String; 4]);

impl State {
    fn new(settings: MemorySettings) -> State {
        State {
            spread: settings.spread,
            shards: settings.spread.shards().map(ShardState::new).collect(),
            nodes: BTreeMap::new(),
            listeners: Vec::new(),
            backlog: Backlog::new(settings.max_log_bytes),
            seen: HashMap::new(),
            seen_order: VecDeque::new(),
            hour: ServiceHour::default(),
            served: Duration::ZERO,
            keeping: BTreeMap::new(),
            histories: BTreeMap::new(),
            records: BTreeMap::new(),
            replays: Vec::new(),
            pims: BTreeMap::new(),
            pims_version: 0,
            last_pim: 0,
            clients: HashMap::new(),
            subscribers: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            changed: HashMap::new(),
            entries: BTreeMap::new(),
            max_entry_bytes: settings.max_entry_bytes,
            latest_errors: HashMap::new(),
            notifications: VecDeque::new(),
            snapshots: HashMap::new(),
            bridge_statuses: HashMap::new(),
        }
    }

    fn shard(&mut self, shard: Shard) -> &mut ShardState {
        &mut self.shards[usize::from(shard.number())]
    }

    fn shard_of(&mut self, pim: PimId) -> &mut ShardState {
        self.shard(self.spread.shard_of(pim))
    }

    /// State of the shard, if this tenure is current.
    fn owned(&mut self, tenure: &Tenure) -> Result<&mut ShardState, TenureError> {
        let shard = self.shard(tenure.shard);
        let Lease { owner, epoch, .. } = shard.lease;
        if (owner, epoch) == (Some(tenure.node), tenure.epoch) { Ok(shard) } else { Err(TenureError::Fenced) }
    }

    /// Notifies all processes.
    fn tell(&mut self, mut tell: impl FnMut(&News)) {
        self.listeners.retain(|listener| listener.upgrade().inspect(|news| tell(news)).is_some());
    }

    /// Announces the version of a shard's catalogue.
    fn announce(&mut self, shard: Shard) {
        let version = self.shard(shard).version;
        self.tell(|news| news.changes(shard).commit(version));
    }

    /// Whether all conditions hold.
    fn hold(&self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| match condition {
            Condition::Pim { id, revision } => self.pims.get(id).is_some_and(|pim| pim.revision == *revision),
            Condition::Client { owner, revision } => {
                self.clients.get(owner).map_or(0, |client| client.revision) == *revision
            }
        })
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new(settings: MemorySettings) -> MemoryStore {
        MemoryStore::over(Arc::new(Mutex::new(State::new(settings))), settings)
    }

    /// A process that starts on the same state, with empty tails and no announcements: another node. The state is
    /// shared; each process is notified of the others' writes.
    pub fn reopen(&self) -> MemoryStore {
        MemoryStore::over(Arc::clone(&self.state), self.settings)
    }

    fn over(shared: Arc<Mutex<State>>, settings: MemorySettings) -> MemoryStore {
        let news = {
            let mut state = shared.lock();
            let tail = |shard: &ShardState| Arc::new(Tail::new(shard.head(), settings.tail_bytes));
            let changes = |shard: &ShardState| {
                let changes = Changes::default();
                changes.commit(shard.version);
                changes
            };
            let news = Arc::new(News {
                tails: state.shards.iter().map(tail).collect(),
                changes: state.shards.iter().map(changes).collect(),
            });
            state.listeners.push(Arc::downgrade(&news));
            news
        };
        MemoryStore { state: shared, settings, node: NodeId::generate(), news }
    }
}

#[async_trait]
impl Shards for MemoryStore {
    fn spread(&self) -> Spread {
        self.settings.spread
    }

    async fn take(&self, shard: Shard) -> Result<Tenure, StoreError> {
        Ok(self.state.lock().shard(shard).take(self.node))
    }

    fn committed(&self, shard: Shard) -> watch::Receiver<u64> {
        self.news.changes(shard).committed()
    }

    async fn apply(&self, tenure: &Tenure, version: u64) -> Result<(), TenureError> {
        let mut state = self.state.lock();
        state.owned(tenure)?;
        state.tell(|news| news.changes(tenure.shard).apply(version));
        Ok(())
    }

    async fn in_effect(&self, shard: Shard, version: u64, at_most: Duration) -> bool {
        self.news.changes(shard).in_effect(version, at_most).await
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new(MemorySettings::default())
    }
}

#[cfg(test)]
mod tests {
    use super::{MemorySettings, MemoryStore};
    use crate::conformance::{ENTRY_BYTES, STATE_BYTES};
    use crate::kept::KeepBounds;
    use crate::shard::Spread;

    fn open(spread: Spread, keep: KeepBounds) -> Box<MemoryStore> {
        let settings = MemorySettings {
            spread,
            max_state_bytes: STATE_BYTES,
            max_entry_bytes: ENTRY_BYTES,
            keep,
            ..MemorySettings::default()
        };
        Box::new(MemoryStore::new(settings))
    }

    fn single(keep: KeepBounds) -> Box<MemoryStore> {
        open(Spread::ONE, keep)
    }

    crate::store_conformance!(single);

    /// The store with the shards of a cluster.
    mod cluster {
        use super::*;

        fn two_processes() -> (Box<MemoryStore>, Box<MemoryStore>) {
            let first = open(Spread::CLUSTER, KeepBounds::NONE);
            let second = Box::new(first.reopen());
            (first, second)
        }

        fn sharded(keep: KeepBounds) -> Box<MemoryStore> {
            open(Spread::CLUSTER, keep)
        }

        crate::store_conformance!(sharded);

        crate::takeover_conformance!(two_processes());
    }
}
