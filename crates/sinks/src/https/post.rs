//! One attempt at one event: a request, sent on an existing or new connection, and sent again if the server reports it
//! as unprocessed.
//!
//! The time of an attempt is the destination's. Waiting on the platform's side, for a connection's or look-up's slot,
//! is not included.

use std::time::Duration;

use bytes::Bytes;
use domain::outcome::{Answer, Lack, Outcome};
use domain::{Clock, Event, Timestamp};
use fair::Holder;
use parking_lot::Mutex;
use tokio::sync::MutexGuard;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::answer::Seen;
use super::connection::{BodyEnd, Connection, Http2, Slot};
use super::lost::{Fate, Lost};
use super::outcome::{self, Stage};
use super::pool::{Endpoint, Pool};
use super::request::{Marks, Prepared};
use crate::connect::{Admitted, Connector};

/// Maximum size of a response (contract page 4, HTTPS).
const MAX_ANSWER: usize = 64 * 1024;
/// Maximum number of immediate resends of an unprocessed request.
const SENT_AGAIN: u32 = 3;
/// An attempt that ends this long after its limit was not watched: the process slept, or the machine did.
const SLEPT: Duration = Duration::from_secs(2);

/// A request and its progress.
pub(super) struct Post<'a> {
    pub(super) connector: &'a Connector,
    pub(super) pool: &'a Pool,
    pub(super) endpoint: &'a Endpoint,
    pub(super) holder: Holder,
    pub(super) event: &'a Event,
    pub(super) body: Bytes,
    /// Its time and id: the same if it has to be sent again on another connection.
    pub(super) at: Timestamp,
    pub(super) clock: &'a Clock,
    pub(super) correlation_id: Uuid,
    pub(super) marks: Marks,
    pub(super) limit: Duration,
    pub(super) progress: Mutex<Progress>,
}

/// Progress of a request.
#[derive(Default)]
pub(super) struct Progress {
    stage: Stage,
    /// Outcome of a status other than 2xx: it counts even if the time ends before its body does.
    answered: Option<Outcome>,
    seen: Option<Seen>,
}

/// Means of sending a request.
enum Way<'a> {
    Existing(Connection),
    /// On a new connection; `turn` if others wait for it in order to share it.
    New {
        turn: Option<MutexGuard<'a, ()>>,
        slot: Slot,
        admitted: Admitted,
    },
    /// On the connection that another attempt is opening.
    Join,
}

/// Result of sending the request on a connection.
enum Tried {
    /// The attempt is over.
    Ended(Outcome),
    /// The connection was closed while idle: the request has to be sent on a new one.
    NotSent(Slot),
    /// There was nothing to share in the end.
    NotJoined,
    /// The server has not processed the request: it may be sent on another connection.
    NotProcessed(Outcome),
}

impl Post<'_> {
    /// Sends it. Returns the outcome, and the response if the outcome doesn't contain it.
    pub(super) async fn send(self) -> (Outcome, Option<Answer>) {
        let (outcome, slept) = self.send_until_processed().await;
        let Progress { seen, .. } = self.progress.into_inner();
        match seen {
            Some(seen) if outcome == Outcome::Delivered => (outcome, Some(seen.status_only())),
            Some(seen) => seen.attach(outcome, &self.endpoint.prepared.secrets(self.event, &self.body, self.at)),
            None if slept && outcome != Outcome::Delivered => (Outcome::Ours(Lack::Clock), None),
            None => (outcome, None),
        }
    }

    /// The outcome, and whether the timeout was not watched.
    async fn send_until_processed(&self) -> (Outcome, bool) {
        let mut left = self.limit;
        let mut sent_again = 0;
        let mut way = match self.endpoint.take() {
            Some(connection) => Way::Existing(connection),
            None => self.new_way(None, false).await,
        };
        loop {
            *self.progress.lock() = Progress::default();
            let begun = Instant::now();
            let tried = timeout(left, self.send_on(way, left)).await;
            let took = begun.elapsed();
            let slept = took > left + SLEPT;
            left = left.saturating_sub(took);
            way = match tried {
                Err(_elapsed) => return (self.of_timeout(), slept),
                Ok(Tried::Ended(outcome)) => return (outcome, slept),
                Ok(Tried::NotProcessed(outcome)) if sent_again == SENT_AGAIN => return (outcome, slept),
                Ok(Tried::NotProcessed(_)) => {
                    sent_again += 1;
                    self.new_way(None, false).await
                }
                Ok(Tried::NotSent(slot)) => self.new_way(slot, false).await,
                Ok(Tried::NotJoined) => self.new_way(None, true).await,
            };
        }
    }

    /// Waits until a new connection may be made, or joins the attempt that makes one to share; one that has `joined` in
    /// vain makes its own.
    async fn new_way(&self, slot: Slot, joined: bool) -> Way<'_> {
        let endpoint = self.endpoint;
        let mut entering = None;
        let mut turn = None;
        if endpoint.may_speak_http2() {
            entering = Some(endpoint.entering.lock().await);
            if let Some(connection) = endpoint.take() {
                return Way::Existing(connection);
            }
            // The attempt before may have found out that there is nothing to share.
            if endpoint.may_speak_http2() {
                turn = match endpoint.connecting.try_lock() {
                    Ok(free) => Some(free),
                    Err(_) if joined => {
                        let free = endpoint.connecting.lock().await;
                        if let Some(connection) = endpoint.take() {
                            return Way::Existing(connection);
                        }
                        Some(free)
                    }
                    Err(_) => return Way::Join,
                };
            } else {
                entering = None;
            }
        }
        let slot = match slot {
            Some(slot) => Some(slot),
            None => self.pool.slot(self.holder).await,
        };
        let admitted = self.connector.admit(&endpoint.prepared.host, self.holder).await;
        drop(entering);
        Way::New { turn, slot, admitted }
    }

    fn of_timeout(&self) -> Outcome {
        let Progress { stage, answered, .. } = &*self.progress.lock();
        let timed_out = || outcome::of_timeout(*stage, self.limit, &self.endpoint.prepared.name);
        answered.clone().unwrap_or_else(timed_out)
    }

    /// Sends it within the time that is `left`.
    async fn send_on(&self, way: Way<'_>, left: Duration) -> Tried {
        match way {
            Way::Existing(connection) => self.send_over(connection, true).await,
            Way::New { turn, slot, admitted } => {
                let share = |failure: Option<Outcome>| {
                    if turn.is_some() {
                        *self.endpoint.not_opened.lock() = failure;
                    }
                };
                // For the case that this attempt is cut off. Attempts that wait for it share the timeout only if it
                // lasted for a whole limit; otherwise they connect in turn.
                let timed_out = || outcome::of_timeout(Stage::Connecting, self.limit, &self.endpoint.prepared.name);
                share((left == self.limit).then(timed_out));
                let connected = self.connect(slot, admitted).await;
                share(connected.as_ref().err().cloned());
                drop(turn);
                match connected {
                    Ok(connection) => self.send_over(connection, false).await,
                    Err(outcome) => Tried::Ended(outcome),
                }
            }
            Way::Join => {
                drop(self.endpoint.connecting.lock().await);
                if let Some(connection) = self.endpoint.take() {
                    return self.send_over(connection, true).await;
                }
                let not_opened = self.endpoint.not_opened.lock().clone();
                not_opened.map_or(Tried::NotJoined, Tried::Ended)
            }
        }
    }

    async fn connect(&self, slot: Slot, admitted: Admitted) -> Result<Connection, Outcome> {
        let endpoint = self.endpoint;
        let Prepared { port, security, name, .. } = &endpoint.prepared;
        let stream = self.connector.connect_admitted(admitted, *port, *security).await;
        let stream = stream.map_err(|error| outcome::of_connect(&error, name))?;
        let connection = Connection::open(stream, slot).await;
        let connection = connection.map_err(|lost| outcome::of_lost(&lost, Stage::Connecting, name))?;
        endpoint.opened(&connection);
        Ok(connection)
    }

    /// Sends the request and waits for the response. A connection that `rested` and is lost before any byte of a
    /// response was closed by the other side while idle: this says nothing about the destination.
    async fn send_over(&self, mut connection: Connection, rested: bool) -> Tried {
        let endpoint = self.endpoint;
        self.progress.lock().stage = Stage::Waiting;
        let mut suspect = Suspect::new(endpoint, &connection);
        let Post { event, body, at, correlation_id, marks, .. } = self;
        let message = endpoint.prepared.request(&connection, event, body, *at, *correlation_id, *marks);
        let answer = match connection.send(message).await {
            Ok(answer) => answer,
            Err(lost) => {
                let tried = self.unanswered(&lost, connection, rested);
                // A connection that refuses one stream may refuse the next, so the next one goes elsewhere.
                if lost.stream_only && !matches!(tried, Tried::NotProcessed(_)) {
                    suspect.clear();
                }
                return tried;
            }
        };
        let (head, body) = answer.into_parts();
        let outcome = outcome::of_answer(head.status, &head.headers, self.clock.wall());
        let delivered = outcome == Outcome::Delivered;
        *self.progress.lock() = Progress {
            stage: Stage::Reading,
            answered: (!delivered).then(|| outcome.clone()),
            seen: Some(Seen::new(&head, endpoint.prepared.longest_secret())),
        };
        let keep = |part: &Bytes| {
            if let Some(seen) = &mut self.progress.lock().seen {
                seen.take(part);
            }
        };
        match connection.read(body, MAX_ANSWER, keep).await {
            Ok(BodyEnd::Complete) => {
                suspect.clear();
                self.give_back(connection);
                Tried::Ended(outcome)
            }
            // For HTTP/2 only the stream is closed, for HTTP/1.1 the connection.
            Ok(BodyEnd::Cut) => {
                suspect.clear();
                Tried::Ended(outcome)
            }
            Err(lost) => {
                if lost.stream_only {
                    suspect.clear();
                }
                let of_lost = || outcome::of_lost(&lost, Stage::Reading, &endpoint.prepared.name);
                Tried::Ended(if delivered { of_lost() } else { outcome })
            }
        }
    }

    /// Handles a missing response.
    fn unanswered(&self, lost: &Lost, connection: Connection, rested: bool) -> Tried {
        let outcome = outcome::of_lost(lost, Stage::Waiting, &self.endpoint.prepared.name);
        match connection {
            _ if lost.fate == Fate::NotProcessed => Tried::NotProcessed(outcome),
            Connection::Http1(http1) if rested && !http1.has_received() => Tried::NotSent(http1.into_slot()),
            // After a GOAWAY, the server has processed all requests up to the one named in it.
            Connection::Http2(http2) if rested && !lost.stream_only && !http2.has_said_goodbye() => {
                Tried::NotSent(None)
            }
            Connection::Http1(_) | Connection::Http2(_) => Tried::Ended(outcome),
        }
    }

    fn give_back(&self, connection: Connection) {
        match connection {
            Connection::Http1(http1) => self.pool.give_back(self.endpoint, http1),
            Connection::Http2(http2) if self.pool.is_short_of_places(self.holder) => self.endpoint.discard(&http2),
            Connection::Http2(_) => (),
        }
    }
}

/// An HTTP/2 connection whose request failed or timed out: no other attempt uses it.
struct Suspect<'a> {
    endpoint: &'a Endpoint,
    http2: Option<Http2>,
}

impl<'a> Suspect<'a> {
    fn new(endpoint: &'a Endpoint, connection: &Connection) -> Suspect<'a> {
        let http2 = match connection {
            Connection::Http1(_) => None,
            Connection::Http2(http2) => Some(http2.clone()),
        };
        Suspect { endpoint, http2 }
    }

    fn clear(&mut self) {
        self.http2 = None;
    }
}

impl Drop for Suspect<'_> {
    fn drop(&mut self) {
        if let Some(http2) = &self.http2 {
            self.endpoint.discard(http2);
        }
    }
}
