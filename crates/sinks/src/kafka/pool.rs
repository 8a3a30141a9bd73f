//! Clients by what they need to connect, lanes by subscription: a lane has a producer of its own, on a client that it
//! may share.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use domain::SubscriptionId;
use domain::destination::KafkaDestination;
use domain::subscription::Subscription;
use fair::{Holder, Permit, Places};
use parking_lot::{Mutex, RwLock};
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
    places: Places,
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
        let places = Places::new(settings.clients as u64);
        Pool { lanes: RwLock::default(), clients: Mutex::default(), places, tunnel, settings }
    }

    /// The lane of a subscription at its revision. A newer revision replaces the lane; an attempt of an older one, that
    /// was on its way meanwhile, gets a lane for itself.
    pub(crate) async fn lane(&self, subscription: &Subscription, destination: &KafkaDestination) -> Arc<Lane> {
        let revision = subscription.revision;
        if let Some(lane) = self.lanes.read().get(&subscription.id).filter(|lane| lane.revision == revision) {
            *lane.used.lock() = Instant::now();
            return Arc::clone(lane);
        }
        let client = self.client(Identity::of(destination), crate::holder(subscription)).await;
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
            Some(lane) if lane.revision == revision => return Arc::clone(lane),
            Some(lane) if lane.revision > revision => None,
            Some(_) | None => lanes.insert(subscription.id, Arc::clone(&made)),
        };
        drop(lanes);
        drop(replaced);
        made
    }

    async fn client(&self, identity: Identity, holder: Holder) -> Arc<Client> {
        if let Some(client) = self.shared(&identity) {
            return client;
        }
        let place = self.place(holder).await;
        let mut clients = self.clients.lock();
        let same_brokers = clients.entry(identity.brokers.clone()).or_default();
        // Somebody else may have come first.
        if let Some(client) = find(same_brokers, &identity) {
            return client;
        }
        let client = Arc::new(Client::new(identity, self.tunnel.pass(holder), self.settings, place));
        same_brokers.push(Arc::downgrade(&client));
        client
    }

    fn shared(&self, identity: &Identity) -> Option<Arc<Client>> {
        find(self.clients.lock().get(&identity.brokers)?, identity)
    }

    /// A place for one more client. Where all are taken, who rests makes room: first lanes of PIMs that hold more than
    /// their share, then those that rested longest. Where none rests, this waits.
    async fn place(&self, holder: Holder) -> Permit {
        if let Some(place) = self.places.try_some(holder, 1) {
            return place;
        }
        let mut waiting = std::pin::pin!(self.places.one(holder));
        loop {
            drop(self.take_resting());
            tokio::select! {
                place = &mut waiting => return place,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    fn take_resting(&self) -> Option<Arc<Lane>> {
        let mut lanes = self.lanes.write();
        let resting = lanes.iter().filter(|(_, lane)| Arc::strong_count(lane) == 1);
        let modest = |lane: &Lane| self.places.used_by(lane.client.holder().pim) <= self.places.share();
        let id = *resting.min_by_key(|(_, lane)| (modest(lane), *lane.used.lock()))?.0;
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
        usize::try_from(self.places.used()).unwrap_or(usize::MAX)
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
