//! A client of a cluster, for one set of brokers, credentials and TLS, and the producers on it.

use std::sync::Arc;
use std::time::Duration;

use domain::destination::{KafkaDestination, KafkaTls, SaslAuth, SaslMechanism};
use fair::{Holder, Permit};
use krafka::auth::{AuthConfig, TlsConfig};
use krafka::error::KrafkaError;
use krafka::producer::{Acks, Producer};
use krafka::{CloseOptions, Compression, Kafka};
use tokio::time::Instant;

use super::KafkaSettings;
use super::tunnel::{Dials, Pass};

/// The platform's name in brokers' logs and quotas.
const CLIENT_ID: &str = "postrider";
/// Maximum size of a broker's response; the longest are lists of all topics of a large cluster.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// Maximum number of brokers of one cluster to which a client is connected at the same time.
const CONNECTIONS_PER_CLIENT: usize = 128;
/// Idle time after which a connection is closed; the client opens it again when needed.
const CONNECTION_IDLE: Duration = Duration::from_secs(120);
/// Longer than it takes to fill a batch: batches are sent on request, never because this has passed.
const LINGER: Duration = Duration::from_secs(1);
/// Above the size of any batch for a partition (see [`super::batch`]), so that the client doesn't split it by itself.
const BATCH_SIZE: usize = 4 * 1024 * 1024;
/// Capacity of a producer: a batch of the lane, and one event on top.
const BUFFER_MEMORY: usize = 16 * 1024 * 1024;

/// Two subscriptions with equal keys share a client.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClientKey {
    pub(crate) brokers: Vec<String>,
    sasl: SaslAuth,
    tls: Option<KafkaTls>,
}

impl ClientKey {
    pub(crate) fn of(destination: &KafkaDestination) -> ClientKey {
        let KafkaDestination { brokers, sasl, tls, topic: _, headers: _ } = destination;
        ClientKey { brokers: brokers.clone(), sasl: sasl.clone(), tls: tls.clone() }
    }

    fn auth(&self) -> AuthConfig {
        let SaslAuth { mechanism, username, password } = &self.sasl;
        let auth = match mechanism {
            SaslMechanism::Plain => AuthConfig::sasl_plain(username, password.expose()),
            SaslMechanism::ScramSha256 => AuthConfig::sasl_scram_sha256(username, password.expose()),
            SaslMechanism::ScramSha512 => AuthConfig::sasl_scram_sha512(username, password.expose()),
        };
        let Some(KafkaTls { server_name, ca_pem, client_cert_pem, client_key_pem }) = &self.tls else { return auth };
        auth.with_tls(
            TlsConfig::new()
                .with_ca_cert_pem(ca_pem.as_bytes())
                .with_client_cert_pem(client_cert_pem.as_bytes(), client_key_pem.expose().as_bytes().to_vec())
                .with_sni_hostname(server_name),
        )
    }
}

/// A client. It connects on first use; dropping it closes all of its connections.
pub(crate) struct Client {
    pub(crate) key: ClientKey,
    /// For messages.
    pub(crate) brokers: String,
    connected: tokio::sync::Mutex<Connected>,
    pass: Pass,
    settings: KafkaSettings,
    place: Permit,
}

#[derive(Default)]
struct Connected {
    kafka: Option<Kafka>,
    failed: Option<(Instant, KrafkaError)>,
}

impl Client {
    pub(crate) fn new(key: ClientKey, pass: Pass, settings: KafkaSettings, place: Permit) -> Client {
        let brokers = key.brokers.join(",");
        Client { key, brokers, connected: tokio::sync::Mutex::default(), pass, settings, place }
    }

    /// Holder of its slot.
    pub(crate) fn holder(&self) -> Holder {
        self.place.holder()
    }

    pub(crate) fn dials(&self) -> &Dials {
        self.pass.dials()
    }

    /// A new producer for `topic`.
    pub(crate) async fn producer(&self, topic: &str) -> Result<OpenProducer, KrafkaError> {
        let timeout = self.settings.open_timeout;
        let opened = tokio::time::timeout(timeout, async {
            let kafka = self.kafka().await?;
            self.look_for(&kafka, topic).await?;
            kafka
                .producer()
                .acks(Acks::All)
                .idempotent(true)
                .compression(Compression::Lz4)
                .linger(LINGER)
                .batch_size(BATCH_SIZE)
                .buffer_memory(BUFFER_MEMORY)
                .max_block(self.settings.topic_timeout)
                .delivery_timeout(self.settings.delivery_timeout)
                .metrics_push(false)
                .build()
                .await
        });
        let opened = opened.await.unwrap_or_else(|_elapsed| Err(KrafkaError::timeout("opening a producer")));
        if matches!(opened, Err(KrafkaError::Network(_) | KrafkaError::Timeout { .. })) {
            // Its knowledge of the cluster doesn't help: the next attempt begins with the bootstrap addresses.
            self.connected.lock().await.kafka.take();
        }
        opened.map(|producer| OpenProducer(Some(Arc::new(producer))))
    }

    /// Checks that the topic exists. A client that has lost all brokers has forgotten them, and an idempotent producer,
    /// which has to ask one for its id, would wait forever; asking for a topic makes the client look for its cluster
    /// again.
    async fn look_for(&self, kafka: &Kafka, topic: &str) -> Result<(), KrafkaError> {
        let producer = kafka
            .producer()
            .idempotent(false)
            .max_block(self.settings.topic_timeout)
            .delivery_timeout(self.settings.delivery_timeout)
            .metrics_push(false)
            .build()
            .await?;
        let producer = OpenProducer(Some(Arc::new(producer)));
        match producer.get() {
            Some(producer) => producer.partitions_for(topic).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// The connected client. Waiting callers fail together with the one that connects.
    async fn kafka(&self) -> Result<Kafka, KrafkaError> {
        let asked_at = Instant::now();
        let mut connected = self.connected.lock().await;
        if let Some(kafka) = &connected.kafka {
            return Ok(kafka.clone());
        }
        if let Some((at, error)) = &connected.failed
            && *at > asked_at
        {
            return Err(error.clone());
        }
        let connecting = Kafka::builder(&self.brokers)
            .client_id(CLIENT_ID)
            .security(self.key.auth())
            .proxy(self.pass.proxy())
            .connect_timeout(self.settings.connect_timeout)
            .request_timeout(self.settings.request_timeout)
            .max_response_size(MAX_ANSWER)
            .max_connections(Some(CONNECTIONS_PER_CLIENT))
            .connections_max_idle(Some(CONNECTION_IDLE))
            .connect();
        match connecting.await {
            Ok(kafka) => Ok(connected.kafka.insert(kafka).clone()),
            Err(error) => {
                connected.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// A producer that sends nothing more once it is dropped.
pub(crate) struct OpenProducer(Option<Arc<Producer>>);

impl OpenProducer {
    pub(crate) fn get(&self) -> Option<&Producer> {
        self.0.as_deref()
    }
}

impl Drop for OpenProducer {
    fn drop(&mut self) {
        let Some(producer) = self.0.take() else { return };
        // Outside a runtime nothing is sent either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // The error only reports that there was something left to send.
                _ = producer.close_with(CloseOptions::new().timeout(Duration::ZERO)).await;
            });
        }
    }
}
