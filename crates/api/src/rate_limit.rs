//! How many management requests a (tenant, client) may make: a token bucket each, in a bounded table.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::subscriber::Owner;
use tokio::time::Instant;

/// The most buckets that are kept; full ones say nothing and go first.
const MAX_BUCKETS: usize = 10_000;

/// Token buckets: a second's worth may come at once, then as many a second as the rate says.
pub(crate) struct RateLimit {
    per_second: f64,
    buckets: Mutex<HashMap<Owner, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn filled(self, per_second: f64, now: Instant) -> Bucket {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * per_second;
        Bucket { tokens: (self.tokens + gained).min(per_second), at: now }
    }
}

impl RateLimit {
    /// A limit of `per_second` requests a second for each owner.
    pub(crate) fn new(per_second: u32) -> RateLimit {
        RateLimit { per_second: f64::from(per_second.max(1)), buckets: Mutex::default() }
    }

    /// Takes a token, or says how long to wait for the next.
    pub(crate) fn take(&self, owner: &Owner, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(owner) {
            buckets.retain(|_, bucket| bucket.filled(self.per_second, now).tokens < self.per_second);
            if buckets.len() >= MAX_BUCKETS
                && let Some(any) = buckets.keys().next().cloned()
            {
                buckets.remove(&any);
            }
        }
        let full = Bucket { tokens: self.per_second, at: now };
        let mut bucket = buckets.get(owner).copied().unwrap_or(full).filled(self.per_second, now);
        let taken = if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second))
        };
        match buckets.get_mut(owner) {
            Some(known) => *known = bucket,
            None => drop(buckets.insert(owner.clone(), bucket)),
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use domain::{ClientId, PimId};

    use super::*;

    fn owner(pim: u32, client: &str) -> Owner {
        Owner { pim: PimId(pim), client_id: ClientId(client.into()) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_at_once_then_a_hundred_a_second() {
        let limit = RateLimit::new(100);
        let app = owner(1, "app");
        let start = Instant::now();
        assert_eq!((0..150).filter(|_| limit.take(&app, start).is_ok()).count(), 100);
        assert_eq!(limit.take(&app, start), Err(Duration::from_millis(10)));
        assert!(limit.take(&app, start + Duration::from_millis(10)).is_ok());
        assert!(limit.take(&app, start + Duration::from_millis(11)).is_err());
        let later = (0..3000).map(|step| start + Duration::from_millis(10 + step));
        assert_eq!(later.filter(|now| limit.take(&app, *now).is_ok()).count(), 299);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_takes_the_tokens_of_another() {
        let limit = RateLimit::new(1);
        let now = Instant::now();
        assert!(limit.take(&owner(1, "app"), now).is_ok());
        assert!(limit.take(&owner(1, "app"), now).is_err());
        assert!(limit.take(&owner(1, "other"), now).is_ok());
        assert!(limit.take(&owner(2, "app"), now).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let limit = RateLimit::new(100);
        let now = Instant::now();
        for client in 0..MAX_BUCKETS + 100 {
            assert!(limit.take(&owner(1, &client.to_string()), now).is_ok());
        }
        assert!(limit.buckets.lock().unwrap().len() <= MAX_BUCKETS);
    }
}
