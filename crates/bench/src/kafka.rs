//! A topic of a real Kafka broker on this machine, and the bare client that the platform's deliveries are held against.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use krafka::admin::{AdminClient, ListOffsetsOptions, OffsetSpec, TopicPartition};
use krafka::auth::AuthConfig;
use krafka::{Compression, Kafka, Record};
use parts::kafka::{Broker, Listener, PASSWORD, USER};

use crate::sample::Samples;

const TOPIC: &str = "bench";
/// What is not there by then is lost.
const ARRIVES_WITHIN: Duration = Duration::from_secs(120);

/// The topic, and the broker that has it.
pub(crate) struct Topic {
    broker: Broker,
    kafka: Kafka,
    admin: AdminClient,
}

impl Topic {
    /// Starts a broker; none where it cannot be had.
    pub(crate) async fn start() -> anyhow::Result<Option<Topic>> {
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
        Ok(Some(Topic { broker, kafka, admin }))
    }

    /// Broker and topic for a subscription.
    pub(crate) fn destination(&self) -> (String, String) {
        (self.broker.bootstrap(Listener::Sasl), TOPIC.to_owned())
    }

    /// Records in it.
    pub(crate) async fn records(&self) -> anyhow::Result<u64> {
        let asked = [(TopicPartition::new(TOPIC, 0), OffsetSpec::Latest)];
        let answer = self.admin.list_offsets(asked, ListOffsetsOptions::default()).await?;
        let (_, end) = answer.into_iter().next().context("the broker says nothing of the topic")?;
        Ok(u64::try_from(end?.offset)?)
    }

    /// Waits until it has so many.
    pub(crate) async fn wait_for(&self, records: u64) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let there = self.records().await?;
            if there >= records {
                return Ok(());
            }
            if start.elapsed() > ARRIVES_WITHIN {
                bail!("{there} of {records} records have arrived after {} s", ARRIVES_WITHIN.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Events a second of the client alone, as fast as it goes: the same guarantees, the same compression, large batches.
    pub(crate) async fn bare_client(&self, samples: &Samples, events: u64) -> anyhow::Result<f64> {
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
