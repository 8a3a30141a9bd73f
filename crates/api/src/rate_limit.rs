//! Rate limits: token buckets in bounded tables, and the limits of management requests per (tenant, client), PIM and
//! address.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use domain::PimId;
use domain::subscriber::Owner;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::origin::Origin;

/// Maximum number of buckets; full ones are redundant and removed first.
const MAX_BUCKETS: usize = 10_000;
/// A PIM's limit in multiples of a client's limit, because anyone can invent client ids.
const CLIENTS_OF_A_PIM: f64 = 5.0;
/// An address's limit in multiples of a client's limit; clients of several PIMs may share an address.
const CLIENTS_OF_AN_ADDRESS: f64 = 10.0;

/// Rate per second, and burst.
pub(crate) type Rate = (f64, f64);

/// One bucket per key.
pub(crate) struct Buckets<K>(Mutex<HashMap<K, Bucket>>);

impl<K> Default for Buckets<K> {
    fn default() -> Buckets<K> {
        Buckets(Mutex::default())
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn filled(self, (per_second, at_once): Rate, now: Instant) -> Bucket {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * per_second;
        Bucket { tokens: (self.tokens + gained).min(at_once), at: now }
    }

    /// Time until a token is available.
    fn wait(self, (per_second, _): Rate) -> Option<Duration> {
        (self.tokens < 1.0).then(|| Duration::from_secs_f64((1.0 - self.tokens) / per_second))
    }
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// Time until a token is available; `None` if there is one.
    pub(crate) fn wait(&self, key: &K, rate: Rate, now: Instant) -> Option<Duration> {
        self.0.lock().get(key)?.filled(rate, now).wait(rate)
    }

    /// Takes a token, even if none is available.
    pub(crate) fn charge(&self, key: K, rate: Rate, now: Instant) {
        let mut buckets = self.0.lock();
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| bucket.filled(rate, now).tokens < rate.1);
            if buckets.len() >= MAX_BUCKETS
                && let Some(any) = buckets.keys().next().cloned()
            {
                buckets.remove(&any);
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: rate.1, at: now });
        *bucket = bucket.filled(rate, now);
        bucket.tokens = (bucket.tokens - 1.0).max(0.0);
    }
}

/// Limits of management requests.
pub(crate) struct RateLimit {
    per_second: f64,
    clients: Buckets<Owner>,
    pims: Buckets<PimId>,
    addresses: Buckets<Origin>,
}

/// The exceeded limit, and the time until the next request is allowed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct TooFast {
    pub(crate) who: &'static str,
    pub(crate) per_second: f64,
    pub(crate) wait: Duration,
}

impl RateLimit {
    /// Allows each client `per_second` requests, and a PIM and an address a multiple of that.
    pub(crate) fn new(per_second: u32) -> RateLimit {
        RateLimit {
            per_second: f64::from(per_second.max(1)),
            clients: Buckets::default(),
            pims: Buckets::default(),
            addresses: Buckets::default(),
        }
    }

    /// Takes a token of the address, before the request is authenticated.
    pub(crate) fn come(&self, origin: Origin, now: Instant) -> Result<(), TooFast> {
        let per_second = self.per_second * CLIENTS_OF_AN_ADDRESS;
        let rate = (per_second, per_second);
        if let Some(wait) = self.addresses.wait(&origin, rate, now) {
            return Err(TooFast { who: "this address", per_second, wait });
        }
        self.addresses.charge(origin, rate, now);
        Ok(())
    }

    /// Takes a token of the client and one of its PIM, or none.
    pub(crate) fn take(&self, owner: &Owner, now: Instant) -> Result<(), TooFast> {
        let (of_client, of_pim) = (self.per_second, self.per_second * CLIENTS_OF_A_PIM);
        let (client, pim) = ((of_client, of_client), (of_pim, of_pim));
        if let Some(wait) = self.clients.wait(owner, client, now) {
            return Err(TooFast { who: "this client", per_second: of_client, wait });
        }
        if let Some(wait) = self.pims.wait(&owner.pim, pim, now) {
            return Err(TooFast { who: "the clients of this PIM", per_second: of_pim, wait });
        }
        self.clients.charge(owner.clone(), client, now);
        self.pims.charge(owner.pim, pim, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::ClientId;

    use super::*;

    fn owner(pim: u32, client: &str) -> Owner {
        Owner { pim: PimId(pim), client_id: ClientId(client.into()) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_at_once_then_a_hundred_per_second() {
        let limit = RateLimit::new(100);
        let app = owner(1, "app");
        let start = Instant::now();
        assert_eq!((0..150).filter(|_| limit.take(&app, start).is_ok()).count(), 100);
        assert_eq!(limit.take(&app, start).map_err(|fast| fast.wait), Err(Duration::from_millis(10)));
        assert!(limit.take(&app, start + Duration::from_millis(10)).is_ok());
        assert!(limit.take(&app, start + Duration::from_millis(11)).is_err());
        let later = (0..3000).map(|step| start + Duration::from_millis(10 + step));
        assert_eq!(later.filter(|now| limit.take(&app, *now).is_ok()).count(), 299);
    }

    #[tokio::test(start_paused = true)]
    async fn rate_limits_are_per_client() {
        let limit = RateLimit::new(1);
        let now = Instant::now();
        assert!(limit.take(&owner(1, "app"), now).is_ok());
        assert!(limit.take(&owner(1, "app"), now).is_err());
        assert!(limit.take(&owner(1, "other"), now).is_ok());
        assert!(limit.take(&owner(2, "app"), now).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_client_id_for_each_request_voids_nothing() {
        let limit = RateLimit::new(100);
        let now = Instant::now();
        let taken = (0..2000).filter(|client| limit.take(&owner(1, &client.to_string()), now).is_ok()).count();
        assert_eq!(taken, 500);
        assert!(limit.take(&owner(2, "app"), now).is_ok(), "another PIM has its own");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_a_rate_whoever_it_says_it_is() {
        let limit = RateLimit::new(100);
        let now = Instant::now();
        let of = |last| Origin::of([192, 0, 2, last].into());
        assert_eq!((0..2000).filter(|_| limit.come(of(1), now).is_ok()).count(), 1000);
        assert!(limit.come(of(2), now).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_tables_are_bounded() {
        let buckets = Buckets::default();
        let (rate, now) = ((100.0, 100.0), Instant::now());
        for key in 0..MAX_BUCKETS + 100 {
            buckets.charge(key, rate, now);
        }
        assert!(buckets.0.lock().len() <= MAX_BUCKETS);
    }
}
