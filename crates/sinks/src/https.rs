//! The HTTPS sink: one event a request, on connections that each subscription has for itself.

pub(crate) mod connection;
pub(crate) mod outcome;
mod pool;
mod request;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::destination::Destination;
use domain::outcome::{ErrorReason, Failure, Outcome};
use domain::subscription::Subscription;
use domain::trace_parent::TraceParent;
use domain::{Event, SubscriptionId, Timestamp};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use uuid::Uuid;
use wire::envelope::{self, EnvelopeStyle};

pub(crate) use self::request::PRODUCT;

use self::connection::{BodyEnd, Connection, Http2, Slot};
use self::outcome::Stage;
use self::pool::{Lane, Pool};
use self::request::Prepared;
use crate::connect::Connector;
use crate::{Delivery, NO_HTTP_STATUS, Sink, TraceParents};

/// At most this much of an answer is read (contract page 4, HTTPS).
const MAX_ANSWER: usize = 64 * 1024;
/// How often connections that rested too long are looked for, at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Bounds of the HTTPS sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpsSettings {
    /// From the start of an attempt to the end of the response: look-up, connecting and TLS included.
    pub attempt_timeout: Duration,
    /// Requests under way, and so connections open, for one subscription.
    pub connections_per_subscription: usize,
    /// Connections open for all subscriptions together.
    pub connections: usize,
    /// After this long without a request a connection is closed.
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
    pool: Pool,
}

impl HttpsSink {
    /// A sink. Must be called within a tokio runtime: a task closes connections that rested too long.
    pub fn new(connector: Connector, style: EnvelopeStyle, settings: HttpsSettings) -> HttpsSink {
        let inner = Arc::new(Inner { connector, style, settings, pool: Pool::new(settings) });
        let sink = Arc::downgrade(&inner);
        let interval = (settings.idle_timeout / 4).clamp(Duration::from_millis(10), SWEEP_INTERVAL);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(inner) = sink.upgrade() else { return };
                inner.pool.sweep();
            }
        });
        HttpsSink { inner }
    }

    /// Connections that are open, in use or resting.
    pub fn open_connections(&self) -> usize {
        self.inner.pool.open_connections()
    }
}

impl Sink for HttpsSink {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        self.deliver_traced(delivery, TraceParents::new())
    }

    fn deliver_traced(&self, delivery: Delivery, traces: TraceParents) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.inner);
        async move {
            let Delivery { subscription, events } = delivery;
            let traces = traces.into_iter().chain(std::iter::repeat(None));
            let attempts = events.iter().zip(traces);
            join_all(attempts.map(|(event, trace)| inner.deliver(&subscription, &event.event, trace))).await
        }
        .boxed()
    }

    fn forget(&self, id: SubscriptionId) {
        self.inner.pool.forget(id);
    }
}

/// An attempt's request and how far it has come.
struct Outgoing<'a> {
    lane: &'a Lane,
    event: &'a Event,
    body: Bytes,
    /// When it is made, and its id: the same if it has to be sent again on another connection.
    at: Timestamp,
    correlation_id: Uuid,
    trace: Option<TraceParent>,
    progress: Mutex<Progress>,
}

struct Progress {
    stage: Stage,
    /// What a status other than 2xx said: it counts even if the time ends before its body does.
    answered: Option<Outcome>,
}

impl Outgoing<'_> {
    fn enter(&self, stage: Stage) {
        self.progress.lock().stage = stage;
    }
}

/// What came of sending the request on a connection.
enum Exchange {
    /// The attempt is over.
    Ended(Outcome),
    /// The connection had been closed while it rested: the request has to be sent on a new one.
    Stale { slot: Slot, otherwise: Outcome },
}

/// An HTTP/2 connection whose request has not ended well, or not at all within the time: no other attempt uses it.
struct Suspect<'a> {
    lane: &'a Lane,
    http2: Option<Http2>,
}

impl<'a> Suspect<'a> {
    fn new(lane: &'a Lane, connection: &Connection) -> Suspect<'a> {
        let http2 = match connection {
            Connection::Http1(_) => None,
            Connection::Http2(http2) => Some(http2.clone()),
        };
        Suspect { lane, http2 }
    }

    fn clear(&mut self) {
        self.http2 = None;
    }
}

impl Drop for Suspect<'_> {
    fn drop(&mut self) {
        if let Some(http2) = &self.http2 {
            self.lane.discard(http2);
        }
    }
}

impl Inner {
    async fn deliver(&self, subscription: &Subscription, event: &Event, trace: Option<TraceParent>) -> Outcome {
        let lane = match self.lane(subscription) {
            Ok(lane) => lane,
            Err(failure) => return Outcome::Broken(failure),
        };
        // What is waited for here is ours, the 5 s are the destination's. The semaphore is never closed.
        let Ok(_attempt) = lane.attempts.acquire().await else { return Outcome::Abandoned };
        let resting = lane.take();
        let slot = if resting.is_none() { self.pool.slot().await } else { None };

        let prepared = &lane.prepared;
        let body = envelope::body(&self.style, event, &subscription.id, prepared.send_product_identifier);
        let progress = Mutex::new(Progress { stage: Stage::Connecting, answered: None });
        let (at, correlation_id) = (Timestamp::now(), Uuid::new_v4());
        let request = Outgoing { lane: &lane, event, body, at, correlation_id, trace, progress };

        match tokio::time::timeout(self.settings.attempt_timeout, self.attempt(&request, resting, slot)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                let Progress { stage, answered } = request.progress.into_inner();
                let timed_out = || outcome::of_timeout(stage, self.settings.attempt_timeout, &prepared.endpoint);
                answered.unwrap_or_else(timed_out)
            }
        }
    }

    fn lane(&self, subscription: &Subscription) -> Result<Arc<Lane>, Failure> {
        self.pool.lane(subscription.id, subscription.revision, || match &subscription.destination {
            Destination::Https(destination) => Prepared::new(subscription, destination),
            Destination::Pubsub(_) | Destination::Kafka(_) => Err(Failure {
                reason: ErrorReason::InvalidDestinationConfiguration,
                code: NO_HTTP_STATUS,
                message: "the destination is not an HTTPS endpoint".to_owned(),
                answer: None,
            }),
        })
    }

    async fn attempt(&self, request: &Outgoing<'_>, resting: Option<Connection>, slot: Slot) -> Outcome {
        let slot = match resting {
            None => slot,
            Some(connection) => match self.exchange(request, connection, true).await {
                Exchange::Ended(outcome) => return outcome,
                Exchange::Stale { slot: Some(slot), .. } => Some(slot),
                Exchange::Stale { slot: None, .. } => self.pool.slot().await,
            },
        };
        request.enter(Stage::Connecting);
        let connection = match self.connect(request.lane, slot).await {
            Ok(connection) => connection,
            Err(outcome) => return outcome,
        };
        match self.exchange(request, connection, false).await {
            Exchange::Ended(outcome) | Exchange::Stale { otherwise: outcome, .. } => outcome,
        }
    }

    async fn connect(&self, lane: &Lane, slot: Slot) -> Result<Connection, Outcome> {
        let turn = if lane.may_speak_http2() { Some(lane.connecting.lock().await) } else { None };
        // Who had the turn before may have left a connection.
        if turn.is_some()
            && let Some(connection) = lane.take()
        {
            return Ok(connection);
        }
        let Prepared { host, port, security, endpoint, .. } = &lane.prepared;
        let stream = self.connector.connect(host, *port, *security).await;
        let stream = stream.map_err(|error| outcome::of_connect(&error, endpoint))?;
        let connection = Connection::open(stream, slot).await;
        let connection = connection.map_err(|error| outcome::of_lost(&error, Stage::Waiting, endpoint))?;
        lane.opened(&connection);
        Ok(connection)
    }

    /// Sends the request and waits for the answer. A connection that `rested` and is lost before any byte of an answer
    /// was closed by the other side while it rested: nothing is known about the destination then.
    async fn exchange(&self, request: &Outgoing<'_>, mut connection: Connection, rested: bool) -> Exchange {
        let lane = request.lane;
        let endpoint = &lane.prepared.endpoint;
        request.enter(Stage::Waiting);
        let mut suspect = Suspect::new(lane, &connection);
        let Outgoing { event, body, at, correlation_id, trace, .. } = request;
        let message = lane.prepared.request(&connection, event, body, *at, *correlation_id, *trace);
        let answer = match connection.send(message).await {
            Ok(answer) => answer,
            Err(error) => {
                let otherwise = outcome::of_lost(&error, Stage::Waiting, endpoint);
                return match connection {
                    Connection::Http1(http1) if rested && !http1.has_received() => {
                        Exchange::Stale { slot: http1.into_slot(), otherwise }
                    }
                    Connection::Http2(_) if outcome::ended_the_stream_only(&error) => {
                        suspect.clear();
                        Exchange::Ended(otherwise)
                    }
                    Connection::Http2(_) if rested => Exchange::Stale { slot: None, otherwise },
                    Connection::Http1(_) | Connection::Http2(_) => Exchange::Ended(otherwise),
                };
            }
        };
        let (head, body) = answer.into_parts();
        let outcome = outcome::of_answer(head.status, &head.headers);
        let delivered = outcome == Outcome::Delivered;
        *request.progress.lock() = Progress { stage: Stage::Reading, answered: (!delivered).then(|| outcome.clone()) };
        match connection.read(body, MAX_ANSWER, |_| ()).await {
            Ok(BodyEnd::Complete) => {
                suspect.clear();
                match connection {
                    Connection::Http1(http1) => self.pool.give_back(lane, http1),
                    Connection::Http2(http2) if self.pool.is_short_of_places() => lane.discard(&http2),
                    Connection::Http2(_) => (),
                }
                Exchange::Ended(outcome)
            }
            // Only the stream of HTTP/2 is closed, but the connection of HTTP/1.1.
            Ok(BodyEnd::Cut) => {
                suspect.clear();
                Exchange::Ended(outcome)
            }
            Err(error) => {
                if outcome::ended_the_stream_only(&error) {
                    suspect.clear();
                }
                let lost = || outcome::of_lost(&error, Stage::Reading, endpoint);
                Exchange::Ended(if delivered { lost() } else { outcome })
            }
        }
    }
}
