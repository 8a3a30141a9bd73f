//! Kafka topics in the suite.

use std::sync::Arc;
use std::time::Duration;

use domain::LoggedEvent;
use domain::destination::{KafkaTls, SaslAuth, SaslMechanism};
use domain::outcome::ErrorReason;
use domain::subscription::Subscription;
use parts::kafka::{Broker, ClientTls, Listener, OUTSIDER, PASSWORD, SCRAM_USER, USER};
use sinks::Sink;
use sinks::kafka::KafkaSink;

use super::{Arrived, Expect, SECRET, Way, event_of_size};
use crate::endpoint::Endpoint;
use crate::kafka::{self, consumed, impatient, on_sasl, plain, tls, topic, topic_of, with};

pub(crate) struct Kafka {
    broker: &'static Broker,
    sink: Arc<KafkaSink>,
}

pub(crate) async fn make() -> Option<Kafka> {
    let broker = kafka::blocking(kafka::broker)?;
    assert_eq!(SECRET, PASSWORD, "the suite looks for it");
    Some(Kafka { broker, sink: kafka::sink(impatient()) })
}

impl super::Destination for Kafka {
    fn sink(&self) -> Arc<dyn Sink> {
        self.sink.clone()
    }

    async fn subscription(&self) -> Subscription {
        on_sasl(self.broker, &topic(self.broker, 1, &[]))
    }

    async fn arrived(&self, subscription: &Subscription, at_least: usize) -> Vec<Arrived> {
        let records = consumed(self.broker, topic_of(subscription), at_least).into_iter();
        let arrived = records.map(|record| Arrived {
            body: record.value.unwrap(),
            headers: record.headers.into_iter().map(|(name, value)| (name, value.unwrap())).collect(),
        });
        arrived.collect()
    }

    async fn ways_to_fail(&self) -> Vec<Way> {
        let broker = self.broker;
        let topic = &topic(broker, 1, &[]);
        let way = |what, subscription, expect, seconds| Way {
            what,
            subscription,
            expect,
            within: Duration::from_secs(seconds),
        };
        let at = |listener, tls: Option<KafkaTls>| with(&broker.bootstrap(listener), topic, plain(USER, PASSWORD), tls);
        let by = |mechanism, username: &str, password| {
            let sasl = SaslAuth { mechanism, username: username.to_owned(), password: domain::Secret::new(password) };
            with(&broker.bootstrap(Listener::Sasl), topic, sasl, None)
        };
        let (ours, stranger) = (broker.tls(), ClientTls::of_a_stranger().unwrap());
        let strange_root = ClientTls { ca_pem: stranger.ca_pem.clone(), ..ours.clone() };
        let other_name = ClientTls { server_name: "other.postrider.test".to_owned(), ..ours.clone() };
        let strange_client = ClientTls { ca_pem: ours.ca_pem.clone(), ..stranger };

        let silent = Endpoint::start(|_, stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        let resets = Endpoint::start(|_, stream| async move {
            stream.readable().await.unwrap();
            stream.set_zero_linger().unwrap();
        })
        .await;
        let closed = format!("127.0.0.1:{}", parts::port::free());

        let forbidden = Expect::Broken(ErrorReason::DestinationForbidden);
        let unauthorized = Expect::Broken(ErrorReason::AuthenticationFailed);
        let certificate = Expect::Failed(ErrorReason::InvalidCertificate);
        vec![
            way(
                "nothing listens",
                kafka::subscription(&closed, topic),
                Expect::Failed(ErrorReason::ConnectionRefused),
                5,
            ),
            way(
                "no answer",
                kafka::subscription(&silent.address.to_string(), topic),
                Expect::Silent(ErrorReason::DestinationTimeout),
                8,
            ),
            way(
                "the connection is reset",
                kafka::subscription(&resets.address.to_string(), topic),
                Expect::Failed(ErrorReason::ConnectionReset),
                8,
            ),
            way("a forbidden address", kafka::subscription("127.0.0.2:9092", topic), forbidden, 5),
            way("another address of this machine is advertised", at(Listener::AdvertisesElsewhere, None), forbidden, 5),
            way("a private address is advertised", at(Listener::AdvertisesPrivate, None), forbidden, 5),
            way("a cloud's metadata are advertised", at(Listener::AdvertisesMetadata, None), forbidden, 5),
            way("wrong password", by(SaslMechanism::Plain, USER, "correct-horse-no"), unauthorized, 5),
            way("wrong user", by(SaslMechanism::Plain, "nobody", PASSWORD), unauthorized, 5),
            way("wrong password, SCRAM", by(SaslMechanism::ScramSha512, SCRAM_USER, "wrong"), unauthorized, 5),
            way(
                "no right to write",
                with(&broker.bootstrap(Listener::Sasl), topic, plain(OUTSIDER, PASSWORD), None),
                Expect::Failed(ErrorReason::PublishRejected),
                5,
            ),
            way("unknown topic", on_sasl(broker, "never-made"), Expect::Broken(ErrorReason::TopicNotFound), 6),
            way("an authority that is not trusted", at(Listener::Tls, Some(tls(&strange_root))), certificate, 5),
            way("another name in the certificate", at(Listener::Tls, Some(tls(&other_name))), certificate, 5),
            way(
                "a client certificate that is not trusted",
                at(Listener::MutualTls, Some(tls(&strange_client))),
                Expect::Failed(ErrorReason::InvalidTlsHandshake),
                8,
            ),
            way(
                "TLS with a listener that does not speak it",
                at(Listener::Sasl, Some(tls(ours))),
                Expect::Failed(ErrorReason::UnexpectedEof),
                8,
            ),
            way(
                "no TLS with a listener that speaks it",
                at(Listener::Tls, None),
                Expect::Failed(ErrorReason::DestinationFailure),
                8,
            ),
        ]
    }

    async fn picky(&self) -> Option<(Subscription, Arc<LoggedEvent>)> {
        let topic = topic(self.broker, 1, &[("max.message.bytes", "20000")]);
        Some((on_sasl(self.broker, &topic), event_of_size(5, "large", 40_000)))
    }

    fn kept(&self) -> usize {
        self.sink.open_clients() + self.sink.open_connections()
    }
}
