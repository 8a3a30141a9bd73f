//! The Kafka sink against Apache Kafka, with an independent consumer.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::Secret;
use domain::destination::{CustomHeaders, Destination, KafkaDestination, KafkaTls, SaslAuth, SaslMechanism};
use domain::subscription::Subscription;
use parts::kafka::{Broker, ClientTls, Listener, PASSWORD, Record, USER};
use sinks::kafka::{KafkaSettings, KafkaSink};

use crate::endpoint;

mod clients;
mod guard;
mod order;
mod security;
mod topics;

/// The broker shared by all tests that do not restart it; none if unavailable.
pub(crate) fn broker() -> Option<&'static Broker> {
    static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
    let broker = BROKER.get_or_init(|| Broker::start().map_err(|error| parts::left_out("Apache Kafka", &error)).ok());
    if broker.is_none() {
        // Each test that runs without it reports that.
        parts::left_out("Apache Kafka", &anyhow::anyhow!("it did not start"));
    }
    broker.as_ref()
}

/// Runs blocking work without delaying other tasks.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// The same limits as the real ones, but shorter: waiting for them would only make the tests slow.
pub(crate) fn impatient() -> KafkaSettings {
    KafkaSettings {
        connect_timeout: Duration::from_secs(2),
        open_timeout: Duration::from_secs(4),
        topic_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(3),
        delivery_timeout: Duration::from_secs(6),
        ..KafkaSettings::default()
    }
}

pub(crate) fn sink_allowing(networks: &[&str], settings: KafkaSettings) -> Arc<KafkaSink> {
    let connector = endpoint::connector(networks, &[]);
    Arc::new(KafkaSink::new(connector, endpoint::style(), settings).unwrap())
}

/// A sink that may connect to the broker, and to no other address of this machine.
pub(crate) fn sink(settings: KafkaSettings) -> Arc<KafkaSink> {
    sink_allowing(&["127.0.0.1/32"], settings)
}

/// A topic with a unique name.
pub(crate) fn topic(broker: &Broker, partitions: u32, config: &[(&str, &str)]) -> String {
    let name = format!("t-{}", domain::SubscriptionId::generate());
    blocking(|| broker.create_topic(&name, partitions, config)).unwrap();
    name
}

pub(crate) fn consumed(broker: &Broker, topic: &str, at_least: usize) -> Vec<Record> {
    let records = blocking(|| broker.consume(topic, at_least, 30)).unwrap();
    assert!(records.len() >= at_least, "{} records instead of {at_least}", records.len());
    records
}

pub(crate) fn plain(username: &str, password: &str) -> SaslAuth {
    SaslAuth { mechanism: SaslMechanism::Plain, username: username.to_owned(), password: Secret::new(password) }
}

pub(crate) fn tls(tls: &ClientTls) -> KafkaTls {
    KafkaTls {
        server_name: tls.server_name.clone(),
        ca_pem: tls.ca_pem.clone(),
        client_cert_pem: tls.client_cert_pem.clone(),
        client_key_pem: Secret::new(&tls.client_key_pem),
    }
}

/// A subscription to `topic`, by a user with all permissions.
pub(crate) fn subscription(bootstrap: &str, topic: &str) -> Subscription {
    with(bootstrap, topic, plain(USER, PASSWORD), None)
}

pub(crate) fn with(bootstrap: &str, topic: &str, sasl: SaslAuth, tls: Option<KafkaTls>) -> Subscription {
    let mut subscription = endpoint::subscription("http://127.0.0.1/");
    subscription.destination = Destination::Kafka(KafkaDestination {
        brokers: bootstrap.split(',').map(str::to_owned).collect(),
        topic: topic.to_owned(),
        sasl,
        tls,
        headers: CustomHeaders(vec![("X-Channel".to_owned(), Secret::new("spring"))]),
    });
    subscription
}

pub(crate) fn topic_of(subscription: &Subscription) -> &str {
    let Destination::Kafka(kafka) = &subscription.destination else { unreachable!() };
    &kafka.topic
}

/// On the listener with SASL and without TLS.
pub(crate) fn on_sasl(broker: &Broker, topic: &str) -> Subscription {
    subscription(&broker.bootstrap(Listener::Sasl), topic)
}
