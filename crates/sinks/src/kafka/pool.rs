//! Clients by what they need to connect, lanes by subscription: a lane has a producer of its own, on a client that it may share.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use domain::SubscriptionId;
use domain::destination::KafkaDestination;
use domain::subscription::Subscription;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::KafkaSettings;
use super::batch::BATCH_BYTES;
use super::connection::{Client, Identity, OpenProducer};
use super::request::Prepared;
use super::tunnel::Tunnel;

/// Who waits for a place looks this often whether somebody has one without using it.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// All lanes and clients.
pub(crate) struct Pool {
    lanes: RwLock<HashMap<SubscriptionId, Arc<Lane>>>,
    /// By brokers; those with other credentials share an entry.
    clients: Mutex<HashMap<Vec<String>, Vec<Weak<Client>>>>,
    /// As many places as clients may be open.
    places: Arc<Semaphore>,
    tunnel: Tunnel,
    settings: KafkaSettings,
}

/// What is kept for a subscription at one revision.
pub(crate) struct Lane {
    revision: u64,
    pub(crate) prepared: Prepared,
    pub(crate) client: Arc<Client>,
    /// Held during an attempt: a subscription has one at a time.
    pub(crate) producer: tokio::sync::Mutex<Option<OpenProducer>>,
    /// Bytes of records for one batch, as far as the topic is known.
    pub(crate) batch_bytes: AtomicUsize,
    used: Mutex<Instant>,
}

impl Pool {
    pub(crate) fn new(tunnel: Tunnel, settings: KafkaSettings) -> Pool {
        let places = Arc::new(Semaphore::new(settings.clients.max(1)));
        Pool { lanes: RwLock::default(), clients: Mutex::default(), places, tunnel, settings }
    }

    /// The lane of a subscription at its revision. A newer revision replaces the lane; an attempt of an older one, that was on its way
    /// meanwhile, gets a lane for itself.
    pub(crate) async fn lane(&self, subscription: &Subscription, destination: &KafkaDestination) -> Option<Arc<Lane>> {
        let revision = subscription.revision;
        if let Some(lane) = self.lanes.read().get(&subscription.id).filter(|lane| lane.revision == revision) {
            *lane.used.lock() = Instant::now();
            return Some(Arc::clone(lane));
        }
        let client = self.client(Identity::of(destination)).await?;
        let made = Arc::new(Lane {
            revision,
            prepared: Prepared::new(subscription, destination),
            client,
            producer: tokio::sync::Mutex::default(),
            batch_bytes: AtomicUsize::new(BATCH_BYTES),
            used: Mutex::new(Instant::now()),
        });
        let mut lanes = self.lanes.write();
        let replaced = match lanes.get(&subscription.id) {
            Some(lane) if lane.revision == revision => return Some(Arc::clone(lane)),
            Some(lane) if lane.revision > revision => None,
            Some(_) | None => lanes.insert(subscription.id, Arc::clone(&made)),
        };
        drop(lanes);
        drop(replaced);
        Some(made)
    }

    async fn client(&self, identity: Identity) -> Option<Arc<Client>> {
        if let Some(client) = self.shared(&identity) {
            return Some(client);
        }
        let place = self.place().await?;
        let mut clients = self.clients.lock();
        let same_brokers = clients.entry(identity.brokers.clone()).or_default();
        // Somebody else may have come first.
        if let Some(client) = find(same_brokers, &identity) {
            return Some(client);
        }
        let client = Arc::new(Client::new(identity, self.tunnel.pass(), self.settings, place));
        same_brokers.push(Arc::downgrade(&client));
        Some(client)
    }

    fn shared(&self, identity: &Identity) -> Option<Arc<Client>> {
        find(self.clients.lock().get(&identity.brokers)?, identity)
    }

    /// A place for one more client. Where all are taken, who rested longest makes room; where none rests, this waits.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return Some(place);
            }
            let rested = self.least_recently_used();
            if rested.is_none() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            drop(rested);
        }
    }

    fn least_recently_used(&self) -> Option<Arc<Lane>> {
        let mut lanes = self.lanes.write();
        let resting = lanes.iter().filter(|(_, lane)| Arc::strong_count(lane) == 1);
        let id = *resting.min_by_key(|(_, lane)| *lane.used.lock())?.0;
        lanes.remove(&id)
    }

    /// Closes what is kept for a subscription, once its attempt has ended.
    pub(crate) fn forget(&self, id: SubscriptionId) {
        let lane = self.lanes.write().remove(&id);
        drop(lane);
    }

    /// Closes what was not used for a while.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut rested = Vec::new();
        self.lanes.write().retain(|_, lane| {
            let keep = Arc::strong_count(lane) > 1 || now < *lane.used.lock() + self.settings.idle_timeout;
            if !keep {
                rested.push(Arc::clone(lane));
            }
            keep
        });
        drop(rested);
        self.clients.lock().retain(|_, clients| {
            clients.retain(|client| client.strong_count() > 0);
            !clients.is_empty()
        });
    }

    pub(crate) fn open_clients(&self) -> usize {
        self.settings.clients.max(1) - self.places.available_permits()
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.tunnel.open_connections()
    }
}

impl Lane {
    /// An attempt has ended.
    pub(crate) fn rest(&self) {
        *self.used.lock() = Instant::now();
    }
}

fn find(clients: &[Weak<Client>], identity: &Identity) -> Option<Arc<Client>> {
    clients.iter().filter_map(Weak::upgrade).find(|client| client.identity == *identity)
}
