//! Queue of token checks at each PIM. A PIM gets a limited number of concurrent checks; these slots are shared by the
//! callers' addresses, and clients with a previously verified token have a share of their own. Each share has a short
//! queue: when it overflows, the one that has waited longest is rejected, so that a flood of forged tokens delays a
//! genuine one by a few checks at most.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use domain::{ClientId, PimId};
use fair::{Holder, Permit, Places};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant};

use crate::origin::Origin;
use crate::rate_limit::Buckets;

/// Concurrent checks per PIM: forged tokens must not flood it.
const PLACES: u64 = 8;
/// Length of a share's queue.
const WAITING: usize = 8;
/// `Retry-After` of a rejected caller.
const RETRY: Duration = Duration::from_secs(1);
/// Rejected tokens from one address to one PIM: per second, and burst.
const REFUSED: (f64, f64) = (30.0, 300.0);
/// Rejected tokens to one PIM from all addresses.
const REFUSED_BY_PIM: (f64, f64) = (100.0, 1000.0);
/// How long a client counts as verified.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// Maximum number of verified clients.
const MOST_KNOWN: usize = 10_000;

/// Too many checks of this kind, with `Retry-After`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooMany(pub(crate) Duration);

/// Originator of a token check.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Who {
    pub(crate) pim: PimId,
    pub(crate) origin: Origin,
    pub(crate) client: ClientId,
}

/// Waiting checks, in order.
type Queue = VecDeque<oneshot::Sender<()>>;

/// The slots of all PIMs.
#[derive(Default)]
pub(crate) struct Questions {
    pims: Mutex<HashMap<PimId, Places>>,
    waiting: Mutex<HashMap<(PimId, Holder), Queue>>,
    genuine: Mutex<HashMap<Who, Instant>>,
    refused: Buckets<(PimId, Option<Origin>)>,
}

impl Questions {
    /// Waits for a slot.
    pub(crate) async fn place(&self, who: &Who) -> Result<Permit, TooMany> {
        let known = self.knows(who);
        if !known {
            let now = Instant::now();
            let of_address = self.refused.wait(&(who.pim, Some(who.origin)), REFUSED, now);
            if let Some(wait) = of_address.or_else(|| self.refused.wait(&(who.pim, None), REFUSED_BY_PIM, now)) {
                return Err(TooMany(wait));
            }
        }
        let places = self.pims.lock().entry(who.pim).or_insert_with(|| Places::new(PLACES)).clone();
        let share = share(who, known);
        if let Some(place) = places.try_some(share, 1) {
            return Ok(place);
        }
        let mut line = self.join(who.pim, share);
        tokio::select! {
            place = places.one(share) => Ok(place),
            _ = &mut line.overtaken => Err(TooMany(RETRY)),
        }
    }

    /// Joins the queue of a share.
    fn join(&self, pim: PimId, share: Holder) -> InLine<'_> {
        let (sender, overtaken) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        let line = waiting.entry((pim, share)).or_default();
        line.push_back(sender);
        if line.len() > WAITING
            && let Some(first) = line.pop_front()
        {
            _ = first.send(());
        }
        InLine { questions: self, of: (pim, share), overtaken }
    }

    /// The token was genuine: the client gets a share of its own from now on.
    pub(crate) fn is_genuine(&self, who: &Who) {
        let now = Instant::now();
        let mut genuine = self.genuine.lock();
        if genuine.len() >= MOST_KNOWN && !genuine.contains_key(who) {
            genuine.retain(|_, since| now - *since < KNOWN_FOR);
            if genuine.len() >= MOST_KNOWN {
                return;
            }
        }
        genuine.insert(who.clone(), now);
    }

    /// The token was not genuine.
    pub(crate) fn is_refused(&self, who: &Who) {
        let now = Instant::now();
        self.refused.charge((who.pim, Some(who.origin)), REFUSED, now);
        self.refused.charge((who.pim, None), REFUSED_BY_PIM, now);
    }

    fn knows(&self, who: &Who) -> bool {
        self.genuine.lock().get(who).is_some_and(|since| since.elapsed() < KNOWN_FOR)
    }
}

/// A waiting check; leaves the queue when dropped.
struct InLine<'a> {
    questions: &'a Questions,
    of: (PimId, Holder),
    /// Resolved when displaced by newer checks.
    overtaken: oneshot::Receiver<()>,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.overtaken.close();
        let mut waiting = self.questions.waiting.lock();
        if let Some(line) = waiting.get_mut(&self.of) {
            line.retain(|other| !other.is_closed());
            if line.is_empty() {
                waiting.remove(&self.of);
            }
        }
    }
}

/// Each address, and each verified client, has a share of a PIM's slots.
fn share(who: &Who, known: bool) -> Holder {
    let mut hash = DefaultHasher::new();
    (who.origin, known.then_some(&who.client)).hash(&mut hash);
    Holder { pim: hash.finish(), part: 0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn who(origin: u8, client: &str) -> Who {
        Who { pim: PimId(1), origin: Origin::of([192, 0, 2, origin].into()), client: ClientId(client.into()) }
    }

    /// Forged tokens from the first address, each of which takes the PIM 200 ms.
    fn flood(questions: &Arc<Questions>, tokens: usize) {
        for token in 0..tokens {
            let questions = Arc::clone(questions);
            tokio::spawn(async move {
                let place = questions.place(&who(1, &token.to_string())).await;
                if place.is_ok() {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    questions.is_refused(&who(1, &token.to_string()));
                }
            });
        }
    }

    async fn waits(questions: &Questions, who: &Who) -> Duration {
        let start = Instant::now();
        questions.place(who).await.unwrap();
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn forged_tokens_delay_others_by_at_most_two_checks() {
        for genuine in [who(1, "app"), who(2, "app")] {
            let questions = Arc::new(Questions::default());
            flood(&questions, 300);
            tokio::time::sleep(Duration::from_millis(50)).await;
            let waited = waits(&questions, &genuine).await;
            assert!(waited <= Duration::from_millis(400), "{genuine:?} waited {waited:?}");
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(questions.waiting.lock().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refused_tokens_have_a_rate_by_address_and_by_pim() {
        let questions = Questions::default();
        for _ in 0..300 {
            questions.place(&who(1, "made-up")).await.unwrap();
            questions.is_refused(&who(1, "made-up"));
        }
        assert!(questions.place(&who(1, "made-up")).await.is_err());
        assert!(questions.place(&who(1, "another-id")).await.is_err(), "a new client id resets nothing");
        assert!(questions.place(&who(2, "made-up")).await.is_ok(), "another address");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(questions.place(&who(1, "made-up")).await.is_ok());
        for origin in 3..9 {
            (0..300).for_each(|_| questions.is_refused(&who(origin, "made-up")));
        }
        assert!(questions.place(&who(10, "made-up")).await.is_err(), "too many rejected tokens at the PIM");
    }

    #[tokio::test(start_paused = true)]
    async fn verified_clients_are_not_delayed_by_rejections() {
        let questions = Questions::default();
        questions.is_genuine(&who(1, "app"));
        (0..400).for_each(|_| questions.is_refused(&who(1, "made-up")));
        assert!(questions.place(&who(1, "app")).await.is_ok());
        assert!(questions.place(&who(2, "app")).await.is_ok(), "other addresses are not affected");
        assert!(questions.place(&who(1, "made-up")).await.is_err());
        tokio::time::advance(KNOWN_FOR).await;
        assert!(!questions.knows(&who(1, "app")));
    }
}
