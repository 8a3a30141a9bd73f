//! Brokers that restart, die and hang under load: nothing is lost, and the events of one entity stay in order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::LoggedEvent;
use domain::outcome::{ErrorReason, Outcome};
use sinks::Sink;

use super::*;
use crate::conformance::{deliver, event_of_size};

/// Events of a batch, and their entities.
const BATCH: u64 = 250;
const ENTITIES: u64 = 7;

fn numbered(number: u64) -> Arc<LoggedEvent> {
    event_of_size(number, &format!("e{}", number % ENTITIES), 300)
}

/// Sends events like a lane: one batch at a time, failed events first. Returns the number of failed attempts.
async fn send_until(sink: &dyn Sink, subscription: &Subscription, stop: &AtomicBool, sent: &AtomicUsize) -> usize {
    let mut failures = 0;
    let mut next = 0;
    let mut waiting: Vec<Arc<LoggedEvent>> = Vec::new();
    while !waiting.is_empty() || !stop.load(Ordering::SeqCst) {
        if waiting.is_empty() {
            waiting = (next..next + BATCH).map(numbered).collect();
            next += BATCH;
        }
        let outcomes = deliver(sink, subscription, waiting.clone()).await;
        let mut left = Vec::new();
        for (event, outcome) in waiting.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Delivered => {
                    sent.fetch_add(1, Ordering::SeqCst);
                }
                Outcome::Failed(failure) | Outcome::Silent(failure) => {
                    assert_ne!(failure.reason, ErrorReason::DestinationFailure, "{}", failure.message);
                    left.push(event);
                }
                other => panic!("{other:?}"),
            }
        }
        if !left.is_empty() {
            failures += 1;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        waiting = left;
    }
    failures
}

/// Checks that all of `count` events arrived, each entity's in order: one may be repeated, but only together with all
/// that came after it.
fn check_arrived(records: &[Record], count: usize, may_repeat: bool) {
    let mut by_entity: HashMap<&str, Vec<u64>> = HashMap::new();
    for record in records {
        let value = record.value.as_deref().unwrap();
        let id = value.split(r#""id":"018e32e0-5c1e-7f4b-9a3b-"#).nth(1).unwrap();
        let number: u64 = id[..12].parse().unwrap();
        by_entity.entry(record.key.as_deref().unwrap()).or_default().push(number);
    }
    let mut arrived = 0;
    for (entity, numbers) in by_entity {
        let mut expected = numbers[0] % ENTITIES;
        for number in &numbers {
            assert!(*number <= expected, "{entity}: {number} came before {expected}");
            assert!(may_repeat || *number == expected, "{entity}: {number} came again");
            expected = number + ENTITIES;
        }
        let highest = numbers.iter().max().unwrap();
        assert_eq!(numbers.last(), Some(highest), "{entity}: what came last is not the newest");
        arrived += usize::try_from(highest / ENTITIES).unwrap() + 1;
    }
    assert_eq!(arrived, count);
}

async fn arrives_whatever_happens(
    settings: KafkaSettings,
    happens: impl FnOnce(&Broker) -> anyhow::Result<()>,
    must_fail: bool,
) {
    // It will be disrupted: no other test may share it.
    let broker = match blocking(Broker::start) {
        Ok(broker) => broker,
        Err(error) => return parts::left_out("Apache Kafka", &error),
    };
    let topic = topic(&broker, 3, &[]);
    let subscription = on_sasl(&broker, &topic);
    let sink = sink(settings);
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let sending = tokio::spawn({
        let (sink, stop, sent) = (sink.clone(), stop.clone(), sent.clone());
        async move { send_until(&*sink, &subscription, &stop, &sent).await }
    });
    let more = async |count: usize| {
        let target = sent.load(Ordering::SeqCst) + count;
        while sent.load(Ordering::SeqCst) < target {
            assert!(!sending.is_finished());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    more(500).await;
    blocking(|| happens(&broker)).unwrap();
    more(500).await;
    stop.store(true, Ordering::SeqCst);
    let failures = sending.await.unwrap();
    assert!(failures > 0 || !must_fail, "no attempt failed: the test shows nothing");
    let sent = sent.load(Ordering::SeqCst);
    check_arrived(&consumed(&broker, &topic, sent), sent, failures > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_restarts_in_an_orderly_way_and_is_killed() {
    let happens = |broker: &Broker| {
        broker.restart()?;
        broker.kill_and_restart()
    };
    arrives_whatever_happens(KafkaSettings::default(), happens, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_hangs_for_longer_than_an_attempt_lasts_and_is_killed_for_as_long() {
    let settings = KafkaSettings {
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(1),
        delivery_timeout: Duration::from_millis(2_500),
        ..KafkaSettings::default()
    };
    let happens = |broker: &Broker| {
        broker.pause()?;
        std::thread::sleep(Duration::from_secs(6));
        broker.resume()?;
        broker.kill()?;
        std::thread::sleep(Duration::from_secs(4));
        broker.up()
    };
    arrives_whatever_happens(settings, happens, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_follows_a_failed_wave_even_if_the_broker_returns() {
    let broker = match blocking(Broker::start) {
        Ok(broker) => broker,
        Err(error) => return parts::left_out("Apache Kafka", &error),
    };
    let topic = topic(&broker, 1, &[]);
    let subscription = on_sasl(&broker, &topic);
    let settings = KafkaSettings {
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(1),
        delivery_timeout: Duration::from_secs(3),
        ..KafkaSettings::default()
    };
    let sink = sink(settings);
    assert_eq!(deliver(&*sink, &subscription, vec![numbered(0)]).await, [Outcome::Delivered]);
    broker.pause().unwrap();
    // Each is too large to share a batch with another: they are sent one after the other.
    let large: Vec<_> = (1..=3).map(|step| event_of_size(step * ENTITIES, "e0", 100_000)).collect();
    let attempt = deliver(&*sink, &subscription, large.clone());
    let (outcomes, ()) = tokio::join!(attempt, async {
        // The first has failed, the second would get through.
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        broker.resume().unwrap();
    });
    for outcome in &outcomes {
        assert!(
            matches!(outcome, Outcome::Silent(failure) if failure.reason == ErrorReason::DestinationTimeout),
            "{outcome:?}"
        );
    }
    // Like the lane.
    let mut outcomes = outcomes;
    while outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Silent(_))) {
        outcomes = deliver(&*sink, &subscription, large.clone()).await;
    }
    assert_eq!(outcomes, vec![Outcome::Delivered; 3]);
    check_arrived(&consumed(&broker, &topic, 4), 4, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_behind_the_back_of_an_attempt_that_was_given_up() {
    let broker = match blocking(Broker::start) {
        Ok(broker) => broker,
        Err(error) => return parts::left_out("Apache Kafka", &error),
    };
    let topic = topic(&broker, 1, &[]);
    let subscription = on_sasl(&broker, &topic);
    let sink = sink(KafkaSettings::default());
    assert_eq!(deliver(&*sink, &subscription, vec![numbered(0)]).await, [Outcome::Delivered]);
    blocking(|| broker.kill()).unwrap();
    let attempt = deliver(&*sink, &subscription, vec![numbered(1), numbered(2)]);
    let given_up = tokio::time::timeout(Duration::from_secs(1), attempt).await;
    assert!(given_up.is_err(), "{given_up:?}");
    blocking(|| broker.up()).unwrap();
    // A producer that continued would have sent by then: it retries every second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let by = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let outcomes = deliver(&*sink, &subscription, vec![numbered(3)]).await;
        if outcomes == [Outcome::Delivered] {
            break;
        }
        assert!(std::time::Instant::now() < by, "{outcomes:?}");
    }
    let keys: Vec<_> = consumed(&broker, &topic, 2).into_iter().filter_map(|record| record.key).collect();
    assert_eq!(keys, ["product e0", "product e3"]);
}
