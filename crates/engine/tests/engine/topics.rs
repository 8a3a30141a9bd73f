//! Topics: batches, order, and the effects of a hanging or missing topic on itself and others.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::{ErrorReason, Failure, Outcome};
use store::memory::MemoryStore;
use store::{EventLog, Ledger, Shard};

use crate::{TestSink, UPDATED, append, create, numbered, start, subscription, topic_subscription, until};

#[tokio::test(start_paused = true)]
async fn a_topic_gets_its_events_in_batches_and_in_order() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let subscription = topic_subscription(&[UPDATED]);
    create(&store, &subscription).await;
    let engine = start(&store, &sink).await;
    append(&store, numbered(0..5_000)).await;
    until("all delivered", async || sink.ids(subscription.id).len() >= 5_000).await;
    assert_eq!(sink.ids(subscription.id), numbered(0..5_000));
    let sizes = sink.sizes.lock().unwrap().remove(&subscription.id).unwrap();
    assert!(sizes.iter().all(|size| *size <= 1_000), "{sizes:?}");
    assert!(sizes.len() <= 50, "{} attempts for 5,000 events", sizes.len());
    assert_eq!(engine.status(subscription.id).await.unwrap().rate, None);
    let tenure = engine.tenure();
    engine.stop().await;
    assert_eq!(store.load(&tenure).await.unwrap().mark, store.head(Shard::FIRST).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_was_away_gets_everything_in_order_after_a_restart() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let subscription = topic_subscription(&[UPDATED]);
    create(&store, &subscription).await;
    let failure =
        Failure { reason: ErrorReason::ConnectionRefused, code: 500, message: "Refused.".into(), answer: None };
    sink.answers.lock().unwrap().insert(subscription.id, Outcome::Failed(failure));
    let engine = start(&store, &sink).await;
    append(&store, numbered(0..3_000)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let tried = sink.sizes.lock().unwrap().get(&subscription.id).map_or(0, Vec::len);
    assert!((4..=8).contains(&tried), "{tried} attempts within half a minute");
    engine.stop().await;
    sink.answers.lock().unwrap().clear();
    sink.delivered.lock().unwrap().clear();
    let store = Arc::new(store.reopen());
    let engine = start(&store, &sink).await;
    until("all delivered", async || sink.ids(subscription.id).len() >= 3_000).await;
    assert_eq!(sink.ids(subscription.id), numbered(0..3_000));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_hanging_topic_changes_nothing_for_others() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let slow = topic_subscription(&[UPDATED]);
    let others = [topic_subscription(&[UPDATED]), subscription(&[UPDATED])];
    for subscription in others.iter().chain([&slow]) {
        create(&store, subscription).await;
    }
    *sink.hangs.lock().unwrap() = Some(slow.id);
    let engine = start(&store, &sink).await;
    let begun = tokio::time::Instant::now();
    for round in 0..20 {
        append(&store, numbered(round * 100..round * 100 + 100)).await;
        let wanted = (round as usize + 1) * 100;
        until("the others have the round", async || others.iter().all(|one| sink.ids(one.id).len() == wanted)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "the others took {:?}", begun.elapsed());
    let sizes = sink.sizes.lock().unwrap()[&slow.id].clone();
    assert_eq!(sizes.len(), 1, "one batch at a time, not {sizes:?}");
    let status = engine.status(slow.id).await.unwrap();
    assert_eq!((status.backlog, status.in_flight), (2000, sizes[0] as u64));
    engine.stop().await;
}

/// A panic in a sink left the attempt without an end, and the lane waited forever.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_is_made_again_and_does_not_count() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let subscription = topic_subscription(&[UPDATED]);
    create(&store, &subscription).await;
    *sink.panics.lock().unwrap() = Some(subscription.id);
    let engine = start(&store, &sink).await;
    append(&store, ["event".to_owned()]).await;
    until("sent again", async || sink.ids(subscription.id).len() == 2).await;
    let status = engine.status(subscription.id).await.unwrap();
    assert_eq!((status.delivered_in_window, status.failed_in_window), (1, 0));
    engine.stop().await;
}
