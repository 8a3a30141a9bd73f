//! Connections by subscription: a lane owns the connections of one subscription and configuration, the pool all lanes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::SubscriptionId;
use domain::subscription::Subscription;
use fair::{Holder, Places};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::HttpsSettings;
use super::connection::{Connection, Http1, Http2, Slot};
use super::request::Prepared;

/// A lane without connections that was not used for this long is dropped; it is made again when needed.
const LANE_KEPT: Duration = Duration::from_secs(60);

/// All lanes.
pub(crate) struct Pool {
    lanes: RwLock<HashMap<SubscriptionId, Arc<Lane>>>,
    /// As many places as connections may be open.
    places: Places,
    settings: HttpsSettings,
}

impl Pool {
    pub(crate) fn new(settings: HttpsSettings) -> Pool {
        Pool { lanes: RwLock::default(), places: Places::new(settings.connections as u64), settings }
    }

    /// The lane of a subscription at a revision. A newer revision replaces the lane and closes what it has; an attempt
    /// of an older one, that was on its way meanwhile, gets a lane for itself.
    pub(crate) fn lane<E>(
        &self,
        subscription: &Subscription,
        prepare: impl FnOnce() -> Result<Prepared, E>,
    ) -> Result<Arc<Lane>, E> {
        let Subscription { id, revision, .. } = *subscription;
        if let Some(lane) = self.lanes.read().get(&id).filter(|lane| lane.revision == revision) {
            return Ok(Arc::clone(lane));
        }
        let made = Arc::new(Lane::new(subscription, prepare()?, self.settings.connections_per_subscription));
        let mut lanes = self.lanes.write();
        let replaced = match lanes.get(&id) {
            Some(lane) if lane.revision == revision => return Ok(Arc::clone(lane)),
            Some(lane) if lane.revision > revision => {
                made.retire();
                None
            }
            Some(_) | None => lanes.insert(id, Arc::clone(&made)),
        };
        drop(lanes);
        if let Some(lane) = replaced {
            lane.retire();
        }
        Ok(made)
    }

    /// Closes what is kept for a subscription.
    pub(crate) fn forget(&self, id: SubscriptionId) {
        let lane = self.lanes.write().remove(&id);
        if let Some(lane) = lane {
            lane.retire();
        }
    }

    /// A place for one more connection. Where all are taken, connections that rest make room: first those of PIMs that
    /// hold more than their share, then those that rested longest. Where none rests, this waits for one that ends.
    pub(crate) async fn slot(&self, holder: Holder) -> Slot {
        if let Some(place) = self.places.try_some(holder, 1) {
            return Some(place);
        }
        self.close_resting();
        Some(self.places.one(holder).await)
    }

    /// Keeps a connection for the next attempt, unless somebody waits for its place.
    pub(crate) fn give_back(&self, lane: &Lane, mut http1: Box<Http1>) {
        let holder = http1.holder();
        if !holder.is_some_and(|holder| self.is_short_of_places(holder)) && http1.is_usable() {
            lane.rest(http1);
        }
    }

    /// Whether a connection of `holder` must not rest, because somebody waits for a place that it could have.
    pub(crate) fn is_short_of_places(&self, holder: Holder) -> bool {
        self.places.waiting() > 0 && (self.places.free() == 0 || self.holds_more_than_a_share(holder.pim))
    }

    fn holds_more_than_a_share(&self, pim: u64) -> bool {
        self.places.used_by(pim) > self.places.share()
    }

    /// Closes a sixty-fourth of all connections at once, so that a busy pool does not look at all lanes every time.
    fn close_resting(&self) {
        let mut resting: Vec<(bool, Instant, Arc<Lane>)> = Vec::new();
        let mut greedy: HashMap<u64, bool> = HashMap::new();
        for lane in self.lanes.read().values() {
            let greedy = *greedy.entry(lane.pim).or_insert_with(|| self.holds_more_than_a_share(lane.pim));
            resting.extend(lane.resting_since().into_iter().map(|since| (!greedy, since, Arc::clone(lane))));
        }
        resting.sort_unstable_by_key(|(modest, since, _)| (*modest, *since));
        let room = (self.settings.connections / 64).max(1);
        for (_, _, lane) in resting.into_iter().take(room) {
            lane.close_oldest();
        }
    }

    /// Closes connections that rested for too long and drops lanes that nobody uses.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut unused = Vec::new();
        for (id, lane) in self.lanes.read().iter() {
            if lane.sweep(now, self.settings.idle_timeout) {
                unused.push(*id);
            }
        }
        if unused.is_empty() {
            return;
        }
        let mut lanes = self.lanes.write();
        for id in unused {
            // Who got hold of it meanwhile keeps it.
            if lanes.get(&id).is_some_and(|lane| Arc::strong_count(lane) == 1) {
                lanes.remove(&id);
            }
        }
    }

    /// Connections that are open.
    pub(crate) fn open_connections(&self) -> usize {
        usize::try_from(self.places.used()).unwrap_or(usize::MAX)
    }
}

/// What a subscription's attempts share.
pub(crate) struct Lane {
    revision: u64,
    pim: u64,
    /// What is the same for every request.
    pub(crate) prepared: Prepared,
    /// As many as attempts, and so connections, may be under way at once.
    pub(crate) attempts: Semaphore,
    /// Held while connecting to a server that may speak HTTP/2, so that one connection is made and shared.
    pub(crate) connecting: tokio::sync::Mutex<()>,
    speaks_http1: AtomicBool,
    kept: Mutex<Kept>,
}

struct Kept {
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

impl Lane {
    fn new(subscription: &Subscription, prepared: Prepared, attempts: usize) -> Lane {
        Lane {
            revision: subscription.revision,
            pim: crate::holder(subscription).pim,
            prepared,
            attempts: Semaphore::new(attempts.max(1)),
            connecting: tokio::sync::Mutex::new(()),
            speaks_http1: AtomicBool::new(false),
            kept: Mutex::new(Kept { http1: Vec::new(), http2: None, retired: false, used: Instant::now() }),
        }
    }

    /// A connection that is there already.
    pub(crate) fn take(&self) -> Option<Connection> {
        loop {
            let mut kept = self.kept.lock();
            kept.used = Instant::now();
            if let Some(http2) = &kept.http2 {
                if http2.is_usable() {
                    return Some(Connection::Http2(http2.clone()));
                }
                kept.http2 = None;
            }
            let mut resting = kept.http1.pop()?;
            drop(kept);
            if resting.connection.is_usable() {
                return Some(Connection::Http1(resting.connection));
            }
        }
    }

    /// Whether a new connection may turn out to be one to share.
    pub(crate) fn may_speak_http2(&self) -> bool {
        self.prepared.is_tls() && !self.speaks_http1.load(Ordering::Relaxed)
    }

    /// Takes note of what a new connection speaks, and shares it if possible.
    pub(crate) fn opened(&self, connection: &Connection) {
        match connection {
            Connection::Http1(_) => self.speaks_http1.store(true, Ordering::Relaxed),
            Connection::Http2(http2) => {
                self.speaks_http1.store(false, Ordering::Relaxed);
                let mut kept = self.kept.lock();
                if !kept.retired {
                    kept.http2 = Some(http2.clone());
                }
            }
        }
    }

    /// No new attempt uses this connection.
    pub(crate) fn discard(&self, http2: &Http2) {
        let mut kept = self.kept.lock();
        if kept.http2.as_ref().is_some_and(|shared| shared.is_same(http2)) {
            kept.http2 = None;
        }
    }

    fn rest(&self, connection: Box<Http1>) {
        let since = Instant::now();
        let mut kept = self.kept.lock();
        if !kept.retired {
            kept.http1.push(Resting { connection, since });
        }
    }

    fn retire(&self) {
        let mut kept = self.kept.lock();
        kept.retired = true;
        let closed = (std::mem::take(&mut kept.http1), kept.http2.take());
        drop(kept);
        drop(closed);
    }

    fn resting_since(&self) -> Vec<Instant> {
        let kept = self.kept.lock();
        let http2 = kept.http2.as_ref().filter(|http2| http2.is_idle()).map(|_| kept.used);
        kept.http1.iter().map(|resting| resting.since).chain(http2).collect()
    }

    fn close_oldest(&self) {
        let mut kept = self.kept.lock();
        if kept.http1.is_empty() {
            kept.http2.take_if(|http2| http2.is_idle());
        } else {
            kept.http1.remove(0);
        }
    }

    /// Whether nothing is left and nobody came for a while.
    fn sweep(&self, now: Instant, idle_timeout: Duration) -> bool {
        let mut kept = self.kept.lock();
        kept.http1.retain(|resting| now < resting.since + idle_timeout);
        let rested = now >= kept.used + idle_timeout;
        kept.http2.take_if(|http2| rested && http2.is_idle());
        kept.http1.is_empty() && kept.http2.is_none() && now >= kept.used + LANE_KEPT
    }
}
