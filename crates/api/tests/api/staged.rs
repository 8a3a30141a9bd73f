//! The in-memory store with a pause before every change, so that concurrent requests conflict: all of them have read
//! before the first one writes. Failures can be switched on.

mod kept;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::log_entry::{LogEntry, LogQuery};
use domain::notification::Outgoing;
use domain::outcome::Lack;
use domain::pim::Pim;
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::Subscription;
use domain::{ClientId, Event, PimId, Position, ServiceHour, SubscriberId, SubscriptionId, Timestamp};
use store::catalog::Made;
use store::memory::MemoryStore;
use store::{
    AppendError, AppendNewError, Appended, Backlog, Change, ChangeError, ChangedPage, Chunk, ClientQuery, ClientRecord,
    Clients, Cluster, Condition, Entries, EventLog, Floors, LaneRecord, Lease, Ledger, LogPage, NodeId, Outbox, Page,
    PimQuery, Pims, Profile, ReadLimit, Roll, Save, Scope, Shard, Shards, Snapshot, SnapshotKey, SnapshotSave,
    Snapshots, Spread, StoreError, StoredStatus, SubscriberQuery, SubscriptionCounts, SubscriptionQuery, Subscriptions,
    Tail, Tenure, TenureError, Waiting,
};
use tokio::sync::{Notify, watch};

/// Yields before each change, more than a request has steps.
const YIELDS: usize = 200;

pub(crate) struct Staged(pub(crate) Arc<MemoryStore>, pub(crate) AtomicBool, pub(crate) Gate, pub(crate) Lag);

/// Hides changes of PIMs, as if other processes had made them, until they are looked for.
#[derive(Default)]
pub(crate) struct Lag(Mutex<Option<u64>>);

impl Lag {
    /// Hides those after this version.
    pub(crate) fn begin(&self, version: u64) {
        *self.0.lock().unwrap() = Some(version);
    }
}

/// Stops the next write right before its commit, after all of its checks, until opened.
#[derive(Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
    reached: Notify,
    open: Notify,
}

impl Gate {
    /// Stops the next write.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Waits until the write has stopped.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Continues it.
    pub(crate) fn open(&self) {
        self.open.notify_one();
    }

    async fn pass(&self) {
        if self.closed.swap(false, Ordering::SeqCst) {
            self.reached.notify_one();
            self.open.notified().await;
        }
    }
}

impl Staged {
    fn works(&self) -> Result<(), StoreError> {
        if self.1.load(Ordering::SeqCst) { Err(StoreError::Unavailable("disk full".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Shards for Staged {
    fn spread(&self) -> Spread {
        self.0.spread()
    }

    async fn take(&self, shard: Shard) -> Result<Tenure, StoreError> {
        self.0.take(shard).await
    }

    fn committed(&self, shard: Shard) -> watch::Receiver<u64> {
        self.0.committed(shard)
    }

    async fn apply(&self, tenure: &Tenure, version: u64) -> Result<(), TenureError> {
        self.0.apply(tenure, version).await
    }

    async fn in_effect(&self, shard: Shard, version: u64, at_most: Duration) -> bool {
        self.0.in_effect(shard, version, at_most).await
    }
}

#[async_trait]
impl Cluster for Staged {
    fn node(&self) -> NodeId {
        self.0.node()
    }

    async fn roll(&self) -> Result<Roll, StoreError> {
        self.0.roll().await
    }

    async fn enter(&self, profile: &Profile) -> Result<(), StoreError> {
        self.0.enter(profile).await
    }

    async fn take_if(&self, seen: &Lease) -> Result<Option<Tenure>, StoreError> {
        self.0.take_if(seen).await
    }

    async fn give(&self, tenure: &Tenure) -> Result<(), StoreError> {
        self.0.give(tenure).await
    }
}

#[async_trait]
impl Pims for Staged {
    async fn pim(&self, id: PimId) -> Result<Option<Pim>, StoreError> {
        self.works()?;
        self.0.pim(id).await
    }

    async fn pim_named(&self, name: &str) -> Result<Option<Pim>, StoreError> {
        self.works()?;
        self.0.pim_named(name).await
    }

    async fn pim_names(&self, of: Vec<PimId>) -> Result<HashMap<PimId, String>, StoreError> {
        self.0.pim_names(of).await
    }

    async fn pims(&self, query: &PimQuery) -> Result<Page<Pim>, StoreError> {
        self.works()?;
        self.0.pims(query).await
    }

    async fn count_pims(&self) -> Result<u64, StoreError> {
        self.0.count_pims().await
    }

    fn pims_version(&self) -> Result<u64, StoreError> {
        self.works()?;
        let hidden_after = *self.3.0.lock().unwrap();
        hidden_after.map_or_else(|| self.0.pims_version(), Ok)
    }

    async fn look_for_changed_pims(&self) -> Result<(), StoreError> {
        *self.3.0.lock().unwrap() = None;
        Ok(())
    }

    async fn add_pim(&self, pim: Pim) -> Result<Pim, ChangeError> {
        self.0.add_pim(pim).await
    }

    async fn update_pim(&self, pim: Pim) -> Result<(), ChangeError> {
        self.0.update_pim(pim).await
    }

    async fn remove_pim(&self, id: PimId, now: Timestamp) -> Result<(), ChangeError> {
        self.0.remove_pim(id, now).await
    }
}

#[async_trait]
impl Clients for Staged {
    async fn client(&self, owner: &Owner) -> Result<ClientRecord, StoreError> {
        self.0.client(owner).await
    }

    async fn put_client(&self, owner: &Owner, client: ClientRecord) -> Result<(), ChangeError> {
        self.2.pass().await;
        self.0.put_client(owner, client).await
    }

    async fn clients(&self, query: &ClientQuery) -> Result<Page<(ClientId, ClientRecord)>, StoreError> {
        self.0.clients(query).await
    }

    async fn count_clients(&self) -> Result<u64, StoreError> {
        self.0.count_clients().await
    }
}

#[async_trait]
impl Subscriptions for Staged {
    async fn change(&self, change: Change) -> Result<Made, ChangeError> {
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
        self.works()?;
        self.2.pass().await;
        self.0.change(change).await
    }

    async fn subscriber(&self, id: SubscriberId) -> Result<Option<Subscriber>, StoreError> {
        self.0.subscriber(id).await
    }

    async fn subscribers(&self, owner: &Owner) -> Result<Vec<Subscriber>, StoreError> {
        self.0.subscribers(owner).await
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        self.0.subscription(id).await
    }

    async fn subscriptions(&self, of: SubscriberId) -> Result<Vec<Subscription>, StoreError> {
        self.0.subscriptions(of).await
    }

    async fn subscriber_page(&self, query: &SubscriberQuery) -> Result<Page<Subscriber>, StoreError> {
        self.0.subscriber_page(query).await
    }

    async fn subscription_page(&self, query: &SubscriptionQuery) -> Result<Page<Subscription>, StoreError> {
        self.0.subscription_page(query).await
    }

    async fn count_subscriptions(&self) -> Result<SubscriptionCounts, StoreError> {
        self.0.count_subscriptions().await
    }

    async fn changed_page(&self, shard: Shard, since: Option<u64>, at_most: usize) -> Result<ChangedPage, StoreError> {
        self.0.changed_page(shard, since, at_most).await
    }

    async fn prune_deleted(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError> {
        self.0.prune_deleted(tenure, before).await
    }
}

#[async_trait]
impl Entries for Staged {
    async fn add_entry(&self, entry: LogEntry) -> Result<(), StoreError> {
        self.0.add_entry(entry).await
    }

    async fn entries(&self, owner: &Owner, query: &LogQuery) -> Result<LogPage, StoreError> {
        self.0.entries(owner, query).await
    }

    async fn prune_entries(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError> {
        self.0.prune_entries(tenure, before).await
    }
}

#[async_trait]
impl Outbox for Staged {
    async fn notification(&self, id: uuid::Uuid) -> Result<Option<Outgoing>, StoreError> {
        self.0.notification(id).await
    }

    async fn notifications(&self, shard: Shard, after: Option<u64>, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        self.0.notifications(shard, after, limit).await
    }

    async fn count_waiting(&self) -> Result<Waiting, StoreError> {
        self.0.count_waiting().await
    }

    async fn notification_numbers(&self, shard: Shard) -> Result<Vec<u64>, StoreError> {
        self.0.notification_numbers(shard).await
    }

    async fn put_back_notification(&self, outgoing: Outgoing) -> Result<(), ChangeError> {
        self.0.put_back_notification(outgoing).await
    }

    async fn settle_notification(&self, id: uuid::Uuid) -> Result<(), StoreError> {
        self.0.settle_notification(id).await
    }
}

#[async_trait]
impl EventLog for Staged {
    async fn append_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<Appended, AppendError> {
        self.works()?;
        self.2.pass().await;
        self.0.append_if(pim, events, now, conditions).await
    }

    async fn read(&self, scope: Scope, from: Position, limit: ReadLimit) -> Result<Chunk, StoreError> {
        self.0.read(scope, from, limit).await
    }

    async fn lacks(&self) -> Vec<Lack> {
        if self.works().is_ok() { Vec::new() } else { vec![Lack::Store] }
    }

    fn tail(&self, shard: Shard) -> Arc<Tail> {
        self.0.tail(shard)
    }

    async fn head(&self, shard: Shard) -> Result<Position, StoreError> {
        self.0.head(shard).await
    }

    fn hour(&self) -> ServiceHour {
        self.0.hour()
    }

    async fn served(&self, tenure: &Tenure, elapsed: Duration) -> Result<ServiceHour, TenureError> {
        self.0.served(tenure, elapsed).await
    }

    fn backlog(&self) -> Backlog {
        self.0.backlog()
    }

    async fn position_after(&self, pim: PimId, bytes: u64) -> Result<Position, StoreError> {
        self.0.position_after(pim, bytes).await
    }

    async fn first_since(&self, shard: Shard, hour: ServiceHour) -> Result<Position, StoreError> {
        self.0.first_since(shard, hour).await
    }

    async fn trim(&self, tenure: &Tenure, floors: &Floors) -> Result<u64, TenureError> {
        self.0.trim(tenure, floors).await
    }
}

#[async_trait]
impl Ledger for Staged {
    async fn mark(&self, tenure: &Tenure) -> Result<Position, StoreError> {
        self.0.mark(tenure).await
    }

    async fn lanes(
        &self,
        tenure: &Tenure,
        after: Option<SubscriptionId>,
        at_most: usize,
    ) -> Result<Page<LaneRecord>, StoreError> {
        self.0.lanes(tenure, after, at_most).await
    }

    async fn save(&self, tenure: &Tenure, save: Save) -> Result<(), TenureError> {
        self.0.save(tenure, save).await
    }
}

#[async_trait]
impl Snapshots for Staged {
    async fn snapshots(
        &self,
        pim: PimId,
        keys: Vec<SnapshotKey>,
    ) -> Result<HashMap<SnapshotKey, Snapshot>, StoreError> {
        self.works()?;
        self.0.snapshots(pim, keys).await
    }

    async fn append_new_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<(), AppendNewError> {
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
        self.works()?;
        self.0.append_new_if(pim, events, saves, now, conditions).await
    }

    async fn prune_snapshots(&self, tenure: &Tenure) -> Result<u64, TenureError> {
        self.0.prune_snapshots(tenure).await
    }

    async fn bridge_status(&self, pim: PimId) -> Result<Option<StoredStatus>, StoreError> {
        self.0.bridge_status(pim).await
    }

    async fn put_bridge_status(&self, pim: PimId, note: StoredStatus) -> Result<(), ChangeError> {
        self.0.put_bridge_status(pim, note).await
    }
}
