//! Notifications in the outbox, committed with the changes they are about.

use domain::log_entry::{Action, LogBody};
use domain::notification::{Channel, Outgoing};
use domain::subscriber::SubscriberStatus;
use domain::subscription::SubscriptionStatus;
use domain::{ClientId, PimId};
use uuid::Uuid;

use super::sample::*;
use crate::Store;
use crate::catalog::{MOST_NOTIFICATIONS, Put};
use crate::confirmation::ask;

/// A change is stored with its entries and notifications.
pub async fn entries_and_notifications_come_with_the_change(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let notified = entry(LogBody::Action(Action::SubscriptionSuspendedByTheUser), at(3));
    let notification = notification(&stored, at(0));
    let mut with = change(vec![Put::Changed(changed(&stored, |next| next.status = SUSPENDED))]);
    with.entries.push(notified.clone());
    with.notifications.push(notification.clone());
    store.change(with).await.unwrap();
    assert_eq!(store.entries(&owner(), &query()).await.unwrap().entries, [notified]);
    let outgoing = store.notifications(shard(store), None, 10).await.unwrap();
    let notified: Vec<_> = outgoing.iter().map(|one| &one.notification).collect();
    // The sample has two channels.
    assert_eq!(notified, [&notification, &notification]);
    assert_eq!(outgoing[0].channel, Channel::Email { instead_of_webhook: None });
    assert_eq!(outgoing[1].channel, webhook());
    assert_eq!((outgoing[0].email.as_str(), outgoing[0].attempts), ("contact@example.com", 0));
}

fn webhook() -> Channel {
    let secret = domain::Secret::new("sixteen characters");
    Channel::Webhook { url: "https://example.com/hook".to_owned(), secret, email_if_lost: false }
}

/// The address is decided at the time of the event: a later change of the contact or deletion of the subscriber has no
/// effect.
pub async fn notifications_survive_their_subscriber(store: &dyn Store) {
    let (mut subscriber, stored) = make(store).await;
    let mut with = change(vec![Put::Changed(changed(&stored, |next| next.status = SUSPENDED))]);
    with.notifications.push(notification(&stored, at(0)));
    let suspended = store.change(with).await.unwrap().subscriptions.remove(0);
    let before = store.notifications(shard(store), None, 10).await.unwrap();
    let mut end = change(vec![Put::Changed(changed(&suspended, |next| next.status = SubscriptionStatus::Deleted))]);
    subscriber.status = SubscriberStatus::Deleted;
    subscriber.contact.technical_email = "other@example.com".to_owned();
    subscriber.revision += 1;
    end.subscriber = Some(Put::Changed(subscriber));
    store.change(end).await.unwrap();
    assert_eq!(before.len(), 2);
    assert_eq!(store.notifications(shard(store), None, 10).await.unwrap(), before);
}

/// A notification is stored as it was put back, in its place.
pub async fn notifications_are_put_back(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let mut with = change(Vec::new());
    with.notifications = vec![notification(&stored, at(0))];
    store.change(with).await.unwrap();
    let all = store.notifications(shard(store), None, 10).await.unwrap();
    let mut later = all[1].clone();
    later.channel = Channel::Email { instead_of_webhook: Some("https://example.com/hook".to_owned()) };
    later.attempts = 4;
    later.due_at = at(60);
    store.put_back_notification(later.clone()).await.unwrap();
    later.revision = 1;
    assert_eq!(store.notifications(shard(store), None, 10).await.unwrap(), [all[0].clone(), later.clone()]);
    store.settle_notification(later.id).await.unwrap();
    store.put_back_notification(later).await.unwrap();
    assert_eq!(store.notifications(shard(store), None, 10).await.unwrap(), all[..1]);
}

/// A question is stored together with its subscriber, or not at all.
pub async fn a_question_comes_with_its_subscriber(store: &dyn Store) {
    let (asked, question) = ask(subscriber(), "https://pim.example.com", at(0)).unwrap();
    let mut new = change(vec![]);
    (new.subscriber, new.question) = (Some(Put::New(asked.clone())), Some(question.clone()));
    store.change(new.clone()).await.unwrap();
    assert_eq!(store.subscriber(asked.id).await.unwrap(), Some(asked));
    assert!(store.change(new).await.is_err(), "it is there already");
    let kept = store.notifications(shard(store), None, 10).await.unwrap();
    assert_eq!(kept, [Outgoing { number: kept[0].number, ..question }]);
}

/// Creates a subscriber of a client with one subscription and this many notifications.
async fn notified(store: &dyn Store, pim: PimId, client: &str, times: usize) {
    let mut of = subscriber();
    (of.owner.pim, of.owner.client_id) = (pim, ClientId(client.to_owned()));
    let about = subscription(&of);
    let mut first = change(vec![Put::New(about.clone())]);
    first.subscriber = Some(Put::New(of));
    first.notifications = (0..times).map(|_| notification(&about, at(0))).collect();
    store.change(first).await.unwrap();
}

/// The number of stored notifications, and the numbers of the first and the last.
async fn waiting(store: &dyn Store) -> (usize, u64, u64) {
    let kept = store.notifications(shard(store), None, usize::MAX).await.unwrap();
    let numbers: Vec<u64> = kept.iter().map(|one| one.number).collect();
    assert_eq!(store.notification_numbers(shard(store)).await.unwrap(), numbers);
    (kept.len(), numbers[0], numbers[numbers.len() - 1])
}

/// The oldest are dropped, no change is rejected, and other PIMs are unaffected.
pub async fn notifications_of_a_pim_are_bounded(store: &dyn Store) {
    // Each goes over two channels.
    notified(store, OTHER, "client", 1).await;
    notified(store, PIM, "client", MOST_NOTIFICATIONS / 2).await;
    assert_eq!(waiting(store).await, (MOST_NOTIFICATIONS + 2, 1, MOST_NOTIFICATIONS as u64 + 2));
    notified(store, PIM, "client", 3).await;
    let kept = store.notifications(shard(store), None, usize::MAX).await.unwrap();
    let numbers: Vec<u64> = kept.iter().map(|one| one.number).collect();
    let expect: Vec<u64> = (1..=2).chain(9..=MOST_NOTIFICATIONS as u64 + 8).collect();
    assert_eq!(numbers, expect, "those of the other PIM are older, and stay");
}

/// A client with many notifications displaces only its own.
pub async fn the_client_with_the_most_notifications_gives_way(store: &dyn Store) {
    notified(store, PIM, "modest", 10).await;
    notified(store, PIM, "greedy", MOST_NOTIFICATIONS / 2 - 10).await;
    notified(store, PIM, "late", 1).await;
    notified(store, PIM, "greedy", 5).await;
    let (count, first, last) = waiting(store).await;
    assert_eq!((count, first, last), (MOST_NOTIFICATIONS, 1, MOST_NOTIFICATIONS as u64 + 12));
    let behind = store.notifications(shard(store), Some(20), 1).await.unwrap();
    assert_eq!(behind[0].number, 33, "the oldest twelve of the greedy one are gone");
}

/// In the order of their creation, until they are settled.
pub async fn notifications_are_settled(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let mut with = change(Vec::new());
    with.notifications = (0..3).map(|_| notification(&stored, at(0))).collect();
    store.change(with).await.unwrap();
    let all = store.notifications(shard(store), None, 10).await.unwrap();
    assert_eq!(all.len(), 6);
    assert_eq!(store.notifications(shard(store), None, 2).await.unwrap(), all[..2]);
    assert_eq!(store.notifications(shard(store), Some(all[1].number), 2).await.unwrap(), all[2..4]);
    store.settle_notification(all[0].id).await.unwrap();
    store.settle_notification(Uuid::nil()).await.unwrap();
    assert_eq!(store.notifications(shard(store), None, 10).await.unwrap(), all[1..]);
}
