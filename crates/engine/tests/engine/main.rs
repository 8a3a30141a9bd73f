//! The running engine over the in-memory store and a sink of the test, under paused time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fencing;
mod room;
mod topics;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::attempt::AttemptOutcome;
use domain::destination::Destination;
use domain::log_entry::{Action, LogBody, LogOrder, LogQuery};
use domain::notification::NotificationKind;
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};
use domain::subscription::{Selection, Subscription, SubscriptionStatus};
use domain::testing::{self, UPDATED};
use domain::{Clock, Event, EventType, PimId, Position, SubscriptionId};
use engine::{Engine, Settings};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sinks::heard::Heard;
use sinks::{Delivery, Sink};
use store::conformance::sample;
use store::memory::{MemorySettings, MemoryStore};
use store::{Change, Entries, EventLog, KeepBounds, Ledger, Outbox, Put, Scope, Shard, Shards, Store, Subscriptions};

const PIM: PimId = PimId(1);

fn event(id: &str) -> Event {
    let data = r#"{"product":{"uuid":"u"},"author":{"identifier":"julia","type":"user"}}"#;
    testing::event(id, UPDATED, data)
}

fn to(destination: Destination, events: &[&str]) -> Subscription {
    let events = events.iter().map(|name| EventType::new(name)).collect();
    Subscription { selection: Selection { events, filter: None }, ..testing::subscription(destination) }
}

fn subscription(events: &[&str]) -> Subscription {
    to(testing::https("https://receiver.example/hook"), events)
}

fn topic_subscription(events: &[&str]) -> Subscription {
    to(testing::pubsub("topic"), events)
}

/// Answers each attempt as set by the test, and records the events.
#[derive(Default)]
struct TestSink {
    delivered: Mutex<HashMap<SubscriptionId, Vec<String>>>,
    answers: Mutex<HashMap<SubscriptionId, Outcome>>,
    /// Batch sizes of the attempts, in order.
    sizes: Mutex<HashMap<SubscriptionId, Vec<usize>>>,
    panics: Mutex<Option<SubscriptionId>>,
    hangs: Mutex<Option<SubscriptionId>>,
}

impl TestSink {
    fn ids(&self, of: SubscriptionId) -> Vec<String> {
        self.delivered.lock().unwrap().get(&of).cloned().unwrap_or_default()
    }
}

impl Sink for TestSink {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        let id = delivery.subscription.id;
        let ids = delivery.events.iter().map(|event| event.event.id().to_owned());
        self.delivered.lock().unwrap().entry(id).or_default().extend(ids);
        self.sizes.lock().unwrap().entry(id).or_default().push(delivery.events.len());
        if self.panics.lock().unwrap().take_if(|panics| *panics == id).is_some() {
            return async { panic!("a fault of the test") }.boxed();
        }
        let outcome = self.answers.lock().unwrap().get(&id).cloned().unwrap_or(Outcome::Delivered);
        let outcome = vec![outcome; delivery.events.len()];
        if *self.hangs.lock().unwrap() == Some(id) {
            return async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                outcome
            }
            .boxed();
        }
        std::future::ready(outcome).boxed()
    }

    fn forget(&self, _: SubscriptionId) {}
}

async fn create(store: &MemoryStore, subscription: &Subscription) -> u64 {
    sample::create(store, subscription.clone()).await.version
}

async fn change(store: &MemoryStore, id: SubscriptionId, edit: impl FnOnce(&mut Subscription)) -> u64 {
    let mut subscription = store.subscription(id).await.unwrap().unwrap();
    edit(&mut subscription);
    subscription.revision += 1;
    let change = Change { subscriptions: vec![Put::Changed(subscription)], ..Change::default() };
    store.change(change).await.unwrap().version
}

async fn append(store: &MemoryStore, ids: impl IntoIterator<Item = String>) {
    let events = ids.into_iter().map(|id| event(&id)).collect();
    store.append(PIM, events, Clock::system().wall()).await.unwrap();
}

fn numbered(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("e{number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn attempts_are_remembered_with_their_outcomes() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let subscription = subscription(&[UPDATED]);
    create(&store, &subscription).await;
    let engine = start(&store, &sink).await;
    append(&store, numbered(0..150)).await;
    until("all delivered", async || sink.ids(subscription.id).len() == 150).await;
    let failure = Failure::without_status(ErrorReason::ConnectionRefused, "no listener");
    // Nothing else answers, so the silence is not attributed to the destination at first.
    let unanswered = Outcome::Silent(failure.clone());
    for (id, outcome) in [("refused", Outcome::Refused(failure)), ("unanswered", unanswered)] {
        sink.answers.lock().unwrap().insert(subscription.id, outcome);
        append(&store, [id.to_owned()]).await;
        until("tried", async || sink.ids(subscription.id).contains(&id.to_owned())).await;
    }
    until("remembered", async || &*engine.attempts().of(subscription.id).attempts[0].event_id == "unanswered").await;
    let remembered = engine.attempts().of(subscription.id);
    assert_eq!(remembered.attempts.len(), 100);
    let of = |place: usize| {
        let attempt = &remembered.attempts[place];
        (&*attempt.event_id, attempt.outcome, attempt.error_reason)
    };
    assert_eq!(of(1), ("refused", AttemptOutcome::Failed, Some(ErrorReason::ConnectionRefused)));
    assert_eq!((of(2).1, of(2).2), (AttemptOutcome::Delivered, None));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_logged_and_sent_to_those_who_want_it() {
    for wants in [true, false] {
        let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
        let subscription = subscription(&[UPDATED]);
        create(&store, &subscription).await;
        let mut subscriber = store.subscriber(subscription.subscriber_id).await.unwrap().unwrap();
        subscriber.contact.notify_failing = wants;
        subscriber.revision += 1;
        store.change(Change { subscriber: Some(Put::Changed(subscriber)), ..Change::default() }).await.unwrap();
        let engine = start(&store, &sink).await;
        append(&store, numbered(0..28)).await;
        until("delivered", async || sink.ids(subscription.id).len() == 28).await;
        let failure = Failure::without_status(ErrorReason::ConnectionRefused, "no listener");
        sink.answers.lock().unwrap().insert(subscription.id, Outcome::Refused(failure));
        append(&store, numbered(28..30)).await;
        let query = LogQuery {
            log_type: None,
            order: LogOrder::Ascending,
            limit: 10,
            skip: 0,
            after: None,
            subscriber_id: None,
            subscription_id: Some(subscription.id),
            operation: Some(Action::SubscriptionFailing.as_str().to_owned()),
            error_reason: None,
            start_time: None,
            end_time: None,
        };
        let entries = async || store.entries(&subscription.owner(), &query).await.unwrap().entries;
        until("logged", async || !entries().await.is_empty()).await;
        let entries = entries().await;
        let said = "28 of 30 deliveries of the last hour succeeded, fewer than 95 %; below 90 % the subscription is \
                    suspended and its undelivered events are dropped; the latest failure: no listener";
        assert_eq!((entries.len(), entries[0].reason.as_deref()), (1, Some(said)));
        let sent = store.notifications(Shard::FIRST, None, 10).await.unwrap();
        let sent: Vec<_> = sent.iter().map(|one| (one.notification.kind, one.notification.reason.as_deref())).collect();
        assert_eq!(sent, if wants { vec![(NotificationKind::Failing, Some(said))] } else { Vec::new() });
        engine.stop().await;
    }
}

/// Without a rate limit, so that a test needs no time.
fn quick() -> Settings {
    let mut settings = Settings { host_rate: 1_000_000, ..Settings::default() };
    settings.delivery.highest_rate = 1e6;
    settings.delivery.first_rate = 1e6;
    settings
}

/// A clock that follows tokio's.
fn virtual_clock() -> Clock {
    let (begin, origin) = (tokio::time::Instant::now(), Clock::system().wall());
    Clock::new(move || (origin + begin.elapsed()).into())
}

async fn start(store: &Arc<MemoryStore>, sink: &Arc<TestSink>) -> Engine {
    let (store, sink) = (store.clone() as Arc<dyn Store>, sink.clone() as Arc<dyn Sink>);
    Engine::start(store, Shard::FIRST, sink, quick(), virtual_clock(), None, Heard::default()).await.unwrap()
}

/// Advances virtual time in steps until the condition holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("did not come about: {what}");
}

#[tokio::test(start_paused = true)]
async fn delivers_to_each_matching_subscription() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let (all, other) = (subscription(&[UPDATED]), subscription(&["com.akeneo.pim.v1.product.created"]));
    create(&store, &all).await;
    create(&store, &other).await;
    let engine = start(&store, &sink).await;
    append(&store, numbered(0..500)).await;
    until("all delivered", async || sink.ids(all.id).len() == 500).await;
    assert_eq!(sink.ids(other.id), Vec::<String>::new());
    let mut ids = sink.ids(all.id);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 500);
    let tenure = engine.tenure();
    engine.stop().await;
    assert_eq!(store.load(&tenure).await.unwrap().mark, store.head(Shard::FIRST).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_change_is_in_effect_for_the_next_event() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let engine = start(&store, &sink).await;
    let subscription = subscription(&[UPDATED]);
    append(&store, ["before".to_owned()]).await;
    let version = create(&store, &subscription).await;
    assert!(store.in_effect(Shard::FIRST, version, Duration::from_secs(1)).await);
    append(&store, ["first".to_owned()]).await;
    // Back to back, without waiting: only the order of the commits decides.
    change(&store, subscription.id, |it| it.selection.events = vec![EventType::new("other.type")]).await;
    append(&store, ["while deselected".to_owned()]).await;
    change(&store, subscription.id, |it| it.selection.events = vec![EventType::new(UPDATED)]).await;
    append(&store, ["last".to_owned()]).await;
    until("the last is delivered", async || sink.ids(subscription.id).contains(&"last".to_owned())).await;
    assert_eq!(sink.ids(subscription.id), ["first", "last"]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_stopped() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let subscription = subscription(&[UPDATED]);
    create(&store, &subscription).await;
    let engine = start(&store, &sink).await;
    append(&store, numbered(0..100)).await;
    until("the first hundred", async || sink.ids(subscription.id).len() == 100).await;
    engine.stop().await;
    append(&store, numbered(100..200)).await;
    let store = Arc::new(store.reopen());
    let engine = start(&store, &sink).await;
    until("the second hundred", async || sink.ids(subscription.id).len() == 200).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sink.ids(subscription.id).len(), 200, "delivered twice");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_platform_suspends_once_and_reports_dropped_events() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let subscription = subscription(&[UPDATED]);
    create(&store, &subscription).await;
    let failure =
        Failure { reason: ErrorReason::DestinationNotFound, code: 404, message: "Not found.".into(), answer: None };
    sink.answers.lock().unwrap().insert(subscription.id, Outcome::Broken(failure));
    let engine = start(&store, &sink).await;
    append(&store, numbered(0..300)).await;
    let status = async || store.subscription(subscription.id).await.unwrap().unwrap().status;
    let reason = SuspensionReason::Destination(ErrorReason::DestinationNotFound);
    until("suspended", async || status().await == SubscriptionStatus::Suspended(reason)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let query = LogQuery {
        log_type: None,
        order: LogOrder::Ascending,
        limit: 100,
        skip: 0,
        after: None,
        subscriber_id: None,
        subscription_id: Some(subscription.id),
        operation: None,
        error_reason: None,
        start_time: None,
        end_time: None,
    };
    let entries = store.entries(&subscription.owner(), &query).await.unwrap().entries;
    let suspensions: Vec<_> = entries
        .iter()
        .filter(|entry| matches!(entry.body, LogBody::Action(Action::SubscriptionSuspendedByThePlatform)))
        .collect();
    let notifications = store.notifications(Shard::FIRST, None, 10).await.unwrap();
    assert_eq!((suspensions.len(), notifications.len()), (1, 1));
    // Both describe the problem in the words of the failure.
    assert_eq!(suspensions[0].reason.as_deref(), Some("Not found."));
    assert_eq!(notifications[0].notification.reason.as_deref(), Some("Not found."));
    let sent = sink.ids(subscription.id).len();
    let failed = entries.iter().find_map(|entry| entry.attempt.as_deref()).expect("an entry about an attempt");
    assert_eq!((failed.method.as_deref(), &failed.url), (Some("POST"), &subscription.destination.to_string()));
    let latest = failed.event_id.as_deref().expect("the latest event");
    assert!(sink.ids(subscription.id).iter().any(|id| id == latest), "{latest} was not sent");
    let dropped = format!("{} events were dropped", 300 - sent);
    let reported = entries.iter().any(|entry| match &entry.body {
        LogBody::FailedDelivery(failure) => failure.message.starts_with(&dropped),
        LogBody::Action(_) | LogBody::Refused(_) => false,
    });
    assert!(reported, "{sent} sent, no entry says {dropped:?}: {entries:#?}");
    append(&store, numbered(300..310)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sink.ids(subscription.id).len(), sent, "sent after the suspension");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_hanging_destination_changes_nothing_for_another() {
    let (store, sink) = (Arc::new(MemoryStore::default()), Arc::new(TestSink::default()));
    let (slow, fast) = (subscription(&[UPDATED]), subscription(&[UPDATED]));
    create(&store, &slow).await;
    create(&store, &fast).await;
    *sink.hangs.lock().unwrap() = Some(slow.id);
    let engine = start(&store, &sink).await;
    for round in 0..20 {
        append(&store, numbered(round * 100..round * 100 + 100)).await;
        let wanted = (round as usize + 1) * 100;
        until("the fast one has the round", async || sink.ids(fast.id).len() == wanted).await;
    }
    assert!(sink.ids(slow.id).len() <= 64, "more under way than allowed");
    let status = engine.status(slow.id).await.unwrap();
    assert_eq!(status.backlog, 2000);
    assert_eq!(status.in_flight, 64);
    assert!(!status.backlog_at_least);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn unneeded_events_are_deleted() {
    let settings = MemorySettings { keep: KeepBounds::NONE, ..MemorySettings::default() };
    let (store, sink) = (Arc::new(MemoryStore::new(settings)), Arc::new(TestSink::default()));
    let subscription = subscription(&[UPDATED]);
    create(&store, &subscription).await;
    let failure =
        Failure { reason: ErrorReason::DestinationFailure, code: 503, message: "Unavailable.".into(), answer: None };
    let engine = start(&store, &sink).await;
    append(&store, numbered(0..10)).await;
    until("delivered", async || sink.ids(subscription.id).len() == 10).await;
    sink.answers.lock().unwrap().insert(subscription.id, Outcome::Failed(failure));
    append(&store, ["fails".to_owned()]).await;
    until("tried", async || sink.ids(subscription.id).len() == 11).await;
    sink.answers.lock().unwrap().clear();
    append(&store, numbered(10..20)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let limit = store::ReadLimit { events: 100, bytes: 1 << 20, until: store.tail(Shard::FIRST).head() };
    let kept = store.read(Scope::Shard(Shard::FIRST), Position::FIRST, limit).await.unwrap().events;
    assert_eq!(kept.first().map(|event| event.event.id().to_owned()).as_deref(), Some("fails"));
    tokio::time::sleep(Duration::from_secs(6 * 60)).await;
    assert_eq!(store.read(Scope::Shard(Shard::FIRST), Position::FIRST, limit).await.unwrap().events, []);
    engine.stop().await;
}
