//! The in-memory reference: simple and obviously right. One lock over the whole state, no tasks, no clock; what it
//! answers is what every backend has to answer.

mod clients;
mod entries;
mod event_log;
mod ledger;
mod outbox;
mod pims;
mod snapshots;
mod subscriptions;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::log_entry::LogEntry;
use domain::notification::Outgoing;
use domain::pim::Pim;
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::Subscription;
use domain::{LogId, LoggedEvent, PimId, Position, ServiceHour, SubscriberId, SubscriptionId};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::catalog::Client;
use crate::changes::{Changes, News};
use crate::condition::Condition;
use crate::ledger::LedgerRecord;
use crate::room::Backlog;
use crate::snapshots::{BridgeNote, Snapshot, SnapshotKey};
use crate::tail::Tail;

/// Bounds of a [`MemoryStore`].
#[derive(Clone, Copy, Debug)]
pub struct MemorySettings {
    /// How much of the newest events the tail holds.
    pub tail_bytes: usize,
    /// Appends are refused when the log's events would be more than this.
    pub max_log_bytes: u64,
    /// How much the states of one PIM's entities may take.
    pub max_state_bytes: u64,
    /// How long an id is remembered, in hours of service.
    pub dedup_window: Duration,
}

impl Default for MemorySettings {
    fn default() -> MemorySettings {
        MemorySettings {
            tail_bytes: 16 << 20,
            max_log_bytes: 1 << 30,
            max_state_bytes: 1 << 30,
            // Contract page 6: 24 h.
            dedup_window: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// All ports in memory. Nothing survives the process, but [`MemoryStore::reopen`] stands for a restart.
#[derive(Debug)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    settings: MemorySettings,
    tail: Tail,
    changes: Changes,
}

#[derive(Debug, Default)]
struct State {
    // The log.
    events: VecDeque<Arc<LoggedEvent>>,
    backlog: Backlog,
    /// Events accepted so far; the head is one more.
    accepted: u64,
    seen: HashMap<(PimId, String), ServiceHour>,
    seen_order: VecDeque<(ServiceHour, PimId, String)>,
    /// The hour of service, how much of it has passed, and where the log ended when each hour began.
    hour: ServiceHour,
    served: Duration,
    hours: BTreeMap<ServiceHour, Position>,
    // The catalogue.
    version: u64,
    pims: BTreeMap<PimId, Pim>,
    pims_version: u64,
    last_pim: u32,
    clients: HashMap<Owner, Client>,
    subscribers: BTreeMap<SubscriberId, Subscriber>,
    subscriptions: BTreeMap<SubscriptionId, (u64, Subscription)>,
    /// The hours in which subscribers and subscriptions were last changed.
    changed: HashMap<Uuid, ServiceHour>,
    entries: BTreeMap<LogId, KeptEntry>,
    /// The latest entry of each kind of error.
    latest_errors: HashMap<ErrorKey, LogId>,
    notifications: VecDeque<(Owner, Outgoing)>,
    // The ledger.
    ledger: LedgerRecord,
    // The Events API bridge.
    snapshots: HashMap<(PimId, SnapshotKey), Snapshot>,
    bridge_notes: HashMap<PimId, BridgeNote>,
}

/// A log entry, the hour of its latest occurrence, and its size as others store it.
#[derive(Debug)]
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

/// What errors have in common that become one entry.
type ErrorKey = (Owner, Option<SubscriberId>, Option<SubscriptionId>, [String; 4]);

impl State {
    fn head(&self) -> Position {
        Position(self.accepted + 1)
    }

    /// Whether all of what a request was judged by is as it was.
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
        let state = State { backlog: Backlog::new(settings.max_log_bytes), ..State::default() };
        MemoryStore::over(Arc::new(Mutex::new(state)), settings)
    }

    /// What a restart finds: the same state, an empty tail, nothing announced yet. The old one and the new one share the state.
    pub fn reopen(&self) -> MemoryStore {
        MemoryStore::over(Arc::clone(&self.state), self.settings)
    }

    fn over(state: Arc<Mutex<State>>, settings: MemorySettings) -> MemoryStore {
        let (head, version) = {
            let state = state.lock();
            (state.head(), state.version)
        };
        let changes = Changes::default();
        changes.commit(version);
        MemoryStore { state, settings, tail: Tail::new(head, settings.tail_bytes), changes }
    }
}

impl News for MemoryStore {
    fn changes(&self) -> &Changes {
        &self.changes
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
    use crate::conformance::STATE_BYTES;

    fn open() -> Box<MemoryStore> {
        Box::new(MemoryStore::new(MemorySettings { max_state_bytes: STATE_BYTES, ..MemorySettings::default() }))
    }

    crate::store_conformance!(open());
}
