//! Events dropped when the log is nearly full.

use std::sync::Arc;
use std::time::Duration;

use domain::log_entry::{LogBody, LogOrder, LogQuery};
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Clock, PimId, SubscriptionId};
use store::memory::{MemorySettings, MemoryStore};
use store::{Entries, EventLog, Subscriptions};

use crate::{PIM, TestSink, UPDATED, change, create, event, start, subscription, topic_subscription, until};

/// A store whose log has room for some thousands of a PIM's events.
fn small() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(MemorySettings { max_log_bytes: 600_000, ..MemorySettings::default() }))
}

/// Appends events one by one for a while, if there is room.
async fn append_for(store: &MemoryStore, seconds: u64) -> Vec<bool> {
    let mut taken = Vec::new();
    for _ in 0..seconds {
        for _ in 0..4 {
            let id = SubscriptionId::generate().to_string();
            taken.push(store.append(PIM, vec![event(&id)], Clock::system().wall()).await.is_ok());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    taken
}

async fn dropped(store: &MemoryStore, of: &Subscription) -> Vec<(ErrorReason, String)> {
    let query = LogQuery {
        log_type: None,
        order: LogOrder::Ascending,
        limit: 100,
        skip: 0,
        after: None,
        subscriber_id: None,
        subscription_id: Some(of.id),
        operation: Some(LogBody::FAILED_DELIVERY.to_owned()),
        error_reason: None,
        start_time: None,
        end_time: None,
    };
    let entries = store.entries(&of.owner(), &query).await.unwrap().entries;
    let reported = entries.into_iter().filter_map(|entry| match entry.body {
        LogBody::FailedDelivery(failure) if failure.message.contains("dropped") => {
            Some((failure.reason, failure.message))
        }
        _ => None,
    });
    reported.collect()
}

/// Held events are dropped, oldest first, before a producer is rejected or an active subscription loses events.
#[tokio::test(start_paused = true)]
async fn held_events_give_way_when_the_log_is_nearly_full() {
    let (store, sink) = (small(), Arc::new(TestSink::default()));
    let mut held = subscription(&[UPDATED]);
    held.options.hold = true;
    let active = subscription(&[UPDATED]);
    create(&store, &held).await;
    create(&store, &active).await;
    let engine = start(&store, &sink).await;
    change(&store, held.id, |it| it.status = SubscriptionStatus::Suspended(SuspensionReason::User)).await;
    let taken = append_for(&store, 900).await;
    assert!(taken.iter().all(|taken| *taken), "a producer was sent away");
    until("all delivered", async || sink.ids(active.id).len() == taken.len()).await;
    let reported = dropped(&store, &held).await;
    assert!(
        !reported.is_empty()
            && reported.iter().all(|(reason, message)| {
                *reason == ErrorReason::SubscriptionSuspended && message.contains("nearly full")
            }),
        "{reported:?}"
    );
    assert_eq!(dropped(&store, &active).await, []);
    change(&store, held.id, |it| it.status = SubscriptionStatus::Active).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let kept = sink.ids(held.id).len();
    assert!((100..taken.len()).contains(&kept), "{kept} of {} were kept", taken.len());
    engine.stop().await;
}

/// Without held events, a topic that accepts nothing is suspended before its time limit; such a topic of another PIM
/// continues to wait.
#[tokio::test(start_paused = true)]
async fn a_topic_that_accepts_nothing_gives_way_when_the_log_is_nearly_full() {
    let (store, sink) = (small(), Arc::new(TestSink::default()));
    let topic = topic_subscription(&[UPDATED]);
    let elsewhere = Subscription { pim: PimId(2), ..topic_subscription(&[UPDATED]) };
    let failure =
        Failure { reason: ErrorReason::ConnectionRefused, code: 500, message: "Refused.".into(), answer: None };
    for one in [&topic, &elsewhere] {
        create(&store, one).await;
        sink.answers.lock().unwrap().insert(one.id, Outcome::Failed(failure.clone()));
    }
    let engine = start(&store, &sink).await;
    store.append(PimId(2), vec![event("elsewhere")], Clock::system().wall()).await.unwrap();
    let taken = append_for(&store, 900).await;
    assert!(taken.iter().all(|taken| *taken), "a producer was sent away");
    let status = async |of: &Subscription| store.subscription(of.id).await.unwrap().unwrap().status;
    assert_eq!(status(&topic).await, SubscriptionStatus::Suspended(SuspensionReason::TookNothing));
    assert_eq!(status(&elsewhere).await, SubscriptionStatus::Active);
    assert_eq!(dropped(&store, &topic).await.len(), 1);
    engine.stop().await;
}
