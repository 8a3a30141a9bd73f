//! The Kafka sink: ordered batches of records, sent by idempotent producers on clients shared by subscriptions with the
//! same credentials.
//!
//! Within an attempt the producer itself retries for [`KafkaSettings::delivery_timeout`], without loss, duplicates or
//! reordering, so that a broker's restart or a new leader goes unnoticed. Longer outages are left to the lane.

mod batch;
mod connection;
mod outcome;
mod pool;
mod request;
mod tunnel;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::SubscriptionId;
use domain::destination::Destination;
use domain::outcome::Outcome;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wire::envelope::EnvelopeStyle;

use self::batch::Batch;
use self::pool::Pool;
use self::tunnel::Tunnel;
use crate::connect::Connector;
use crate::kept::sweep_often;
use crate::{Delivery, Sink};

/// Allowance between the client's own time limits, all of them together.
const SLACK: Duration = Duration::from_secs(5);

/// Limits of the Kafka sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KafkaSettings {
    /// Time limit for a TCP connection to a broker, and again for TLS and SASL.
    pub connect_timeout: Duration,
    /// Time limit for a client's first exchange with its cluster and a new producer on it.
    pub open_timeout: Duration,
    /// Time after which a topic unknown to its cluster counts as missing.
    pub topic_timeout: Duration,
    /// Time limit for the response to one request. A failed request is sent again.
    pub request_timeout: Duration,
    /// Time for which records are retried before they have failed: longer than a broker's restart or a leader election.
    pub delivery_timeout: Duration,
    /// Idle time after which a subscription's producer is closed, together with its client if that is otherwise unused.
    pub idle_timeout: Duration,
    /// Maximum number of open clients, each with its own brokers and credentials.
    pub clients: usize,
    /// Maximum number of open connections to brokers, for all clients together.
    pub connections: usize,
}

impl Default for KafkaSettings {
    fn default() -> KafkaSettings {
        KafkaSettings {
            connect_timeout: Duration::from_secs(5),
            open_timeout: Duration::from_secs(10),
            topic_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            clients: 1_024,
            connections: 4_096,
        }
    }
}

/// Delivers to Kafka topics.
pub struct KafkaSink {
    inner: Arc<Inner>,
}

struct Inner {
    style: EnvelopeStyle,
    settings: KafkaSettings,
    pool: Pool,
}

impl KafkaSink {
    /// A sink. Must be called within a tokio runtime: tasks carry its connections and close idle ones. Fails if
    /// listening on 127.0.0.1 is impossible.
    pub fn new(connector: Connector, style: EnvelopeStyle, settings: KafkaSettings) -> io::Result<KafkaSink> {
        // Expires before the client gives up a dial, so that the guard's error comes first.
        let dial_timeout = settings.connect_timeout.mul_f64(0.9);
        let tunnel = Tunnel::open(connector, settings.connections, dial_timeout)?;
        let inner = Arc::new(Inner { style, settings, pool: Pool::new(tunnel, settings) });
        sweep_often(&inner, settings.idle_timeout, |inner| inner.pool.sweep());
        Ok(KafkaSink { inner })
    }

    /// Number of open clients, in use or idle.
    pub fn open_clients(&self) -> usize {
        self.inner.pool.open_clients()
    }
}

impl Sink for KafkaSink {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.inner);
        async move { inner.deliver(&delivery).await }.boxed()
    }

    fn forget(&self, id: SubscriptionId) {
        self.inner.pool.forget(id);
    }

    fn open_connections(&self) -> usize {
        self.inner.pool.open_connections()
    }
}

impl Inner {
    async fn deliver(&self, delivery: &Delivery) -> Vec<Outcome> {
        // Records have only the contract's fields, without traces.
        let Delivery { subscription, events, replay, .. } = delivery;
        let Destination::Kafka(destination) = &subscription.destination else {
            return vec![Outcome::Broken(crate::misdirected(&subscription.destination)); events.len()];
        };
        let topic = self.pool.topic(subscription, destination).await;
        let batch = Batch {
            topic: &topic,
            style: &self.style,
            subscription,
            events,
            replay: *replay,
            since: Instant::now(),
            begin_within: self.settings.open_timeout + self.settings.delivery_timeout,
        };
        let mut outcomes = vec![None; events.len()];
        // Every step has its own limit; this one is for unforeseen delays.
        let at_most = batch.begin_within + self.settings.delivery_timeout + SLACK;
        let rest = match tokio::time::timeout(at_most, batch.send(&mut outcomes)).await {
            Ok(Ok(())) => Outcome::Abandoned,
            Ok(Err(stopped)) => stopped,
            Err(_elapsed) => batch.of_silence(),
        };
        topic.touch();
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| rest.clone())).collect()
    }
}
