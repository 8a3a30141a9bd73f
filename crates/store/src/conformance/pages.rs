//! Paged lists, and counts.

use std::collections::HashMap;

use domain::destination::{CustomHeaders, Destination, DestinationType, EndpointUrl, HttpsDestination};
use domain::outcome::SuspensionReason;
use domain::subscriber::{Owner, Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{ClientId, PimId, Secret, SubscriberId, SubscriptionId};

use super::sample::*;
use crate::Store;
use crate::catalog::{
    ClientQuery, ClientRecord, PimQuery, Put, StatusFilter, SubscriberQuery, SubscriptionCounts, SubscriptionQuery,
    Waiting, Whose,
};

/// By id, by name, and only the requested names.
pub async fn a_pim_is_looked_up(store: &dyn Store) {
    let (a, b) = (store.add_pim(pim("a")).await.unwrap(), store.add_pim(pim("b")).await.unwrap());
    assert_eq!(store.pim(a.id).await.unwrap(), Some(a.clone()));
    assert_eq!(store.pim(PimId(99)).await.unwrap(), None);
    assert_eq!(store.pim_named("b").await.unwrap(), Some(b.clone()));
    assert_eq!(store.pim_named("B").await.unwrap(), None);
    let names = store.pim_names(vec![b.id, PimId(99), b.id]).await.unwrap();
    assert_eq!(names, HashMap::from([(b.id, "b".to_owned())]));
}

/// In the order of their numbers; a removal between two pages doesn't shift the others.
pub async fn pims_are_paged(store: &dyn Store) {
    for number in 0..5 {
        store.add_pim(pim(&format!("pim-{number}"))).await.unwrap();
    }
    let page = async |after: Option<u32>, text: Option<&str>| {
        let query = PimQuery { text: text.map(str::to_owned), after: after.map(PimId), limit: 2 };
        let page = store.pims(&query).await.unwrap();
        (page.items.iter().map(|pim| pim.id.0).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(page(None, None).await, (vec![1, 2], true));
    store.remove_pim(PimId(1), at(0)).await.unwrap();
    assert_eq!(page(Some(2), None).await, (vec![3, 4], true));
    assert_eq!(page(Some(4), None).await, (vec![5], false));
    assert_eq!(page(Some(5), None).await, (vec![], false));
    assert_eq!(page(None, Some("IM-3")).await, (vec![4], false));
    // The URL matches as well.
    assert_eq!(page(None, Some("//pim-4.EXAMPLE")).await, (vec![5], false));
    assert_eq!(page(None, Some("pim_")).await, (vec![], false), "no letter stands for others");
    assert_eq!(store.all_pims().await.unwrap().len(), 4);
    assert_eq!(store.count_pims().await.unwrap(), 4);
}

/// By client id: those with a subscriber, and those with a record.
pub async fn clients_are_paged(store: &dyn Store) {
    let known = store.add_pim(pim("a")).await.unwrap();
    assert_eq!(known.id, PIM);
    let named = |name: &str, pim| Owner { pim, client_id: ClientId(name.to_owned()) };
    let forbidden = ClientRecord { permission: Some(false), ..ClientRecord::default() };
    for (name, pim) in [("d", PIM), ("a", PIM), ("b", OTHER)] {
        store.put_client(&named(name, pim), forbidden.clone()).await.unwrap();
    }
    // One has both, one has only a subscriber, one had a subscriber.
    for name in ["d", "c", "e"] {
        subscriber_of(store, &named(name, PIM), "A subscriber").await;
    }
    let gone = store.subscribers(&named("e", PIM)).await.unwrap().remove(0);
    let mut end = change(Vec::new());
    end.subscriber =
        Some(Put::Changed(Subscriber { status: SubscriberStatus::Deleted, revision: gone.revision + 1, ..gone }));
    store.change(end).await.unwrap();
    let page = async |after: Option<&str>, text: Option<&str>| {
        let after = after.map(|after| ClientId(after.to_owned()));
        let query = ClientQuery { pim: PIM, text: text.map(str::to_owned), after, limit: 2 };
        let page = store.clients(&query).await.unwrap();
        let shown = page.items.iter().map(|(name, client)| (name.0.clone(), client.permission));
        (shown.collect::<Vec<_>>(), page.more)
    };
    let client = |name: &str, permission| (name.to_owned(), permission);
    assert_eq!(page(None, None).await, (vec![client("a", Some(false)), client("c", None)], true));
    assert_eq!(page(Some("c"), None).await, (vec![client("d", Some(false))], false));
    assert_eq!(page(Some("b"), Some("C")).await, (vec![client("c", None)], false));
    // Unregistered PIMs aren't counted.
    assert_eq!(store.count_clients().await.unwrap(), 3);
}

/// Creates a subscriber of an owner.
async fn subscriber_of(store: &dyn Store, owner: &Owner, name: &str) -> Subscriber {
    let new = Subscriber { owner: owner.clone(), name: name.to_owned(), ..subscriber() };
    let mut change = change(Vec::new());
    change.subscriber = Some(Put::New(new.clone()));
    store.change(change).await.unwrap();
    new
}

/// Three subscribers, two of one client, one of another PIM.
async fn three_subscribers(store: &dyn Store) -> [Subscriber; 3] {
    let stranger = Owner { pim: OTHER, client_id: owner().client_id };
    [
        subscriber_of(store, &owner(), "Stock of Graz").await,
        subscriber_of(store, &Owner { client_id: ClientId("another".to_owned()), ..owner() }, "Prices").await,
        subscriber_of(store, &stranger, "STOCK of Wien").await,
    ]
}

/// By PIM, owner, status and name, ordered by id.
pub async fn subscribers_are_paged(store: &dyn Store) {
    let all = three_subscribers(store).await;
    let mut revoked = Subscriber { status: SubscriberStatus::Revoked, revision: 1, ..all[1].clone() };
    let mut change = change(Vec::new());
    change.subscriber = Some(Put::Changed(revoked.clone()));
    store.change(change.clone()).await.unwrap();
    let every =
        SubscriberQuery { of: Whose::default(), status: StatusFilter::NotDeleted, text: None, after: None, limit: 10 };
    let found = async |query: SubscriberQuery| {
        let page = store.subscriber_page(&query).await.unwrap();
        assert!(!page.more);
        page.items.iter().map(|one| one.id).collect::<Vec<SubscriberId>>()
    };
    let ids = |of: &[&Subscriber]| {
        let mut ids: Vec<_> = of.iter().map(|one| one.id).collect();
        ids.sort();
        ids
    };
    let [first, second, third] = &all;
    assert_eq!(found(every.clone()).await, ids(&[first, second, third]));
    let of = |of: Whose| SubscriberQuery { of, ..every.clone() };
    assert_eq!(found(of(Whose::pim(PIM))).await, ids(&[first, second]));
    assert_eq!(found(of(Whose::owner(&owner()))).await, ids(&[first]));
    let client = Whose { pim: None, client_id: Some(owner().client_id) };
    assert_eq!(found(of(client)).await, ids(&[first, third]));
    let text = |text: &str| SubscriberQuery { text: Some(text.to_owned()), ..every.clone() };
    assert_eq!(found(text("stock")).await, ids(&[first, third]));
    assert_eq!(found(text("%")).await, []);
    let status = |status| SubscriberQuery { status, ..every.clone() };
    assert_eq!(found(status(StatusFilter::Revoked)).await, ids(&[second]));
    assert_eq!(found(status(StatusFilter::Suspended)).await, []);
    (revoked.status, revoked.revision) = (SubscriberStatus::Deleted, 2);
    change.subscriber = Some(Put::Changed(revoked));
    store.change(change).await.unwrap();
    assert_eq!(found(every.clone()).await, ids(&[first, third]));
    assert_eq!(found(status(StatusFilter::Deleted)).await, ids(&[second]));
}

fn https() -> Destination {
    Destination::Https(HttpsDestination {
        url: EndpointUrl::parse("https://example.com/hook", false).unwrap(),
        primary: Secret::new("sixteen characters"),
        secondary: None,
        headers: CustomHeaders::default(),
    })
}

/// Creates a subscription and returns it as stored.
async fn new(store: &dyn Store, of: &Subscriber, edit: impl FnOnce(&mut Subscription)) -> Subscription {
    let mut new = subscription(of);
    edit(&mut new);
    store.change(change(vec![Put::New(new)])).await.unwrap().subscriptions.remove(0)
}

fn all_subscriptions() -> SubscriptionQuery {
    let (of, status) = (Whose::default(), StatusFilter::NotDeleted);
    SubscriptionQuery { of, status, destination_type: None, text: None, after: None, limit: 10 }
}

async fn found(store: &dyn Store, query: SubscriptionQuery) -> Vec<SubscriptionId> {
    let page = store.subscription_page(&query).await.unwrap();
    assert!(!page.more);
    page.items.iter().map(|one| one.id).collect()
}

/// By PIM, owner, status, destination type, and name of the subscriber; with counts.
pub async fn subscriptions_are_filtered(store: &dyn Store) {
    let [first, second, third] = &three_subscribers(store).await;
    let active = new(store, first, |_| {}).await;
    let suspended = new(store, first, |one| one.destination = https()).await;
    let status = SubscriptionStatus::Suspended(SuspensionReason::User);
    let suspended = put(store, changed(&suspended, |next| next.status = status)).await;
    let revoked = new(store, second, |_| {}).await;
    let revoked = put(store, changed(&revoked, |next| next.status = SubscriptionStatus::Revoked)).await;
    let elsewhere = new(store, third, |one| one.destination = https()).await;
    let deleted = new(store, third, |_| {}).await;
    put(store, changed(&deleted, |next| next.status = SubscriptionStatus::Deleted)).await;
    let found = async |query| found(store, query).await;
    let ids = |of: &[&Subscription]| {
        let mut ids: Vec<_> = of.iter().map(|one| one.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(found(all_subscriptions()).await, ids(&[&active, &suspended, &revoked, &elsewhere]));
    let of = |of: Whose| SubscriptionQuery { of, ..all_subscriptions() };
    assert_eq!(found(of(Whose::pim(PIM))).await, ids(&[&active, &suspended, &revoked]));
    assert_eq!(found(of(Whose::owner(&owner()))).await, ids(&[&active, &suspended]));
    let client = Whose { pim: None, client_id: Some(owner().client_id) };
    assert_eq!(found(of(client)).await, ids(&[&active, &suspended, &elsewhere]));
    let status = |status| SubscriptionQuery { status, ..all_subscriptions() };
    assert_eq!(found(status(StatusFilter::Active)).await, ids(&[&active, &elsewhere]));
    assert_eq!(found(status(StatusFilter::Suspended)).await, ids(&[&suspended]));
    assert_eq!(found(status(StatusFilter::Revoked)).await, ids(&[&revoked]));
    assert_eq!(found(status(StatusFilter::Deleted)).await, ids(&[&deleted]));
    let https = SubscriptionQuery { destination_type: Some(DestinationType::Https), ..all_subscriptions() };
    assert_eq!(found(https.clone()).await, ids(&[&suspended, &elsewhere]));
    let text = |text: &str| SubscriptionQuery { text: Some(text.to_owned()), ..all_subscriptions() };
    assert_eq!(found(text("stock")).await, ids(&[&active, &suspended, &elsewhere]));
    assert_eq!(found(text("prices of")).await, []);
    let several = SubscriptionQuery { of: Whose::pim(OTHER), text: Some("wien".to_owned()), ..https };
    assert_eq!(found(several).await, ids(&[&elsewhere]));
    let counts = SubscriptionCounts { active: 2, suspended: 1, revoked: 1 };
    assert_eq!(store.count_subscriptions().await.unwrap(), counts);
}

/// Nothing is repeated or skipped, despite additions and removals between two pages.
pub async fn pages_of_subscriptions_are_stable(store: &dyn Store) {
    let of = subscriber_of(store, &owner(), "A subscriber").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(new(store, &of, |_| {}).await);
    }
    made.sort_by_key(|one| one.id);
    let mut query = SubscriptionQuery { of: Whose::owner(&owner()), limit: 2, ..all_subscriptions() };
    let first = store.subscription_page(&query).await.unwrap();
    assert_eq!((first.items.as_slice(), first.more), (&made[..2], true));
    query.after = first.last().map(|last| last.id);
    // The last one of the page ends; a new one is added.
    put(store, changed(&made[1], |next| next.status = SubscriptionStatus::Deleted)).await;
    let late = new(store, &of, |_| {}).await;
    let second = store.subscription_page(&query).await.unwrap();
    assert_eq!((second.items.as_slice(), second.more), (&made[2..4], true));
    query.after = second.last().map(|last| last.id);
    let third = store.subscription_page(&query).await.unwrap();
    assert_eq!((third.items.as_slice(), third.more), ([made[4].clone(), late].as_slice(), false));
    assert_eq!(third.last(), None);
}

/// Sent notifications that are only retained aren't counted.
pub async fn notifications_that_wait_are_counted(store: &dyn Store) {
    assert_eq!(store.count_waiting().await.unwrap(), Waiting::default());
    let (_, stored) = make(store).await;
    let mut with = change(Vec::new());
    with.notifications = vec![notification(&stored, at(20)), notification(&stored, at(10))];
    store.change(with).await.unwrap();
    // Two channels each.
    let all = store.notifications(shard(store), None, 10).await.unwrap();
    assert_eq!(store.notification(all[2].id).await.unwrap(), Some(all[2].clone()));
    let mut tried = all[0].clone();
    tried.attempts = 2;
    store.put_back_notification(tried).await.unwrap();
    assert_eq!(store.count_waiting().await.unwrap(), Waiting { count: 4, oldest: Some(at(10)), tried: 1 });
    for sent in &all[2..] {
        let mut sent = sent.clone();
        sent.sent_at = Some(at(30));
        store.put_back_notification(sent).await.unwrap();
    }
    assert_eq!(store.count_waiting().await.unwrap(), Waiting { count: 2, oldest: Some(at(20)), tried: 1 });
    store.settle_notification(all[0].id).await.unwrap();
    assert_eq!(store.notification(all[0].id).await.unwrap(), None);
}
