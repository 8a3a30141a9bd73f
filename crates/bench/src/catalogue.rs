//! Subscriptions, inserted directly into the catalogue: creating ten thousand through the API would distort the
//! measurement.

use aws_lc_rs::digest;
use domain::destination::{CustomHeaders, Destination, EndpointUrl, HttpsDestination};
use domain::filter::Filter;
use domain::outcome::SuspensionReason;
use domain::pim::{Origin, Pim, SourceKey, StaticToken};
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::{Options, Selection, Subscription, SubscriptionStatus};
use domain::{ClientId, Clock, EventType, Secret, testing};
use store::{Change, Put, Store};

use crate::topic::Place;

/// Producer key.
pub(crate) const SOURCE_KEY: &str = "a-key-for-benchmarks-only";
/// The client of each PIM.
pub(crate) const CLIENT: &str = "bench";
/// Its token.
pub(crate) const TOKEN: &str = "a-token-for-benchmarks-only";
/// PIMs with full clients.
const FULL_PIMS: usize = 25;
/// Subscribers of a full client, and subscriptions of each of them.
const FULL_CLIENT: usize = 20;
/// A filter that no event passes.
const NO_EVENT: &str = "user=\"nobody\"";
/// Number of subscriptions inserted at once.
const AT_ONCE: usize = 500;

/// The subscriptions of a measurement.
#[derive(Clone, Default)]
pub(crate) struct Subscriptions {
    /// Number of subscriptions that receive every event.
    pub(crate) matching: usize,
    /// Number of subscriptions to another type, which receive none.
    pub(crate) others: usize,
    /// Number of subscriptions to the same type whose filter excludes every event.
    pub(crate) filtered: usize,
    /// Whether a suspended subscription prevents events from being deleted.
    pub(crate) keep_all: bool,
    /// Destination of all of them, instead of the receiver.
    pub(crate) place: Option<Place>,
}

/// Registers a PIM, and subscriptions that send to the receiver at `url`.
pub(crate) async fn fill(store: &dyn Store, url: &str, wanted: Subscriptions) -> anyhow::Result<()> {
    let subscriber = register(store, "bench", SOURCE_KEY).await?;
    let subscription = |event_type: &str| -> anyhow::Result<Put<Subscription>> {
        let destination = match &wanted.place {
            Some(place) => place.destination.clone(),
            None => endpoint(url)?,
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
    for _ in 0..wanted.filtered {
        let Put::New(made) = subscription(crate::sample::EVENT_TYPE)? else { continue };
        let selection = Selection { filter: Filter::parse(NO_EVENT)?, ..made.selection };
        all.push(Put::New(Subscription { selection, ..made }));
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

/// The key of a PIM of [`spread`].
pub(crate) fn key_of(pim: usize) -> String {
    format!("{SOURCE_KEY}-{pim}")
}

/// Registers this many PIMs, each with a subscription to all its events and `others` that receive none.
pub(crate) async fn spread(store: &dyn Store, url: &str, pims: usize, others: usize) -> anyhow::Result<()> {
    for pim in 0..pims {
        let subscriber = register(store, &format!("pim-{pim}"), &key_of(pim)).await?;
        let new = |event_type| Ok(Put::New(subscription(&subscriber, event_type, endpoint(url)?)));
        let types =
            [crate::sample::EVENT_TYPE].into_iter().chain(std::iter::repeat_n(crate::sample::OTHER_TYPE, others));
        put(store, types.map(new).collect::<anyhow::Result<_>>()?).await?;
    }
    Ok(())
}

/// Registers PIMs with as many subscribers and subscriptions as a client may have, in all 10,000. One of the first
/// PIM's first client gets every event; the first client's subscriptions in the order of their creation.
pub(crate) async fn fill_up(store: &dyn Store, receiver: &str) -> anyhow::Result<Vec<Subscription>> {
    let mut of_first = Vec::new();
    for pim in 0..FULL_PIMS {
        let key = if pim == 0 { SOURCE_KEY.to_owned() } else { format!("{SOURCE_KEY}-{pim}") };
        let owner = add_pim(store, &format!("pim-{pim}"), &key).await?;
        for number in 0..FULL_CLIENT {
            let subscriber = add_subscriber(store, owner.clone()).await?;
            let new = |index: usize| {
                let matches = (pim, number, index) == (0, 0, 0);
                let of_type = if matches { crate::sample::EVENT_TYPE } else { crate::sample::OTHER_TYPE };
                let url = format!("{receiver}/{pim}/{number}/{index}");
                Ok(Put::New(subscription(&subscriber, of_type, endpoint(&url)?)))
            };
            let made = put(store, (0..FULL_CLIENT).map(new).collect::<anyhow::Result<_>>()?).await?;
            if pim == 0 {
                of_first.extend(made);
            }
        }
    }
    Ok(of_first)
}

/// Registers a PIM with a subscriber.
async fn register(store: &dyn Store, name: &str, key: &str) -> anyhow::Result<Subscriber> {
    let owner = add_pim(store, name, key).await?;
    add_subscriber(store, owner).await
}

/// Registers a PIM with a client.
async fn add_pim(store: &dyn Store, name: &str, key: &str) -> anyhow::Result<Owner> {
    let client_id = ClientId(CLIENT.to_owned());
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
        static_tokens: vec![StaticToken { client_id: client_id.clone(), token: Secret::new(TOKEN) }],
        created_at: now,
        ..testing::pim(name)
    };
    Ok(Owner { pim: store.add_pim(pim).await?.id, client_id })
}

async fn add_subscriber(store: &dyn Store, owner: Owner) -> anyhow::Result<Subscriber> {
    let now = Clock::system().wall();
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
