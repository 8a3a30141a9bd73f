//! A topic of a real Kafka broker, and krafka alone.

use std::time::Instant;

use anyhow::Context;
use domain::Secret;
use domain::destination::{CustomHeaders, Destination, KafkaDestination, SaslAuth, SaslMechanism};
use krafka::admin::{AdminClient, ListOffsetsOptions, OffsetSpec, TopicPartition};
use krafka::auth::AuthConfig;
use krafka::{Compression, Kafka, Record};
use parts::kafka::{Broker, Listener, PASSWORD, USER};

use crate::sample::Samples;
use crate::topic::{Place, Topic};

const TOPIC: &str = "bench";

/// The topic and its broker.
pub(crate) struct KafkaTopic {
    broker: Broker,
    kafka: Kafka,
    admin: AdminClient,
}

impl KafkaTopic {
    /// Starts a broker; `None` if not available.
    pub(crate) async fn start() -> anyhow::Result<Option<KafkaTopic>> {
        let started = tokio::task::spawn_blocking(|| {
            let broker = Broker::start()?;
            broker.create_topic(TOPIC, 1, &[])?;
            anyhow::Ok(broker)
        });
        let broker = match started.await? {
            Ok(broker) => broker,
            Err(error) => {
                parts::left_out("Apache Kafka", &error);
                return Ok(None);
            }
        };
        let builder = Kafka::builder(broker.bootstrap(Listener::Sasl));
        let kafka = builder.security(AuthConfig::sasl_plain(USER, PASSWORD)).connect().await?;
        let admin = kafka.admin();
        Ok(Some(KafkaTopic { broker, kafka, admin }))
    }
}

impl Topic for KafkaTopic {
    fn place(&self) -> Place {
        let destination = KafkaDestination {
            brokers: vec![self.broker.bootstrap(Listener::Sasl)],
            topic: TOPIC.to_owned(),
            sasl: SaslAuth {
                mechanism: SaslMechanism::Plain,
                username: USER.to_owned(),
                password: Secret::new(PASSWORD),
            },
            tls: None,
            headers: CustomHeaders(Vec::new()),
        };
        Place { destination: Destination::Kafka(destination), variable: None }
    }

    async fn events(&self) -> anyhow::Result<u64> {
        let asked = [(TopicPartition::new(TOPIC, 0), OffsetSpec::Latest)];
        let answer = self.admin.list_offsets(asked, ListOffsetsOptions::default()).await?;
        let (_, end) = answer.into_iter().next().context("the broker did not report the topic")?;
        Ok(u64::try_from(end?.offset)?)
    }

    /// With the same compression, and large batches.
    async fn bare_client(&self, samples: &Samples, events: u64) -> anyhow::Result<f64> {
        let producer = self.kafka.producer().idempotent(true).compression(Compression::Lz4).batch_size(900 * 1024);
        let producer = producer.build().await?;
        let first = samples.take(usize::try_from(events)?);
        let start = Instant::now();
        let mut waiting = Vec::new();
        for number in first..first + events {
            let record = Record::new(TOPIC, samples.event(number)).key("product 4a40cffc-a02d-5dd1-877c-5876596015f4");
            let record = record.header("content-type", &b"application/cloudevents+json"[..]);
            waiting.push(producer.enqueue(record).await?);
        }
        for handle in waiting {
            _ = handle.await?;
        }
        let took = start.elapsed();
        producer.close().await?;
        Ok(events as f64 / took.as_secs_f64())
    }
}
