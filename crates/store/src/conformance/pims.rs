//! PIMs.

use domain::log_entry::{Action, LogBody};
use domain::notification::NotificationKind;
use domain::subscriber::{Subscriber, SubscriberStatus};
use domain::subscription::SubscriptionStatus;
use domain::{PimId, Position};

use super::sample::*;
use crate::Store;
use crate::catalog::{ClientRecord, Put};
use crate::error::ChangeError;

/// Name and URL are unique to one PIM.
pub async fn names_and_urls_are_unique(store: &dyn Store) {
    let a = store.add_pim(pim("a")).await.unwrap();
    let b = store.add_pim(pim("b")).await.unwrap();
    let mut same_name = pim("a");
    same_name.url_key = "https://elsewhere.example.com".to_owned();
    let taken = store.add_pim(same_name).await.unwrap_err();
    assert!(matches!(taken, ChangeError::Taken { field: "name", .. }), "{taken}");
    let mut same_url = pim("c");
    same_url.url_key = a.url_key.clone();
    let taken = store.add_pim(same_url).await.unwrap_err();
    assert!(matches!(taken, ChangeError::Taken { field: "url", .. }), "{taken}");
    let mut renamed = b.clone();
    renamed.name = "a".to_owned();
    assert!(matches!(store.update_pim(renamed).await, Err(ChangeError::Taken { field: "name", .. })));
    let mut renamed = b;
    renamed.name = "b2".to_owned();
    store.update_pim(renamed.clone()).await.unwrap();
    renamed.revision = 1;
    assert_eq!(store.all_pims().await.unwrap(), [a, renamed]);
    let mut unknown = pim("nobody");
    unknown.id = PimId(99);
    assert!(matches!(store.update_pim(unknown).await, Err(ChangeError::Missing(_))));
}

/// A number is never reused, even after the PIM is removed.
pub async fn numbers_are_not_used_again(store: &dyn Store) {
    let a = store.add_pim(pim("a")).await.unwrap();
    let b = store.add_pim(pim("b")).await.unwrap();
    assert_eq!((a.id, b.id), (PimId(1), PimId(2)));
    store.remove_pim(b.id, at(1)).await.unwrap();
    assert_eq!(store.add_pim(pim("b")).await.unwrap().id, PimId(3));
    assert!(matches!(store.remove_pim(b.id, at(1)).await, Err(ChangeError::Missing(_))));
}

/// Subscribers and subscriptions are revoked, and all contacts are notified.
pub async fn removing_a_pim_revokes_its_subscribers(store: &dyn Store) {
    let a = store.add_pim(pim("a")).await.unwrap();
    assert_eq!(a.id, PIM);
    let (subscriber, subscription) = make(store).await;
    append(store, PIM, "a b", at(0)).await;
    let (before, _) = store.changed_since(shard(store), None).await.unwrap();
    store.remove_pim(PIM, at(9)).await.unwrap();
    let revoked = store.subscriber(subscriber.id).await.unwrap().unwrap();
    assert_eq!((revoked.status, revoked.revision), (SubscriberStatus::Revoked, 1));
    let (version, changed) = store.changed_since(shard(store), Some(before)).await.unwrap();
    assert!(version > before);
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].status, SubscriptionStatus::Revoked);
    assert_eq!((changed[0].status_since, changed[0].generation, changed[0].revision), (Position(3), 1, 1));
    assert_eq!(*store.committed(shard(store)).borrow(), version);
    let reported: Vec<_> = store.entries(&owner(), &query()).await.unwrap().entries;
    let reported: Vec<_> = reported.iter().map(|entry| entry.body.clone()).collect();
    assert_eq!(reported, [LogBody::Action(Action::SubscriberRevoked), LogBody::Action(Action::SubscriptionRevoked)]);
    let outgoing = store.notifications(shard(store), None, 10).await.unwrap();
    // The sample has two channels.
    assert_eq!(outgoing.len(), 2);
    let notifications: Vec<_> = outgoing.iter().map(|one| &one.notification).collect();
    assert_eq!(notifications[0].kind, NotificationKind::Revoked);
    assert_eq!(notifications[0].subscription_id, subscription.id);
    assert_eq!(notifications[0].subject, a.url);
}

/// However many there are, and whatever it had before; others keep theirs.
pub async fn removing_a_pim_revokes_all_of_its_subscribers(store: &dyn Store) {
    let a = store.add_pim(pim("a")).await.unwrap();
    let of = |pim, number| {
        let mut one = subscriber();
        (one.owner.pim, one.name) = (pim, format!("Subscriber {number}"));
        one
    };
    let add = async |subscriber: Subscriber| {
        let mut new = change((0..2).map(|_| Put::New(subscription(&subscriber))).collect());
        (new.subscriber, new.subscriber_limit) = (Some(Put::New(subscriber)), usize::MAX);
        store.change(new).await.unwrap().subscriptions
    };
    let mut subscriptions = Vec::new();
    for number in 0..35 {
        subscriptions.extend(add(of(a.id, number)).await);
    }
    let kept = add(of(OTHER, 0)).await;
    store.put_client(&owner(), ClientRecord::default()).await.unwrap();
    put(store, changed(&subscriptions[0], |next| next.status = SubscriptionStatus::Deleted)).await;
    put(store, changed(&subscriptions[1], |next| next.status = SUSPENDED)).await;
    store.remove_pim(a.id, at(9)).await.unwrap();
    assert_eq!(store.pim(a.id).await.unwrap(), None);
    assert_eq!(store.client(&owner()).await.unwrap().revision, 0, "its clients are forgotten");
    for (index, one) in subscriptions.iter().enumerate() {
        let expect = if index == 0 { SubscriptionStatus::Deleted } else { SubscriptionStatus::Revoked };
        assert_eq!(store.subscription(one.id).await.unwrap().unwrap().status, expect);
        let subscriber = store.subscriber(one.subscriber_id).await.unwrap().unwrap();
        assert_eq!(subscriber.status, SubscriberStatus::Revoked);
    }
    assert_eq!(store.subscription(kept[0].id).await.unwrap(), Some(kept[0].clone()));
    assert_eq!(store.notifications(shard(store), None, usize::MAX).await.unwrap().len(), 69 * 2);
    assert_eq!(store.changed_since(shard(store), None).await.unwrap().1.len(), 72);
}

/// Secrets of every kind survive a round trip.
pub async fn secrets_come_back(store: &dyn Store) {
    let a = store.add_pim(pim("a")).await.unwrap();
    assert_eq!(a.events_api_secret.as_ref().unwrap().expose(), "secret of the bridge");
    assert_eq!(store.all_pims().await.unwrap(), [a]);
    let (subscriber, subscription) = make(store).await;
    assert_eq!(store.subscriber(subscriber.id).await.unwrap(), Some(subscriber));
    assert_eq!(store.subscription(subscription.id).await.unwrap(), Some(subscription));
}
