//! Sample data of the tests.

use std::time::Duration;

use domain::destination::{CustomHeaders, Destination, PubsubDestination};
use domain::log_entry::{Action, LogBody, LogEntry, LogOrder, LogQuery};
use domain::notification::{Notification, NotificationKind};
use domain::outcome::{ErrorReason, Failure, SuspensionReason};
use domain::pim::{Pim, StaticToken};
use domain::subscriber::{Contact, Owner, Subscriber};
use domain::subscription::{Selection, Subscription, SubscriptionStatus};
use domain::{ClientId, Event, EventType, PimId, Position, Secret, SubscriberId, Timestamp, testing};

use crate::Store;
use crate::catalog::{Change, Made, Put};
use crate::error::ChangeError;
use crate::event_log::{ReadLimit, Scope};
use crate::ledger::LaneSave;
use crate::shard::{Shard, Tenure};

/// The PIM of most tests.
pub const PIM: PimId = PimId(1);
/// Another PIM, in the same shard for any number of shards.
pub const OTHER: PimId = PimId(65);
/// A PIM of another shard, if there are several.
pub const FAR: PimId = PimId(2);

/// Suspended by the user.
pub const SUSPENDED: SubscriptionStatus = SubscriptionStatus::Suspended(SuspensionReason::User);

/// The shard of most tests.
pub fn shard(store: &dyn Store) -> Shard {
    store.shard_of(PIM)
}

/// All of the shard's events.
pub fn everything(store: &dyn Store) -> Scope {
    Scope::Shard(shard(store))
}

/// Takes over the shard: each test step is a new owner.
pub async fn own(store: &dyn Store) -> Tenure {
    store.take(shard(store)).await.unwrap()
}

/// The instant this many seconds after some morning.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + seconds * 1_000_000)
}

/// An event with this id.
pub fn event(id: &str) -> Event {
    let data = format!("{{\"product\":{{\"uuid\":\"{id}\"}}}}");
    testing::event(id, "com.example.happened", &data)
}

/// Events with these space-separated ids.
pub fn events(ids: &str) -> Vec<Event> {
    ids.split_whitespace().map(event).collect()
}

/// No limit.
pub const ALL: ReadLimit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };

/// Appends events with these ids.
pub async fn append(store: &dyn Store, pim: PimId, ids: &str, now: Timestamp) {
    store.append(pim, events(ids), now).await.unwrap();
}

/// Advances the hours of service.
pub async fn serve(store: &dyn Store, hours: u64) {
    store.served(&store.take(Shard::FIRST).await.unwrap(), Duration::from_secs(hours * 3600)).await.unwrap();
}

/// Ids of the events from `from` on, and the next position.
pub async fn read(store: &dyn Store, pim: Option<PimId>, from: u64, limit: ReadLimit) -> (String, u64) {
    let scope = pim.map_or_else(|| everything(store), Scope::Pim);
    let chunk = store.read(scope, Position(from), limit).await.unwrap();
    let ids: Vec<&str> = chunk.events.iter().map(|event| event.event.id()).collect();
    assert!(chunk.events.is_sorted_by(|a, b| a.position < b.position));
    (ids.join(" "), chunk.next.0)
}

/// Owner of the samples.
pub fn owner() -> Owner {
    Owner { pim: PIM, client_id: ClientId("client".to_owned()) }
}

/// A subscriber.
pub fn subscriber() -> Subscriber {
    Subscriber {
        contact: Contact {
            technical_email: "contact@example.com".to_owned(),
            email: true,
            webhook: true,
            webhook_url: Some("https://example.com/hook".to_owned()),
            webhook_secret: Some(Secret::new("sixteen characters")),
            notify_failing: false,
        },
        created_at: at(0),
        updated_at: at(0),
        ..testing::subscriber(owner())
    }
}

/// A selection of this event type.
pub fn selection(name: &str) -> Selection {
    Selection { events: vec![EventType::new(name)], filter: None }
}

/// A subscription of a subscriber.
pub fn subscription(of: &Subscriber) -> Subscription {
    let headers = CustomHeaders(vec![("x-team".to_owned(), Secret::new("blue"))]);
    let destination =
        PubsubDestination { project_id: "example-project".to_owned(), topic_id: "events".to_owned(), headers };
    Subscription {
        subscriber_id: of.id,
        pim: of.owner.pim,
        client_id: of.owner.client_id.clone(),
        selection: selection("com.example.happened"),
        status_since: Position(0),
        created_at: at(0),
        updated_at: at(0),
        ..testing::subscription(Destination::Pubsub(destination))
    }
}

/// The subscription with the next revision and a modification.
pub fn changed(stored: &Subscription, change: impl FnOnce(&mut Subscription)) -> Subscription {
    let mut next = stored.clone();
    next.revision += 1;
    change(&mut next);
    next
}

/// A change of subscriptions with the contract's limits.
pub fn change(subscriptions: Vec<Put<Subscription>>) -> Change {
    Change { subscriptions, subscriber_limit: 20, subscription_limit: 20, ..Change::default() }
}

/// Creates a subscription with its own subscriber.
pub async fn create(store: &dyn Store, subscription: Subscription) -> Made {
    let mut change = change(vec![Put::New(subscription.clone())]);
    change.subscriber = Some(Put::New(testing::subscriber_of(&subscription)));
    store.change(change).await.unwrap()
}

/// Creates a subscriber with one subscription.
pub async fn make(store: &dyn Store) -> (Subscriber, Subscription) {
    let subscriber = subscriber();
    let subscription = subscription(&subscriber);
    let mut change = change(vec![Put::New(subscription)]);
    change.subscriber = Some(Put::New(subscriber.clone()));
    let mut made = store.change(change).await.unwrap();
    (subscriber, made.subscriptions.remove(0))
}

/// An empty save of a subscription's lane, which follows the mark.
pub fn lane(of: &Subscription) -> LaneSave {
    LaneSave {
        subscription: of.id,
        generation: of.generation,
        cursor: None,
        memory: None,
        exceptions: Vec::new(),
        settled: Vec::new(),
        drop_exceptions: false,
        entries: Vec::new(),
        facts: Default::default(),
    }
}

/// Changes a subscription and returns it as stored.
pub async fn put(store: &dyn Store, next: Subscription) -> Subscription {
    try_put(store, next).await.unwrap().subscriptions.remove(0)
}

/// Tries to change a subscription.
pub async fn try_put(store: &dyn Store, next: Subscription) -> Result<Made, ChangeError> {
    store.change(change(vec![Put::Changed(next)])).await
}

/// An error entry.
pub fn error(message: &str, at: Timestamp) -> LogEntry {
    let failure =
        Failure { reason: ErrorReason::DestinationTimeout, code: 500, message: message.to_owned(), answer: None };
    entry(LogBody::FailedDelivery(failure), at)
}

/// An entry of the sample owner.
pub fn entry(body: LogBody, at: Timestamp) -> LogEntry {
    let any = LogEntry::action(&owner(), SubscriberId::generate(), None, Action::SubscriberCreated, at);
    LogEntry { subscriber_id: None, body, ..any }
}

/// A notification about a subscription.
pub fn notification(about: &Subscription, at: Timestamp) -> Notification {
    let kind = NotificationKind::SuspendedByUser;
    Notification::about(about, kind, Some("because".to_owned()), "https://pim.example.com", at)
}

/// A query for everything, oldest first.
pub fn query() -> LogQuery {
    LogQuery {
        log_type: None,
        order: LogOrder::Ascending,
        limit: 100,
        skip: 0,
        after: None,
        subscriber_id: None,
        subscription_id: None,
        operation: None,
        error_reason: None,
        start_time: None,
        end_time: None,
    }
}

/// A PIM.
pub fn pim(name: &str) -> Pim {
    let token = StaticToken { client_id: ClientId("client".to_owned()), token: Secret::new("token of a client") };
    Pim {
        url: format!("https://{name}.Example.com/"),
        static_tokens: vec![token],
        events_api_secret: Some(Secret::new("secret of the bridge")),
        created_at: at(0),
        ..testing::pim(name)
    }
}
