//! Events per second that one topic's lane carries through the real driver to a sink that replies at once, compared
//! with the limits of the same run: the same events in the same batches from the log's tail straight to the sink, and
//! the same appends without a lane.
//!
//! `cargo bench -p engine --bench topic_lane`

#![expect(clippy::print_stdout, reason = "the output of a program for a person's eyes")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{Clock, PimId, Position, SubscriptionId, testing};
use engine::{Engine, Settings};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sinks::heard::Heard;
use sinks::{Delivery, Sink};
use store::conformance::sample;
use store::memory::{MemorySettings, MemoryStore};
use store::{EventLog, Store};

const PIM: PimId = PimId(1);
/// Events per round.
const EVENTS: u64 = 100_000;
/// Approximate bytes of an event's data.
const EVENT_BYTES: usize = 900;
const ROUNDS: usize = 5;
/// A lane's batch size.
const BATCH: usize = 1_000;

/// Counts events and reports them as delivered.
#[derive(Default)]
struct Counting(AtomicU64);

impl Sink for Counting {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        self.0.fetch_add(delivery.events.len() as u64, Ordering::Relaxed);
        std::future::ready(vec![Outcome::Delivered; delivery.events.len()]).boxed()
    }

    fn forget(&self, _: SubscriptionId) {}
}

async fn subscribe(store: &MemoryStore) -> Subscription {
    let subscription = testing::subscription(testing::pubsub("bench"));
    sample::create(store, subscription.clone()).await;
    subscription
}

async fn append(store: &MemoryStore, range: std::ops::Range<u64>) {
    let data = format!(r#"{{"product":{{"uuid":"u"}},"text":"{}"}}"#, "x".repeat(EVENT_BYTES));
    let event = |number: u64| testing::event(&format!("e{number}"), testing::UPDATED, &data);
    store.append(PIM, range.map(event).collect(), Clock::system().wall()).await.unwrap();
}

async fn arrived(sink: &Counting) -> f64 {
    let begun = Instant::now();
    while sink.0.load(Ordering::Relaxed) < EVENTS {
        tokio::time::sleep(Duration::from_micros(200)).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "only {} events", sink.0.load(Ordering::Relaxed));
    }
    assert_eq!(sink.0.load(Ordering::Relaxed), EVENTS, "sent twice");
    EVENTS as f64 / begun.elapsed().as_secs_f64()
}

fn store() -> MemoryStore {
    MemoryStore::new(MemorySettings { tail_bytes: 1 << 30, ..MemorySettings::default() })
}

async fn start(store: Arc<dyn Store>, sink: Arc<dyn Sink>) -> Engine {
    Engine::start(store, store::Shard::FIRST, sink, Settings::default(), Clock::system(), None, Heard::default())
        .await
        .unwrap()
}

/// A lane that is behind by all events.
async fn backlog() -> f64 {
    let (store, sink) = (Arc::new(store()), Arc::new(Counting::default()));
    subscribe(&store).await;
    append(&store, 0..EVENTS).await;
    let engine = start(store, sink.clone()).await;
    let rate = arrived(&sink).await;
    engine.stop().await;
    rate
}

/// A lane that is live when the events arrive, in commits of a hundred. The appends are part of the measurement.
async fn live() -> f64 {
    let (store, sink) = (Arc::new(store()), Arc::new(Counting::default()));
    subscribe(&store).await;
    let engine = start(store.clone(), sink.clone()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let feed = tokio::spawn(async move {
        for from in (0..EVENTS).step_by(100) {
            append(&store, from..from + 100).await;
            tokio::task::yield_now().await;
        }
    });
    let rate = arrived(&sink).await;
    feed.await.unwrap();
    engine.stop().await;
    rate
}

/// From the tail straight to the sink.
async fn ceiling() -> f64 {
    let (store, sink) = (store(), Counting::default());
    let subscription = Arc::new(subscribe(&store).await);
    append(&store, 0..EVENTS).await;
    let begun = Instant::now();
    let mut from = Position::FIRST;
    while let Some(events) = store.tail(store::Shard::FIRST).since(from, BATCH)
        && let Some(last) = events.last()
    {
        from = last.position.next();
        let outcomes = sink
            .deliver(Delivery {
                subscription: subscription.clone(),
                events,
                replay: None,
                traces: Vec::new(),
                answers: Default::default(),
            })
            .await;
        assert_eq!(outcomes.len(), BATCH);
    }
    assert_eq!(sink.0.load(Ordering::Relaxed), EVENTS);
    EVENTS as f64 / begun.elapsed().as_secs_f64()
}

/// Only the appends.
async fn appends() -> f64 {
    let store = store();
    let begun = Instant::now();
    for from in (0..EVENTS).step_by(100) {
        append(&store, from..from + 100).await;
        tokio::task::yield_now().await;
    }
    EVENTS as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (mut behind, mut straight, mut fed, mut alone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        behind.push(backlog().await);
        straight.push(ceiling().await);
        fed.push(live().await);
        alone.push(appends().await);
    }
    println!("one topic's lane, {EVENTS} events of {EVENT_BYTES} bytes, medians of {ROUNDS} rounds");
    row("backlog (ceiling: tail to sink)", &behind, &straight);
    row("live (ceiling: appends alone)", &fed, &alone);
}

fn row(name: &str, figures: &[f64], ceilings: &[f64]) {
    let ratios = figures.iter().zip(ceilings).map(|(figure, ceiling)| figure / ceiling);
    let (ratio, ceiling) = (median(ratios.collect()), median(ceilings.to_vec()));
    println!("{name:<32} {:>10.0} events/s  ceiling {ceiling:>10.0}  ratio {ratio:.3}", median(figures.to_vec()));
}
