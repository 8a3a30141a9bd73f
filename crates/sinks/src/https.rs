//! The HTTPS sink: one event per request, on connections owned by each subscription.

mod answer;
pub(crate) mod connection;
mod frames;
mod heads;
pub(crate) mod lost;
pub(crate) mod outcome;
mod pool;
mod post;
mod request;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use domain::destination::Destination;
use domain::outcome::{Answer, Failure, Outcome};
use domain::subscription::Subscription;
use domain::{Clock, Event, LoggedEvent, SubscriptionId};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use uuid::{Builder, Uuid};
use wire::envelope::{self, EnvelopeStyle};

pub(crate) use self::request::PRODUCT;

use self::pool::{Endpoint, Pool};
use self::post::Post;
use self::request::{Marks, Prepared};
use crate::connect::Connector;
use crate::kept::sweep_often;
use crate::{Delivery, Sink};

/// Limits of the HTTPS sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpsSettings {
    /// Time limit of an attempt, from its start to the end of the response: look-up, connecting and TLS included.
    pub attempt_timeout: Duration,
    /// In-flight requests, and therefore open connections, per subscription.
    pub connections_per_subscription: usize,
    /// Open connections of all subscriptions together.
    pub connections: usize,
    /// Idle time after which a connection is closed.
    pub idle_timeout: Duration,
}

impl Default for HttpsSettings {
    fn default() -> HttpsSettings {
        HttpsSettings {
            // Contract page 4, HTTPS.
            attempt_timeout: Duration::from_secs(5),
            connections_per_subscription: 64,
            connections: 4_096,
            // Less than the time after which common servers and load balancers close on their side (60 s).
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Delivers to HTTPS endpoints.
pub struct HttpsSink {
    inner: Arc<Inner>,
}

struct Inner {
    connector: Connector,
    style: EnvelopeStyle,
    settings: HttpsSettings,
    clock: Clock,
    pool: Pool,
}

impl HttpsSink {
    /// A sink. Must be called within a tokio runtime: a task closes idle connections.
    pub fn new(connector: Connector, style: EnvelopeStyle, settings: HttpsSettings, clock: Clock) -> HttpsSink {
        let inner = Arc::new(Inner { connector, style, settings, clock, pool: Pool::new(settings) });
        sweep_often(&inner, settings.idle_timeout, |inner| inner.pool.sweep());
        HttpsSink { inner }
    }
}

impl Sink for HttpsSink {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.inner);
        async move {
            let Delivery { subscription, events, replay, traces, answers } = delivery;
            let traces = traces.into_iter().chain(std::iter::repeat(None));
            let attempts = events.iter().zip(traces.map(|trace| Marks { replay, trace })).enumerate();
            let deliver = async |(place, (event, marks)): (usize, (&Arc<LoggedEvent>, _))| {
                let (outcome, answer) = inner.deliver(&subscription, &event.event, marks).await;
                if let Some(answer) = answer {
                    answers.put(place, answer);
                }
                outcome
            };
            let mut attempts = attempts;
            match (events.len(), attempts.next()) {
                // The usual case needs no list of attempts.
                (1, Some(only)) => vec![deliver(only).await],
                (_, first) => join_all(first.into_iter().chain(attempts).map(deliver)).await,
            }
        }
        .boxed()
    }

    fn forget(&self, id: SubscriptionId) {
        self.inner.pool.forget(id);
    }

    fn open_connections(&self) -> usize {
        self.inner.pool.open_connections()
    }
}

impl Inner {
    /// The outcome, and the response if the outcome doesn't contain it.
    async fn deliver(&self, subscription: &Subscription, event: &Event, marks: Marks) -> (Outcome, Option<Answer>) {
        let endpoint = match self.endpoint(subscription) {
            Ok(endpoint) => endpoint,
            Err(failure) => return (Outcome::Broken(failure), None),
        };
        // The semaphore is never closed.
        let Ok(_attempt) = endpoint.attempts.acquire().await else { return (Outcome::Abandoned, None) };
        let post = Post {
            connector: &self.connector,
            pool: &self.pool,
            endpoint: &endpoint,
            holder: crate::holder(subscription),
            event,
            body: envelope::body(&self.style, event, &subscription.id, endpoint.prepared.send_product_identifier),
            at: self.clock.wall(),
            clock: &self.clock,
            correlation_id: correlation_id(),
            marks,
            limit: self.settings.attempt_timeout,
            progress: Mutex::default(),
        };
        post.send().await
    }

    fn endpoint(&self, subscription: &Subscription) -> Result<Arc<Endpoint>, Failure> {
        self.pool.endpoint(subscription, || match &subscription.destination {
            Destination::Https(destination) => Prepared::new(subscription, destination),
            other => Err(crate::misdirected(other)),
        })
    }
}

/// A random id, without the system call of [`Uuid::new_v4`]: the keys of a [`RandomState`] are random, and differ from
/// those of any other.
fn correlation_id() -> Uuid {
    let random = || RandomState::new().build_hasher().finish();
    let bits = u128::from(random()) << 64 | u128::from(random());
    Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Version;

    use super::*;

    #[test]
    fn correlation_ids_are_random_and_of_version_4() {
        let ids: HashSet<Uuid> = (0..1_000).map(|_| correlation_id()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.get_version() == Some(Version::Random)));
        // Each bit but those of version and variant takes both values.
        let (all, any) = ids.iter().fold((u128::MAX, 0), |(all, any), id| (all & id.as_u128(), any | id.as_u128()));
        assert_eq!((all.count_ones(), any.count_zeros()), (2, 4));
    }
}
