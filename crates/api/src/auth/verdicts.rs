//! Short-lived cache of PIMs' verdicts on tokens. Tokens are stored as hashes only.
//!
//! Forged tokens cannot flush the cache: a positive verdict is displaced only by another positive one, first of the PIM
//! with the most entries. Checks at a PIM are shared fairly between callers ([`questions`](super::questions)).

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use domain::pim::Pim;
use domain::{ClientId, Clock, PimId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Duration, Instant, timeout};

use super::gateway::{PimGateway, Verdict};
use super::questions::{Questions, TooMany, Who};
use crate::origin::Origin;
use crate::settings::VerdictCache;

/// Lifetime of "no answer": just long enough that a burst does not queue up behind it.
pub(crate) const NO_ANSWER: Duration = Duration::from_secs(1);

type Key = [u8; digest::SHA256_OUTPUT_LEN];

/// A verdict and its time.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The PIM's verdict.
    pub(crate) verdict: Verdict,
    /// Wall-clock time of the check.
    pub(crate) asked_at: Timestamp,
    until: Instant,
}

/// The cache of verdicts.
pub(crate) struct Verdicts {
    bounds: VerdictCache,
    clock: Clock,
    yes: Mutex<Table>,
    no: Mutex<Table>,
    /// The holder of a token's lock asks the PIM; the others wait for the lock and find the answer.
    asking: Mutex<HashMap<Key, Turn>>,
    questions: Questions,
}

type Turn = Arc<AsyncMutex<()>>;

/// Verdicts of each PIM.
#[derive(Default)]
struct Table {
    of: HashMap<PimId, HashMap<Key, Known>>,
    count: usize,
}

impl Table {
    fn get(&self, pim: PimId, key: &Key) -> Option<Known> {
        let known = self.of.get(&pim)?.get(key)?;
        (Instant::now() < known.until).then(|| known.clone())
    }

    fn put(&mut self, pim: PimId, key: Key, known: Known, at_most: usize) {
        if self.count >= at_most {
            self.forget(Instant::now());
        }
        while self.count >= at_most.max(1) {
            // The PIM with the most entries gives way: no verdicts are flushed by another PIM's tokens.
            let Some(most) = self.of.values_mut().max_by_key(|of| of.len()) else { break };
            let Some(oldest) = most.iter().min_by_key(|(_, known)| known.until).map(|(key, _)| *key) else { break };
            most.remove(&oldest);
            self.count -= 1;
        }
        if self.of.entry(pim).or_default().insert(key, known).is_none() {
            self.count += 1;
        }
    }

    fn forget(&mut self, now: Instant) {
        for of in self.of.values_mut() {
            of.retain(|_, known| now < known.until);
        }
        self.of.retain(|_, of| !of.is_empty());
        self.count = self.of.values().map(HashMap::len).sum();
    }
}

impl Verdicts {
    /// An empty cache.
    pub(crate) fn new(bounds: VerdictCache, clock: Clock) -> Verdicts {
        Verdicts {
            bounds,
            clock,
            yes: Mutex::default(),
            no: Mutex::default(),
            asking: Mutex::default(),
            questions: Questions::default(),
        }
    }

    /// The verdict on a token, cached or requested within the time limit of a check. Concurrent callers with the same
    /// token cause one request to the PIM.
    pub(crate) async fn of(
        &self,
        gateway: &dyn PimGateway,
        pim: &Pim,
        client: &ClientId,
        token: &str,
        origin: Origin,
    ) -> Result<Known, TooMany> {
        let key = key(pim, client, token);
        if let Some(known) = self.remembered(pim.id, &key) {
            return Ok(known);
        }
        let asked_at = self.clock.wall();
        let who = Who { pim: pim.id, origin, client: client.clone() };
        let asked = timeout(self.bounds.check, self.ask(gateway, pim, token, &key, &who));
        asked.await.unwrap_or_else(|_| {
            let message = format!("no response within {} s", self.bounds.check.as_secs_f64());
            Ok(Known { verdict: Verdict::Unavailable { message }, asked_at, until: Instant::now() })
        })
    }

    fn remembered(&self, pim: PimId, key: &Key) -> Option<Known> {
        self.yes.lock().get(pim, key).or_else(|| self.no.lock().get(pim, key))
    }

    async fn ask(
        &self,
        gateway: &dyn PimGateway,
        pim: &Pim,
        token: &str,
        key: &Key,
        who: &Who,
    ) -> Result<Known, TooMany> {
        let asking = Asking { verdicts: self, key, turn: Some(self.asking.lock().entry(*key).or_default().clone()) };
        let _turn = match &asking.turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        if let Some(known) = self.remembered(pim.id, key) {
            return Ok(known);
        }
        let place = self.questions.place(who).await?;
        let asked_at = self.clock.wall();
        let verdict = gateway.verify(pim, &who.client, token).await;
        drop(place);
        let (table, lasts) = match &verdict {
            Verdict::Genuine { .. } => (&self.yes, self.bounds.yes),
            Verdict::Unavailable { .. } => (&self.no, NO_ANSWER),
            Verdict::Rejected { .. } | Verdict::WebApiForbidden | Verdict::UnprovenClient { .. } => {
                (&self.no, self.bounds.no)
            }
        };
        match &verdict {
            Verdict::Genuine { .. } | Verdict::WebApiForbidden => self.questions.is_genuine(who),
            Verdict::Rejected { .. } | Verdict::UnprovenClient { .. } => self.questions.is_refused(who),
            Verdict::Unavailable { .. } => {}
        }
        let known = Known { verdict, asked_at, until: Instant::now() + lasts };
        table.lock().put(pim.id, *key, known.clone(), self.bounds.at_most);
        Ok(known)
    }
}

/// Removes a token's lock after the last waiter.
struct Asking<'a> {
    verdicts: &'a Verdicts,
    key: &'a Key,
    turn: Option<Turn>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut asking = self.verdicts.asking.lock();
        self.turn = None;
        if asking.get(self.key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            asking.remove(self.key);
        }
    }
}

/// A registration that changes the token check must not use old verdicts, so the key covers it.
fn key(pim: &Pim, client: &ClientId, token: &str) -> Key {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&pim.id.0.to_be_bytes());
    hash.update(pim.url_key.as_bytes());
    hash.update(&[0]);
    hash.update(serde_json::to_string(&pim.token_check).unwrap_or_default().as_bytes());
    hash.update(&[0]);
    hash.update(client.0.as_bytes());
    hash.update(&[0]);
    hash.update(token.as_bytes());
    let mut key = [0; digest::SHA256_OUTPUT_LEN];
    key.copy_from_slice(hash.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use domain::testing;

    use super::*;

    const YES: Duration = Duration::from_secs(60);
    const NO: Duration = Duration::from_secs(5);

    struct Scripted {
        asked: AtomicUsize,
        takes: Duration,
        says: fn(&str) -> Verdict,
    }

    #[async_trait]
    impl PimGateway for Scripted {
        async fn verify(&self, _: &Pim, _: &ClientId, token: &str) -> Verdict {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(self.takes).await;
            (self.says)(token)
        }
    }

    fn scripted(says: fn(&str) -> Verdict) -> Arc<Scripted> {
        Arc::new(Scripted { asked: AtomicUsize::new(0), takes: Duration::from_millis(100), says })
    }

    fn pim() -> Pim {
        Pim { id: PimId(1), ..testing::pim("shop") }
    }

    async fn ask(verdicts: &Verdicts, gateway: &Scripted, token: &str) -> Verdict {
        verdicts.of(gateway, &pim(), &ClientId("app".into()), token, Origin::UNKNOWN).await.unwrap().verdict
    }

    const GENUINE: Verdict = Verdict::Genuine { permission: None };

    fn verdicts(bounds: VerdictCache) -> Verdicts {
        Verdicts::new(bounds, Clock::system())
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_asks_the_pim_once() {
        let gateway = scripted(|_| GENUINE);
        let verdicts = Arc::new(verdicts(VerdictCache::default()));
        let burst: Vec<_> = (0..200)
            .map(|_| {
                let (verdicts, gateway) = (verdicts.clone(), gateway.clone());
                tokio::spawn(async move { ask(&verdicts, &gateway, "token").await })
            })
            .collect();
        for caller in burst {
            assert_eq!(caller.await.unwrap(), GENUINE);
        }
        assert_eq!(gateway.asked.load(Ordering::SeqCst), 1);
    }

    #[track_caller]
    fn check_remembered(says: fn(&str) -> Verdict, lasts: Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let gateway = scripted(says);
            let verdicts = verdicts(VerdictCache::default());
            ask(&verdicts, &gateway, "token").await;
            tokio::time::advance(lasts - Duration::from_millis(1)).await;
            ask(&verdicts, &gateway, "token").await;
            assert_eq!(gateway.asked.load(Ordering::SeqCst), 1, "remembered for {lasts:?}");
            tokio::time::advance(Duration::from_millis(1)).await;
            ask(&verdicts, &gateway, "token").await;
            assert_eq!(gateway.asked.load(Ordering::SeqCst), 2, "and no longer");
        });
    }

    #[test]
    fn a_yes_is_remembered_for_a_minute_a_no_for_5_seconds() {
        check_remembered(|_| GENUINE, YES);
        check_remembered(|_| Verdict::Rejected { message: "expired".into() }, NO);
        check_remembered(|_| Verdict::WebApiForbidden, NO);
        check_remembered(|_| Verdict::Unavailable { message: "no route".into() }, NO_ANSWER);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_yes_is_not_used_while_the_pim_is_down() {
        let verdicts = verdicts(VerdictCache::default());
        ask(&verdicts, &scripted(|_| GENUINE), "token").await;
        tokio::time::advance(YES).await;
        let down = scripted(|_| Verdict::Unavailable { message: "no route".into() });
        assert_eq!(ask(&verdicts, &down, "token").await, Verdict::Unavailable { message: "no route".into() });
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_tokens_flush_nothing() {
        let says = |token: &str| match token {
            "genuine" => GENUINE,
            _ => Verdict::Rejected { message: "no".into() },
        };
        let gateway = Arc::new(Scripted { asked: AtomicUsize::new(0), takes: Duration::ZERO, says });
        let bounds = VerdictCache { at_most: 100, ..VerdictCache::default() };
        let verdicts = verdicts(bounds);
        ask(&verdicts, &gateway, "genuine").await;
        for made_up in 0..250 {
            ask(&verdicts, &gateway, &made_up.to_string()).await;
        }
        assert_eq!(verdicts.no.lock().count, 100);
        let asked = gateway.asked.load(Ordering::SeqCst);
        assert_eq!(ask(&verdicts, &gateway, "genuine").await, GENUINE);
        assert_eq!(gateway.asked.load(Ordering::SeqCst), asked, "it was remembered");
        assert!(verdicts.asking.lock().is_empty(), "answered checks leave nothing behind");
    }

    #[tokio::test(start_paused = true)]
    async fn one_pims_genuine_tokens_flush_none_of_another() {
        let gateway = scripted(|_| GENUINE);
        let verdicts = verdicts(VerdictCache { at_most: 10, ..VerdictCache::default() });
        let (first, second) = (pim(), Pim { id: PimId(2), ..pim() });
        let app = ClientId("app".into());
        verdicts.of(gateway.as_ref(), &first, &app, "token", Origin::UNKNOWN).await.unwrap();
        for client in 0..50 {
            let client = ClientId(client.to_string());
            verdicts.of(gateway.as_ref(), &second, &client, "token", Origin::UNKNOWN).await.unwrap();
        }
        assert_eq!(gateway.asked.load(Ordering::SeqCst), 51);
        verdicts.of(gateway.as_ref(), &first, &app, "token", Origin::UNKNOWN).await.unwrap();
        assert_eq!(gateway.asked.load(Ordering::SeqCst), 51);
        assert_eq!(verdicts.yes.lock().count, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_takes_two_seconds_at_most() {
        let gateway =
            Arc::new(Scripted { asked: AtomicUsize::new(0), takes: Duration::from_secs(60), says: |_| GENUINE });
        let verdicts = Arc::new(verdicts(VerdictCache::default()));
        let start = Instant::now();
        // The active check, one that waits for its result, and many that wait for a slot.
        let callers: Vec<_> = ["a", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
            .into_iter()
            .map(|token| {
                let (verdicts, gateway) = (verdicts.clone(), gateway.clone());
                tokio::spawn(async move { ask(&verdicts, &gateway, token).await })
            })
            .collect();
        for caller in callers {
            assert!(matches!(caller.await.unwrap(), Verdict::Unavailable { .. }));
        }
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }
}
