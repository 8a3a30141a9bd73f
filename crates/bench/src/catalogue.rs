//! Subscriptions, inserted directly into the catalogue: creating ten thousand through the API would distort the
//! measurement.

use std::net::SocketAddr;

use aws_lc_rs::digest;
use domain::destination::{CustomHeaders, Destination, EndpointUrl, HttpsDestination};
use domain::outcome::SuspensionReason;
use domain::pim::{Origin, Pim, SourceKey};
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::{Options, Selection, Subscription, SubscriptionStatus};
use domain::{ClientId, Clock, EventType, Secret, testing};
use store::{Change, Put, Store};

use crate::topic::Place;

/// Producer key.
pub(crate) const SOURCE_KEY: &str = "a-key-for-benchmarks-only";
/// Number of subscriptions inserted at once.
const AT_ONCE: usize = 500;

/// The subscriptions of a measurement.
#[derive(Clone, Default)]
pub(crate) struct Subscriptions {
    /// Number of subscriptions that receive every event.
    pub(crate) matching: usize,
    /// Number of subscriptions to another type, which receive none.
    pub(crate) others: usize,
    /// Whether a suspended subscription prevents events from being deleted.
    pub(crate) keep_all: bool,
    /// Destination of all of them, instead of the receiver.
    pub(crate) place: Option<Place>,
}

/// Registers a PIM, and subscriptions that send to `receiver`.
pub(crate) async fn fill(store: &dyn Store, receiver: SocketAddr, wanted: Subscriptions) -> anyhow::Result<()> {
    let subscriber = register(store, "bench", SOURCE_KEY).await?;
    let subscription = |event_type: &str| -> anyhow::Result<Put<Subscription>> {
        let destination = match &wanted.place {
            Some(place) => place.destination.clone(),
            None => endpoint(&format!("http://{receiver}/hook"))?,
        };
        Ok(Put::New(subscription(&subscriber, event_type, destination)))
    };
    let mut all = Vec::new();
    for _ in 0..wanted.matching {
        all.push(subscription(crate::sample::EVENT_TYPE)?);
    }
    for _ in 0..wanted.others {
        all.push(subscription(crate::sample::OTHER_TYPE)?);
    }
    let held = if wanted.keep_all { Some(subscription(crate::sample::EVENT_TYPE)?) } else { None };
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(AT_ONCE));
        put(store, std::mem::replace(&mut all, rest)).await?;
    }
    if let Some(held) = held {
        // As in production: it was active before it was suspended.
        let Some(made) = put(store, vec![held]).await?.pop() else { return Ok(()) };
        let suspended = Subscription {
            status: SubscriptionStatus::Suspended(SuspensionReason::User),
            options: Options { hold: true, ..made.options },
            revision: made.revision + 1,
            ..made
        };
        put(store, vec![Put::Changed(suspended)]).await?;
    }
    Ok(())
}

/// Registers another PIM, with a subscription to all events for each of these URLs.
pub(crate) async fn fill_another(
    store: &dyn Store,
    key: &str,
    urls: impl Iterator<Item = String>,
) -> anyhow::Result<()> {
    let subscriber = register(store, "another", key).await?;
    let new = |url: String| Ok(Put::New(subscription(&subscriber, crate::sample::EVENT_TYPE, endpoint(&url)?)));
    put(store, urls.map(new).collect::<anyhow::Result<_>>()?).await?;
    Ok(())
}

/// Registers a PIM with a subscriber.
async fn register(store: &dyn Store, name: &str, key: &str) -> anyhow::Result<Subscriber> {
    let now = Clock::system().wall();
    let sha256 = digest::digest(&digest::SHA256, key.as_bytes());
    let sha256 = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let pim = Pim {
        keys: vec![SourceKey {
            prefix: key.chars().take(5).collect(),
            sha256,
            created_at: now,
            origin: Origin::Command,
        }],
        created_at: now,
        ..testing::pim(name)
    };
    let owner = Owner { pim: store.add_pim(pim).await?.id, client_id: ClientId("bench".to_owned()) };
    let subscriber = Subscriber { created_at: now, updated_at: now, ..testing::subscriber(owner) };
    let change =
        Change { subscriber: Some(Put::New(subscriber.clone())), subscriber_limit: usize::MAX, ..Change::default() };
    store.change(change).await?;
    Ok(subscriber)
}

fn endpoint(url: &str) -> anyhow::Result<Destination> {
    Ok(Destination::Https(HttpsDestination {
        url: EndpointUrl::parse(url, true)?,
        primary: Secret::new("the secret of a benchmark"),
        secondary: None,
        headers: CustomHeaders(Vec::new()),
    }))
}

fn subscription(of: &Subscriber, event_type: &str, destination: Destination) -> Subscription {
    Subscription {
        subscriber_id: of.id,
        pim: of.owner.pim,
        client_id: of.owner.client_id.clone(),
        selection: Selection { events: vec![EventType::new(event_type)], filter: None },
        send_product_identifier: true,
        created_at: of.created_at,
        updated_at: of.created_at,
        ..testing::subscription(destination)
    }
}

async fn put(store: &dyn Store, subscriptions: Vec<Put<Subscription>>) -> anyhow::Result<Vec<Subscription>> {
    let change = Change { subscriptions, subscription_limit: usize::MAX, ..Change::default() };
    Ok(store.change(change).await?.subscriptions)
}
