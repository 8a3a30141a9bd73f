//! Clients by connection parameters, topics by subscription: each topic has its own producer, on a client that may be
//! shared.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use domain::SubscriptionId;
use domain::destination::KafkaDestination;
use domain::subscription::Subscription;
use fair::{Holder, Permit, Places};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::KafkaSettings;
use super::batch::BATCH_BYTES;
use super::connection::{Client, ClientKey, OpenProducer};
use super::request::Prepared;
use super::tunnel::Tunnel;
use crate::kept::{Keep, Kept};

/// Poll interval while waiting for a slot.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// All topics and clients.
pub(crate) struct Pool {
    topics: Kept<Topic>,
    /// By brokers; clients with other credentials share an entry.
    clients: Mutex<HashMap<Vec<String>, Vec<Weak<Client>>>>,
    /// One slot per client that may be open.
    places: Places,
    tunnel: Tunnel,
    settings: KafkaSettings,
}

/// The topic of a subscription at one revision, and its producer.
pub(crate) struct Topic {
    pub(crate) prepared: Prepared,
    pub(crate) client: Arc<Client>,
    /// Held during an attempt: a subscription has one at a time.
    pub(crate) producer: tokio::sync::Mutex<Option<OpenProducer>>,
    /// Size limit of one batch, as far as the topic is known.
    pub(crate) batch_bytes: AtomicUsize,
    used: Mutex<Instant>,
}

impl Pool {
    pub(crate) fn new(tunnel: Tunnel, settings: KafkaSettings) -> Pool {
        let places = Places::new(settings.clients as u64);
        Pool { topics: Kept::default(), clients: Mutex::default(), places, tunnel, settings }
    }

    /// The topic of a subscription at its revision.
    pub(crate) async fn topic(&self, subscription: &Subscription, destination: &KafkaDestination) -> Arc<Topic> {
        let Subscription { id, revision, .. } = *subscription;
        if let Some(topic) = self.topics.get(id, revision) {
            topic.touch();
            return topic;
        }
        let client = self.client(ClientKey::of(destination), crate::holder(subscription)).await;
        let made = Topic {
            prepared: Prepared::new(subscription, destination),
            client,
            producer: tokio::sync::Mutex::default(),
            batch_bytes: AtomicUsize::new(BATCH_BYTES),
            used: Mutex::new(Instant::now()),
        };
        self.topics.put(id, revision, made)
    }

    async fn client(&self, key: ClientKey, holder: Holder) -> Arc<Client> {
        if let Some(client) = self.shared(&key) {
            return client;
        }
        let place = self.place(holder).await;
        let mut clients = self.clients.lock();
        let same_brokers = clients.entry(key.brokers.clone()).or_default();
        // Another caller may have been faster.
        if let Some(client) = find(same_brokers, &key) {
            return client;
        }
        let client = Arc::new(Client::new(key, self.tunnel.pass(holder), self.settings, place));
        same_brokers.push(Arc::downgrade(&client));
        client
    }

    fn shared(&self, key: &ClientKey) -> Option<Arc<Client>> {
        find(self.clients.lock().get(&key.brokers)?, key)
    }

    /// A slot for one more client. If all are taken, idle topics are closed: first those of PIMs above their share,
    /// then those idle longest. If none is idle, this waits.
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

    fn take_resting(&self) -> Option<Arc<Topic>> {
        let modest = |of: &Topic| self.places.used_by(of.client.holder().pim) <= self.places.share();
        self.topics.take_unused(|topic| (modest(topic), *topic.used.lock()))
    }

    /// Closes the topic of a subscription, once its attempt has ended.
    pub(crate) fn forget(&self, id: SubscriptionId) {
        self.topics.forget(id);
    }

    /// Closes topics that were unused for a while.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.topics.sweep(|topic| now >= *topic.used.lock() + self.settings.idle_timeout);
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

impl Topic {
    /// Marks it as used now.
    pub(crate) fn touch(&self) {
        *self.used.lock() = Instant::now();
    }
}

impl Keep for Topic {}

fn find(clients: &[Weak<Client>], key: &ClientKey) -> Option<Arc<Client>> {
    clients.iter().filter_map(Weak::upgrade).find(|client| client.key == *key)
}

#[cfg(test)]
mod tests {
    use domain::PimId;
    use domain::address::AddressPolicy;
    use domain::destination::{CustomHeaders, Destination, SaslAuth, SaslMechanism};

    use domain::{Secret, testing};
    use futures_util::FutureExt;

    use super::*;
    use crate::connect::Connector;
    use crate::resolve::Resolver;
    use crate::tls::TlsClient;

    /// A subscription with an unshared client.
    fn subscription(pim: u32) -> (Subscription, KafkaDestination) {
        let id = SubscriptionId::generate();
        let destination = KafkaDestination {
            brokers: vec!["broker.example:9092".to_owned()],
            topic: "events".to_owned(),
            sasl: SaslAuth {
                mechanism: SaslMechanism::Plain,
                username: id.to_string(),
                password: Secret::new("secret"),
            },
            tls: None,
            headers: CustomHeaders::default(),
        };
        let sample = testing::subscription(Destination::Kafka(destination.clone()));
        (Subscription { id, pim: PimId(pim), ..sample }, destination)
    }

    fn pool(clients: usize) -> Pool {
        let tls = TlsClient::new(&[]).unwrap();
        let connector = Connector::new(Arc::new(Resolver::system()), AddressPolicy::allowing(Vec::new()), tls);
        let settings = KafkaSettings { clients, ..KafkaSettings::default() };
        Pool::new(Tunnel::open(connector, 8, Duration::from_secs(1)).unwrap(), settings)
    }

    /// The topic of a subscription, if there is a slot for its client now.
    fn topic(pool: &Pool, (subscription, destination): &(Subscription, KafkaDestination)) -> Option<Arc<Topic>> {
        pool.topic(subscription, destination).now_or_never()
    }

    #[tokio::test(start_paused = true)]
    async fn a_pim_whose_attempts_hang_leaves_clients_to_others() {
        let pool = pool(8);
        let hostile: Vec<_> = (0..20).map(|_| subscription(1)).collect();
        // A topic that is held has an attempt in flight.
        let hanging: Vec<_> = hostile.iter().map_while(|one| topic(&pool, one)).collect();
        assert_eq!(hanging.len(), 6);
        let modest = [subscription(2), subscription(2)];
        let others: Vec<_> = modest.iter().filter_map(|one| topic(&pool, one)).collect();
        assert_eq!((others.len(), pool.open_clients()), (2, 8));
        assert!(topic(&pool, &hostile[6]).is_none());
        // Idle ones are closed, until a quarter is free again on top of the others' slots.
        drop(hanging);
        let (subscription, destination) = &hostile[6];
        pool.topic(subscription, destination).await;
        assert_eq!((pool.open_clients(), pool.places.used_by(2)), (6, 2));
    }
}
