//! What PIMs said of tokens, remembered for a short time. Tokens are kept as hashes only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use domain::pim::Pim;
use domain::{ClientId, PimId, Timestamp};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::Instant;

use super::gateway::{PimGateway, Verdict};
use crate::settings::VerdictCache;

/// How long it is remembered that a PIM did not answer: just long enough that a burst does not queue up behind it.
pub(crate) const NO_ANSWER: Duration = Duration::from_secs(1);
/// How many questions one PIM is asked at once: made-up tokens must not become a flood to it.
const MAX_QUESTIONS_PER_PIM: usize = 8;

type Key = [u8; digest::SHA256_OUTPUT_LEN];

/// One verdict. Whoever holds the lock asks the PIM; the others wait for the lock and find the answer.
type Slot = Arc<AsyncMutex<Option<Known>>>;

/// A verdict and when it was given.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// What the PIM said.
    pub(crate) verdict: Verdict,
    /// The wall-clock time when it was asked.
    pub(crate) asked_at: Timestamp,
    until: Instant,
}

/// The memory of verdicts.
#[derive(Default)]
pub(crate) struct Verdicts {
    bounds: VerdictCache,
    slots: Mutex<HashMap<Key, Slot>>,
    questions: Mutex<HashMap<PimId, Arc<Semaphore>>>,
}

impl Verdicts {
    /// An empty memory.
    pub(crate) fn new(bounds: VerdictCache) -> Verdicts {
        Verdicts { bounds, ..Verdicts::default() }
    }

    /// The verdict on a token: remembered, or asked for now. However many callers come with the same token at once, the
    /// PIM is asked once.
    pub(crate) async fn of(&self, gateway: &dyn PimGateway, pim: &Pim, client: &ClientId, token: &str) -> Known {
        let slot = self.slot(key(pim, client, token));
        let mut known = slot.lock().await;
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return known.clone();
        }
        let questions = self.questions_to(pim.id);
        // The semaphore is never closed; if it were, asking without its bound is still right.
        let _turn = questions.acquire().await.ok();
        let asked_at = Timestamp::now();
        let verdict = gateway.verify(pim, client, token).await;
        let lasts = match &verdict {
            Verdict::Genuine { .. } => self.bounds.yes,
            Verdict::Unavailable { .. } => NO_ANSWER,
            Verdict::Rejected { .. } | Verdict::WebApiForbidden | Verdict::UnprovenClient { .. } => self.bounds.no,
        };
        let answer = Known { verdict, asked_at, until: Instant::now() + lasts };
        *known = Some(answer.clone());
        answer
    }

    fn slot(&self, key: Key) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&key) {
            return slot.clone();
        }
        if slots.len() >= self.bounds.at_most {
            let now = Instant::now();
            slots.retain(|_, slot| still_needed(slot, now));
        }
        while slots.len() >= self.bounds.at_most {
            let Some(any) = slots.keys().next().copied() else { break };
            slots.remove(&any);
        }
        slots.entry(key).or_default().clone()
    }

    fn questions_to(&self, pim: PimId) -> Arc<Semaphore> {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.entry(pim).or_insert_with(|| Arc::new(Semaphore::new(MAX_QUESTIONS_PER_PIM))).clone()
    }
}

/// A verdict that is being asked for, or that still counts.
fn still_needed(slot: &Slot, now: Instant) -> bool {
    match slot.try_lock() {
        Ok(known) => known.as_ref().is_some_and(|known| now < known.until),
        Err(_) => true,
    }
}

/// A registration that changes how tokens are checked must not live on old verdicts, so the key covers it.
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
    use domain::pim::TokenCheck;

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
        Pim {
            id: PimId(1),
            name: "shop".into(),
            url: "https://pim.example.com".into(),
            url_key: "https://pim.example.com".into(),
            keys: vec![],
            token_check: TokenCheck::Static,
            static_tokens: vec![],
            events_api_secret: None,
            created_at: Timestamp::EPOCH,
            revision: 0,
        }
    }

    async fn ask(verdicts: &Verdicts, gateway: &Scripted, token: &str) -> Verdict {
        verdicts.of(gateway, &pim(), &ClientId("app".into()), token).await.verdict
    }

    const GENUINE: Verdict = Verdict::Genuine { permission: None };

    #[tokio::test(start_paused = true)]
    async fn a_burst_asks_the_pim_once() {
        let gateway = scripted(|_| GENUINE);
        let verdicts = Arc::new(Verdicts::default());
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
            let verdicts = Verdicts::default();
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
        let verdicts = Verdicts::default();
        ask(&verdicts, &scripted(|_| GENUINE), "token").await;
        tokio::time::advance(YES).await;
        let down = scripted(|_| Verdict::Unavailable { message: "no route".into() });
        assert_eq!(ask(&verdicts, &down, "token").await, Verdict::Unavailable { message: "no route".into() });
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let gateway = Arc::new(Scripted {
            asked: AtomicUsize::new(0),
            takes: Duration::ZERO,
            says: |_| Verdict::Rejected { message: "no".into() },
        });
        let verdicts = Verdicts::default();
        for made_up in 0..VerdictCache::default().at_most + 500 {
            ask(&verdicts, &gateway, &made_up.to_string()).await;
        }
        assert!(verdicts.slots.lock().unwrap().len() <= VerdictCache::default().at_most);
    }

    #[tokio::test(start_paused = true)]
    async fn one_pim_is_asked_a_few_questions_at_once() {
        let gateway = scripted(|_| GENUINE);
        let verdicts = Arc::new(Verdicts::default());
        for token in 0..50 {
            let (verdicts, gateway) = (verdicts.clone(), gateway.clone());
            tokio::spawn(async move { ask(&verdicts, &gateway, &token.to_string()).await });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(gateway.asked.load(Ordering::SeqCst), MAX_QUESTIONS_PER_PIM);
    }
}
