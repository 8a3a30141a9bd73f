//! One engine per shard, and its behaviour when its shard is taken over.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use domain::{Now, Timestamp};
use engine::core::Suspend;
use engine::driver::{Driver, End, Found, Input, Request};
use engine::{Ending, suspension};
use store::memory::MemorySettings;
use store::{ChangeError, KeepBounds, LedgerRecord, Shards, Spread, StoreError, TenureError};

use super::*;

/// Takes five seconds per attempt, and counts started and completed ones.
#[derive(Default)]
struct SlowSink {
    begun: AtomicUsize,
    ended: Arc<AtomicUsize>,
    forgotten: Mutex<Vec<SubscriptionId>>,
}

impl Sink for SlowSink {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let ended = self.ended.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            ended.fetch_add(1, Ordering::SeqCst);
            vec![Outcome::Delivered; delivery.events.len()]
        }
        .boxed()
    }

    fn forget(&self, subscription: SubscriptionId) {
        self.forgotten.lock().unwrap().push(subscription);
    }
}

/// Nothing more is sent, written or waited for; the new owner continues from the saved state.
#[tokio::test(start_paused = true)]
async fn an_engine_whose_shard_is_taken_over_drops_it_at_once() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(SlowSink::default()));
    let subscription = subscription(&[UPDATED]);
    create(&store, &subscription).await;
    let (clock, heard) = (virtual_clock(), Heard::default());
    let old = Engine::start(store.clone(), Shard::FIRST, sink.clone(), quick(), clock, None, heard).await.unwrap();
    append(&store, numbered(0..3)).await;
    until("they are under way", async || sink.begun.load(Ordering::SeqCst) == 3).await;

    let others = Arc::new(store.reopen());
    let taken = others.take(Shard::FIRST).await.unwrap();
    let saved = others.load(&taken).await.unwrap();
    // Appends are still allowed; the old owner notices with its next save.
    append(&store, numbered(3..4)).await;
    assert_eq!(old.ended().await, Ending::Fenced);
    assert!(!old.is_running());
    assert!(old.status(subscription.id).await.is_none());
    assert_eq!(*sink.forgotten.lock().unwrap(), [subscription.id]);
    let begun = sink.begun.load(Ordering::SeqCst);
    append(&store, numbered(4..5)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sink.begun.load(Ordering::SeqCst), begun, "nothing more is sent");
    assert_eq!(sink.ended.load(Ordering::SeqCst), 0, "what was under way was given up");
    assert_eq!(others.load(&taken).await.unwrap(), saved, "nothing more is written");

    let sink = Arc::new(TestSink::default());
    let new = start(&others, &sink).await;
    assert!(new.tenure().epoch > taken.epoch);
    until("all are delivered", async || sink.ids(subscription.id).len() == 5).await;
    new.stop().await;
}

/// Wherever the wall clock was set meanwhile: a retry is neither early nor late.
#[tokio::test(start_paused = true)]
async fn a_shard_taken_up_anew_goes_on_by_the_steady_clock_of_its_process() {
    for lead in [-3600 * 1_000_000, 3600 * 1_000_000] {
        let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
        let subscription = subscription(&[UPDATED]);
        create(&store, &subscription).await;
        let failure = Failure::without_status(ErrorReason::ConnectionReset, "no answer");
        sink.answers.lock().unwrap().insert(subscription.id, Outcome::Failed(failure));
        let (steady, set) = (virtual_clock(), Arc::new(AtomicI64::new(0)));
        let by = set.clone();
        let clock = Clock::new(move || {
            let steady = steady.now().steady;
            Now { steady, wall: Timestamp::from_micros(steady.as_micros() + by.load(Ordering::SeqCst)) }
        });
        let start = async |store: &Arc<MemoryStore>| {
            let (store, sink) = (store.clone() as Arc<dyn Store>, sink.clone() as Arc<dyn Sink>);
            Engine::start(store, Shard::FIRST, sink, quick(), clock.clone(), None, Heard::default()).await.unwrap()
        };
        let engine = start(&store).await;
        append(&store, numbered(0..1)).await;
        until("it was tried", async || sink.ids(subscription.id).len() == 1).await;
        engine.stop().await;
        set.store(lead, Ordering::SeqCst);
        let engine = start(&Arc::new(store.reopen())).await;
        tokio::time::sleep(Duration::from_secs(4 * 60)).await;
        assert_eq!(sink.ids(subscription.id).len(), 1, "retried early, with the wall clock set by {lead} µs");
        tokio::time::sleep(Duration::from_secs(70)).await;
        assert_eq!(sink.ids(subscription.id).len(), 2, "retried late, with the wall clock set by {lead} µs");
        engine.stop().await;
    }
}

/// An engine that ends on request reports that.
#[tokio::test(start_paused = true)]
async fn an_engine_that_stops_was_not_fenced() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let engine = start(&store, &sink).await;
    let ended = engine.ended();
    engine.stop().await;
    assert_eq!(ended.await, Ending::Stopped);
}

/// A fenced engine suspends no subscription.
#[tokio::test]
async fn a_fenced_suspension_is_not_made() {
    let store = MemoryStore::default();
    let wanted = subscription(&[UPDATED]);
    create(&store, &wanted).await;
    let old = store.take(Shard::FIRST).await.unwrap();
    let wanted = Suspend { subscription: Arc::new(wanted), reason: SuspensionReason::SuccessRate, last: None };
    let suspend = async |tenure| {
        let now = Clock::system().wall();
        suspension::suspend(&store, tenure, &wanted, now, store::transition::Frequent::default()).await
    };
    let new = store.reopen().take(Shard::FIRST).await.unwrap();
    assert!(matches!(suspend(old).await, Err(ChangeError::Fenced)));
    let stored = store.subscription(wanted.subscription.id).await.unwrap().unwrap();
    assert!(stored.status.is_active());
    assert_eq!(store.notifications(Shard::FIRST, None, 10).await.unwrap(), []);
    assert!(suspend(new).await.unwrap());
}

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn driver(subscription: &Subscription) -> Driver {
    let found = Found {
        shard: Shard::FIRST,
        ledger: LedgerRecord::default(),
        version: 1,
        subscriptions: vec![subscription.clone()],
        head: Position::FIRST,
    };
    Driver::new(Settings::default(), Arc::default(), START, found)
}

fn requests(driver: &mut Driver) -> Vec<Request> {
    std::iter::from_fn(|| driver.poll()).collect()
}

/// Whichever write is rejected first: the driver closes the destinations' resources, and does nothing any more.
#[tokio::test]
async fn any_refused_write_ends_the_driver() {
    let subscription = subscription(&[UPDATED]);
    let refused: [fn() -> Input; 3] = [
        || Input::Saved { result: Err(TenureError::Fenced) },
        || Input::Applied { result: Err(TenureError::Fenced) },
        || Input::Trimmed { result: Err(TenureError::Fenced) },
    ];
    for refused in refused {
        let mut driver = driver(&subscription);
        // It has many requests, none of which was started.
        driver.handle(START, Input::News);
        driver.handle(START, refused());
        let asked = requests(&mut driver);
        assert!(
            matches!(asked.as_slice(), [Request::Forget { subscription: id }] if *id == subscription.id),
            "{asked:?}"
        );
        assert_eq!(driver.end(), Some(End::Fenced));
        driver.handle(START + Duration::from_secs(60), Input::News);
        driver.handle(START + Duration::from_secs(60), Input::Stop);
        assert_eq!(requests(&mut driver).len(), 0);
        assert_eq!(driver.end(), Some(End::Fenced));
    }
}

/// Callers that wait for a change wait until the store could be notified.
#[tokio::test]
async fn the_version_in_effect_is_reported_again_after_a_failure() {
    let mut driver = driver(&subscription(&[UPDATED]));
    requests(&mut driver);
    let failed = StoreError::Unavailable("not now".to_owned());
    driver.handle(START, Input::Applied { result: Err(failed.into()) });
    let tells = |asked: &[Request]| asked.iter().any(|request| matches!(request, Request::InEffect { version: 1 }));
    assert!(!tells(&requests(&mut driver)));
    let again = driver.poll_timeout().unwrap();
    assert!(again <= START + Duration::from_secs(1));
    driver.handle(START + Duration::from_secs(1), Input::Timeout);
    assert!(tells(&requests(&mut driver)));
    driver.handle(START + Duration::from_secs(2), Input::Applied { result: Ok(()) });
    driver.handle(START + Duration::from_secs(9), Input::Timeout);
    assert!(!tells(&requests(&mut driver)));
}

/// An engine works for the PIMs of its shard: it delivers, saves and trims nothing of another one.
#[tokio::test(start_paused = true)]
async fn an_engine_serves_its_shard_alone() {
    let settings = MemorySettings { spread: Spread::CLUSTER, keep: KeepBounds::NONE, ..MemorySettings::default() };
    let (store, sink) = (Arc::new(MemoryStore::new(settings)), Arc::new(TestSink::default()));
    let far = PimId(2);
    let (near, far_shard) = (store.shard_of(PIM), store.shard_of(far));
    let mine = subscription(&[UPDATED]);
    let theirs = Subscription { pim: far, ..subscription(&[UPDATED]) };
    create(&store, &mine).await;
    create(&store, &theirs).await;
    let start = async |shard| {
        Engine::start(store.clone(), shard, sink.clone(), quick(), virtual_clock(), None, Heard::default())
            .await
            .unwrap()
    };
    let engine = start(near).await;
    append(&store, numbered(0..3)).await;
    store.append(far, vec![event("far")], Clock::system().wall()).await.unwrap();
    until("those of its PIM are delivered", async || sink.ids(mine.id).len() == 3).await;
    let left = async |shard| {
        let limit = store::ReadLimit { events: 100, bytes: 1 << 20, until: store.head(shard).await.unwrap() };
        store.read(Scope::Shard(shard), Position::FIRST, limit).await.unwrap().events.len()
    };
    until("what is delivered is trimmed", async || left(near).await == 0).await;
    assert_eq!(left(far_shard).await, 1);
    assert_eq!(sink.ids(theirs.id), Vec::<String>::new());
    assert!(engine.status(theirs.id).await.is_none());
    // Changes of another shard are irrelevant to it.
    let version = change(&store, theirs.id, |it| it.send_product_identifier = true).await;
    assert!(!store.in_effect(far_shard, version, Duration::from_secs(1)).await);

    let other = start(far_shard).await;
    until("its own engine delivers it", async || sink.ids(theirs.id) == ["far"]).await;
    assert!(store.in_effect(far_shard, version, Duration::from_secs(1)).await);
    engine.stop().await;
    other.stop().await;
}
