//! Connections by subscription: an endpoint owns those of one subscription and configuration, the pool all endpoints.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::SubscriptionId;
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use fair::{Holder, Places};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::HttpsSettings;
use super::connection::{Connection, Http1, Http2, Slot};
use super::request::Prepared;
use crate::kept::{Keep, Kept};

/// Time after which an unused endpoint without connections is dropped; it is recreated when needed.
const ENDPOINT_KEPT: Duration = Duration::from_secs(60);

/// All endpoints.
pub(crate) struct Pool {
    endpoints: Kept<Endpoint>,
    /// One slot per connection that may be open.
    places: Places,
    settings: HttpsSettings,
}

impl Pool {
    pub(crate) fn new(settings: HttpsSettings) -> Pool {
        Pool { endpoints: Kept::default(), places: Places::new(settings.connections as u64), settings }
    }

    /// The endpoint of a subscription at its revision.
    pub(crate) fn endpoint<E>(
        &self,
        subscription: &Subscription,
        prepare: impl FnOnce() -> Result<Prepared, E>,
    ) -> Result<Arc<Endpoint>, E> {
        let Subscription { id, revision, .. } = *subscription;
        if let Some(endpoint) = self.endpoints.get(id, revision) {
            return Ok(endpoint);
        }
        let made = Endpoint::new(subscription, prepare()?, self.settings.connections_per_subscription);
        Ok(self.endpoints.put(id, revision, made))
    }

    /// Closes the connections of a subscription.
    pub(crate) fn forget(&self, id: SubscriptionId) {
        self.endpoints.forget(id);
    }

    /// A slot for one more connection. If all are taken, idle connections are closed: first those of PIMs above their
    /// share, then those idle longest. If none is idle, this waits for one that ends.
    pub(crate) async fn slot(&self, holder: Holder) -> Slot {
        if let Some(place) = self.places.try_some(holder, 1) {
            return Some(place);
        }
        self.close_resting();
        Some(self.places.one(holder).await)
    }

    /// Keeps a connection for the next attempt, unless another holder waits for its slot.
    pub(crate) fn give_back(&self, endpoint: &Endpoint, mut http1: Box<Http1>) {
        let holder = http1.holder();
        if !holder.is_some_and(|holder| self.is_short_of_places(holder)) && http1.is_usable() {
            endpoint.rest(http1);
        }
    }

    /// Whether a connection of `holder` must not stay idle, because another holder waits for a slot that it could have.
    pub(crate) fn is_short_of_places(&self, holder: Holder) -> bool {
        self.places.waiting() > 0 && (self.places.free() == 0 || self.holds_more_than_a_share(holder.pim))
    }

    fn holds_more_than_a_share(&self, pim: u64) -> bool {
        self.places.used_by(pim) > self.places.share()
    }

    /// Closes a sixty-fourth of all connections at once, so that a busy pool doesn't search all endpoints every time.
    fn close_resting(&self) {
        let mut resting: Vec<(bool, Instant, Arc<Endpoint>)> = Vec::new();
        let mut greedy: HashMap<u64, bool> = HashMap::new();
        self.endpoints.each(|endpoint| {
            let pim = endpoint.pim;
            let greedy = *greedy.entry(pim).or_insert_with(|| self.holds_more_than_a_share(pim));
            resting.extend(endpoint.resting_since().into_iter().map(|since| (!greedy, since, Arc::clone(endpoint))));
        });
        resting.sort_unstable_by_key(|(modest, since, _)| (*modest, *since));
        let room = (self.settings.connections / 64).max(1);
        for (_, _, endpoint) in resting.into_iter().take(room) {
            endpoint.close_oldest();
        }
    }

    /// Closes connections that were idle for too long and drops unused endpoints.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.endpoints.sweep(|endpoint| endpoint.sweep(now, self.settings.idle_timeout));
    }

    /// Number of open connections.
    pub(crate) fn open_connections(&self) -> usize {
        usize::try_from(self.places.used()).unwrap_or(usize::MAX)
    }
}

/// State shared by a subscription's attempts.
pub(crate) struct Endpoint {
    pim: u64,
    /// The constant parts of every request.
    pub(crate) prepared: Prepared,
    /// One permit per in-flight attempt, and therefore per connection.
    pub(crate) attempts: Semaphore,
    /// Held while waiting for the slot of a connection that may be shared: one slot is enough for all attempts.
    pub(crate) entering: tokio::sync::Mutex<()>,
    /// Held from then until a server that may speak HTTP/2 is connected, so that a single connection is made and
    /// shared.
    pub(crate) connecting: tokio::sync::Mutex<()>,
    /// Why the last attempt to open a connection to share failed: those who waited for it have the same outcome.
    pub(crate) not_opened: Mutex<Option<Outcome>>,
    speaks_http1: AtomicBool,
    open: Mutex<Open>,
}

struct Open {
    /// The most recently used one last.
    http1: Vec<Resting>,
    http2: Option<Http2>,
    retired: bool,
    used: Instant,
}

struct Resting {
    connection: Box<Http1>,
    since: Instant,
}

impl Endpoint {
    fn new(subscription: &Subscription, prepared: Prepared, attempts: usize) -> Endpoint {
        Endpoint {
            pim: crate::holder(subscription).pim,
            prepared,
            attempts: Semaphore::new(attempts.max(1)),
            entering: tokio::sync::Mutex::new(()),
            connecting: tokio::sync::Mutex::new(()),
            not_opened: Mutex::new(None),
            speaks_http1: AtomicBool::new(false),
            open: Mutex::new(Open { http1: Vec::new(), http2: None, retired: false, used: Instant::now() }),
        }
    }

    /// An existing connection.
    pub(crate) fn take(&self) -> Option<Connection> {
        loop {
            let mut open = self.open.lock();
            open.used = Instant::now();
            if let Some(http2) = &open.http2 {
                if http2.is_usable() {
                    return Some(Connection::Http2(http2.clone()));
                }
                open.http2 = None;
            }
            let mut resting = open.http1.pop()?;
            drop(open);
            if resting.connection.is_usable() {
                return Some(Connection::Http1(resting.connection));
            }
        }
    }

    /// Whether a new connection may turn out to be shareable.
    pub(crate) fn may_speak_http2(&self) -> bool {
        self.prepared.is_tls() && !self.speaks_http1.load(Ordering::Relaxed)
    }

    /// Records the protocol of a new connection, and shares it if possible.
    pub(crate) fn opened(&self, connection: &Connection) {
        match connection {
            Connection::Http1(_) => self.speaks_http1.store(true, Ordering::Relaxed),
            Connection::Http2(http2) => {
                self.speaks_http1.store(false, Ordering::Relaxed);
                let mut open = self.open.lock();
                if !open.retired {
                    open.http2 = Some(http2.clone());
                }
            }
        }
    }

    /// Excludes a connection from new attempts.
    pub(crate) fn discard(&self, http2: &Http2) {
        let mut open = self.open.lock();
        if open.http2.as_ref().is_some_and(|shared| shared.is_same(http2)) {
            open.http2 = None;
        }
    }

    fn rest(&self, connection: Box<Http1>) {
        let since = Instant::now();
        let mut open = self.open.lock();
        if !open.retired {
            open.http1.push(Resting { connection, since });
        }
    }

    fn resting_since(&self) -> Vec<Instant> {
        let open = self.open.lock();
        let http2 = open.http2.as_ref().filter(|http2| http2.is_idle()).map(|_| open.used);
        open.http1.iter().map(|resting| resting.since).chain(http2).collect()
    }

    fn close_oldest(&self) {
        let mut open = self.open.lock();
        if open.http1.is_empty() {
            open.http2.take_if(|http2| http2.is_idle());
        } else {
            open.http1.remove(0);
        }
    }

    /// Closes idle connections; returns whether none is left and it was unused for a while.
    fn sweep(&self, now: Instant, idle_timeout: Duration) -> bool {
        let mut open = self.open.lock();
        open.http1.retain(|resting| now < resting.since + idle_timeout);
        let rested = now >= open.used + idle_timeout;
        open.http2.take_if(|http2| rested && http2.is_idle());
        open.http1.is_empty() && open.http2.is_none() && now >= open.used + ENDPOINT_KEPT
    }
}

impl Keep for Endpoint {
    /// Closes idle connections; an attempt in flight closes its own at its end.
    fn retire(&self) {
        let mut open = self.open.lock();
        open.retired = true;
        let closed = (std::mem::take(&mut open.http1), open.http2.take());
        drop(open);
        drop(closed);
    }
}
