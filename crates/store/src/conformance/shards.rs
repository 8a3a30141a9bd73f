//! Shards shared by several processes, for backends that support takeover. Each test gets two processes on one empty
//! store with [`Spread::CLUSTER`](crate::Spread::CLUSTER).

use std::time::Duration;

use domain::log_entry::{Action, LogBody, LogEntry};
use domain::outcome::SuspensionReason;
use domain::subscriber::{Owner, Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, Position, ServiceHour};

use super::sample::*;
use crate::Store;
use crate::catalog::{Change, Put, StatusFilter, SubscriberQuery, Whose};
use crate::error::{ChangeError, TenureError};
use crate::event_log::{Floors, Scope};
use crate::ledger::{LaneSave, Save};
use crate::shard::{Epoch, Shard};
use crate::snapshots::{SnapshotKey, SnapshotKind, SnapshotSave, StoredStatus};
use crate::transition;

/// Floors that keep only the events from this position on.
fn all_before(rest: u64) -> Floors {
    Floors { pims: Vec::new(), rest: Position(rest) }
}

/// A save that advances the mark and adds a log entry for a lane's owner.
fn save(mark: u64, of: &Subscription) -> Save {
    let lane = LaneSave { cursor: Some(Position(mark)), entries: vec![error("it failed", at(0))], ..lane(of) };
    Save { mark: Position(mark), lanes: vec![lane], ..Save::default() }
}

/// A suspension by the platform.
fn suspension(stored: &Subscription) -> Change {
    let mut suspension = change(Vec::new());
    let url = "https://pim.example.com";
    transition::suspend(&mut suspension, stored.clone(), SuspensionReason::SuccessRate, url, at(1));
    suspension
}

fn is_fenced<T: std::fmt::Debug>(result: Result<T, TenureError>) {
    assert!(matches!(result, Err(TenureError::Fenced)), "{result:?}");
}

/// No write of the old owner is accepted.
pub async fn a_previous_owner_is_fenced(a: &dyn Store, b: &dyn Store) {
    assert_eq!(a.shard_of(PIM), b.shard_of(PIM));
    let shard = shard(a);
    let old = a.take(shard).await.unwrap();
    let first = a.take(Shard::FIRST).await.unwrap();
    let (_, stored) = make(a).await;
    append(a, PIM, "a b", at(0)).await;
    a.save(&old, Save { mark: Position(2), ..Save::default() }).await.unwrap();
    b.take(Shard::FIRST).await.unwrap();
    let new = b.take(shard).await.unwrap();
    assert_eq!(new.epoch, Epoch(old.epoch.0 + 1));
    assert_ne!(new.node, old.node);
    let before = b.load(&new).await.unwrap();
    assert_eq!(before.mark, Position(2));

    is_fenced(a.save(&old, save(3, &stored)).await);
    is_fenced(a.trim(&old, &all_before(3)).await);
    is_fenced(a.apply(&old, 1).await);
    is_fenced(a.served(&first, Duration::from_secs(3600)).await);
    is_fenced(a.prune_entries(&old, ServiceHour(9)).await);
    is_fenced(a.prune_deleted(&old, ServiceHour(9)).await);
    is_fenced(a.prune_snapshots(&old).await);
    let suspension = suspension(&stored);
    let fenced = Change { fence: Some(old), ..suspension.clone() };
    assert!(matches!(a.change(fenced).await, Err(ChangeError::Fenced)));

    assert_eq!(b.load(&new).await.unwrap(), before);
    assert_eq!(read(b, Some(PIM), 1, ALL).await, ("a b".to_owned(), 3));
    assert_eq!(b.subscription(stored.id).await.unwrap(), Some(stored.clone()));
    assert_eq!(b.entries(&owner(), &query()).await.unwrap().entries, []);
    assert_eq!(b.notifications(shard, None, 10).await.unwrap(), []);
    assert_eq!(b.hour(), ServiceHour(0));

    b.save(&new, save(3, &stored)).await.unwrap();
    assert_eq!(b.load(&new).await.unwrap().mark, Position(3));
    b.change(Change { fence: Some(new), ..suspension }).await.unwrap();
    assert_eq!(b.notifications(shard, None, 10).await.unwrap().len(), 2);
}

/// After a lost connection the process takes over from itself: writes that were sent before and arrive late are
/// rejected.
pub async fn an_owner_that_takes_its_shard_anew_is_fenced_in_the_old_epoch(a: &dyn Store, _: &dyn Store) {
    let (old, new) = (own(a).await, own(a).await);
    assert_eq!((old.node, old.epoch.0 + 1), (new.node, new.epoch.0));
    is_fenced(a.save(&old, Save { mark: Position(1), ..Save::default() }).await);
    a.save(&new, Save { mark: Position(1), ..Save::default() }).await.unwrap();
}

/// Each shard has its own owner.
pub async fn a_takeover_is_of_one_shard(a: &dyn Store, b: &dyn Store) {
    let (near, far) = (own(a).await, a.take(a.shard_of(FAR)).await.unwrap());
    assert_ne!(near.shard, far.shard);
    b.take(far.shard).await.unwrap();
    a.save(&near, Save { mark: Position(1), ..Save::default() }).await.unwrap();
    is_fenced(a.save(&far, Save { mark: Position(1), ..Save::default() }).await);
}

/// Appends and changes need no ownership; the owner is notified.
pub async fn any_process_appends_and_changes_and_the_owner_gets_news(a: &dyn Store, b: &dyn Store) {
    let tenure = own(b).await;
    let (tail, mut committed) = (b.tail(tenure.shard), b.committed(tenure.shard));
    let (_, stored) = make(a).await;
    let made = try_put(a, changed(&stored, |next| next.send_product_identifier = true)).await.unwrap();
    assert_eq!(made.shard, tenure.shard);
    append(a, PIM, "a b", at(0)).await;
    tail.watch().wait_for(|head| *head == Position(3)).await.unwrap();
    // Announced before the events arrived.
    assert!(*committed.borrow_and_update() >= made.version);
    let events = tail.since(Position(1), 10).unwrap();
    assert_eq!(events, a.read(Scope::Pim(PIM), Position(1), ALL).await.unwrap().events);
    let (version, subscriptions) = b.changed_since(tenure.shard, None).await.unwrap();
    assert_eq!((version, subscriptions), (made.version, made.subscriptions));
    // In effect everywhere once the owner has applied it.
    let now = Duration::ZERO;
    assert!(!a.in_effect(tenure.shard, version, now).await);
    b.apply(&tenure, version).await.unwrap();
    assert!(a.in_effect(tenure.shard, version, Duration::from_secs(5)).await);
    assert!(!a.in_effect(tenure.shard, version + 1, now).await);
}

/// Positions, versions and marks of one shard are independent of others.
pub async fn shards_share_nothing(a: &dyn Store, _: &dyn Store) {
    let (near, far) = (a.shard_of(PIM), a.shard_of(FAR));
    append(a, PIM, "a b", at(0)).await;
    append(a, FAR, "a", at(0)).await;
    append(a, OTHER, "c", at(0)).await;
    let ids = async |shard| {
        let chunk = a.read(Scope::Shard(shard), Position(1), ALL).await.unwrap();
        let ids: Vec<_> = chunk.events.iter().map(|event| (event.event.id().to_owned(), event.position.0)).collect();
        (ids, chunk.next.0)
    };
    let event = |id: &str, position| (id.to_owned(), position);
    assert_eq!(ids(near).await, (vec![event("a", 1), event("b", 2), event("c", 3)], 4));
    assert_eq!(ids(far).await, (vec![event("a", 1)], 2));
    assert_eq!((a.head(near).await.unwrap(), a.head(far).await.unwrap()), (Position(4), Position(2)));
    let before = a.changed_since(far, None).await.unwrap();
    let (_, stored) = make(a).await;
    assert_eq!(stored.status_since, Position(4));
    assert_eq!(a.changed_since(far, None).await.unwrap(), before);
    assert_eq!(a.changed_since(near, None).await.unwrap().1, std::slice::from_ref(&stored));
    let (near, far) = (a.take(near).await.unwrap(), a.take(far).await.unwrap());
    a.save(&near, Save { mark: Position(4), ..Save::default() }).await.unwrap();
    assert_eq!(a.load(&far).await.unwrap(), Default::default());
    // A lane belongs to its own shard.
    let lanes = a.load(&near).await.unwrap().lanes;
    a.save(&far, save(1, &stored)).await.unwrap();
    assert_eq!(a.load(&near).await.unwrap().lanes, lanes);
    assert_eq!(a.entries(&owner(), &query()).await.unwrap().entries, []);
}

/// Other shards' events are kept, whatever the floors name.
pub async fn trimming_touches_no_other_shard(a: &dyn Store, b: &dyn Store) {
    append(a, PIM, "a b", at(0)).await;
    append(a, FAR, "c d", at(0)).await;
    let (near, far) = (own(a).await, b.take(b.shard_of(FAR)).await.unwrap());
    let named = Floors { pims: vec![(FAR, Position(3)), (PIM, Position(1))], rest: Position(3) };
    assert_eq!(a.trim(&near, &named).await.unwrap(), 0);
    assert_eq!(a.trim(&near, &all_before(3)).await.unwrap(), 2);
    assert_eq!(read(a, Some(PIM), 1, ALL).await.0, "");
    assert_eq!(read(a, Some(FAR), 1, ALL).await.0, "c d");
    assert_eq!(b.trim(&far, &all_before(3)).await.unwrap(), 2);
}

/// The owner of the PIM that all tests share, and one of a PIM in another shard.
fn owners() -> [Owner; 2] {
    [owner(), Owner { pim: FAR, ..owner() }]
}

/// Entries, deleted objects and leftovers of removed PIMs, in two shards: each owner prunes its own.
pub async fn pruning_touches_no_other_shard(a: &dyn Store, b: &dyn Store) {
    let product = || SnapshotKey { kind: SnapshotKind::Product, key: "p".to_owned() };
    for of in owners() {
        a.add_entry(logged(&of)).await.unwrap();
        let deleted = Subscriber { owner: of.clone(), ..subscriber() };
        let mut made = change(Vec::new());
        made.subscriber = Some(Put::New(deleted.clone()));
        a.change(made.clone()).await.unwrap();
        made.subscriber = Some(Put::Changed(Subscriber { status: SubscriberStatus::Deleted, revision: 1, ..deleted }));
        a.change(made).await.unwrap();
        let state = SnapshotSave { key: product(), seen: None, body: Some(Vec::new()) };
        a.append_new(of.pim, events("a"), vec![state], at(0)).await.unwrap();
        a.put_bridge_status(of.pim, StoredStatus { text: "noted".to_owned(), revision: 0 }).await.unwrap();
    }
    let left = async |pim: PimId| {
        let of = Owner { pim, ..owner() };
        let status = StatusFilter::Deleted;
        let query = SubscriberQuery { of: Whose::owner(&of), status, text: None, after: None, limit: 10 };
        (
            a.entries(&of, &self::query()).await.unwrap().entries.len(),
            a.subscriber_page(&query).await.unwrap().items.len(),
            a.snapshots(pim, vec![product()]).await.unwrap().len(),
            a.bridge_status(pim).await.unwrap().is_some(),
        )
    };
    for (store, pim, prunes) in [(a, PIM, [PIM].as_slice()), (b, FAR, &[PIM, FAR])] {
        let tenure = store.take(store.shard_of(pim)).await.unwrap();
        assert_eq!(left(pim).await, (1, 1, 1, true));
        assert_eq!(store.prune_entries(&tenure, ServiceHour(1)).await.unwrap(), 1);
        assert_eq!(store.prune_deleted(&tenure, ServiceHour(1)).await.unwrap(), 1);
        assert_eq!(store.prune_snapshots(&tenure).await.unwrap(), 2);
        for pim in [PIM, FAR] {
            let expect = if prunes.contains(&pim) { (0, 0, 0, false) } else { (1, 1, 1, true) };
            assert_eq!(left(pim).await, expect, "of {pim}");
        }
    }
}

/// A log entry for an owner.
fn logged(of: &Owner) -> LogEntry {
    LogEntry { owner: of.clone(), ..entry(LogBody::Action(Action::SubscriberCreated), at(0)) }
}

/// Each shard's owner sends the notifications of that shard.
pub async fn notifications_are_read_by_shard(a: &dyn Store, b: &dyn Store) {
    for of in owners() {
        let subscriber = Subscriber { owner: of, ..subscriber() };
        let subscription = subscription(&subscriber);
        let mut made = change(vec![Put::New(subscription.clone())]);
        made.subscriber = Some(Put::New(subscriber));
        made.notifications = vec![notification(&subscription, at(0))];
        a.change(made).await.unwrap();
    }
    for pim in [PIM, FAR] {
        let waiting = b.notifications(b.shard_of(pim), None, 10).await.unwrap();
        assert_eq!(waiting.len(), 2);
        for one in waiting {
            let about = b.subscription(one.notification.subscription_id).await.unwrap().unwrap();
            assert_eq!((about.pim, about.status), (pim, SubscriptionStatus::Active));
        }
    }
    assert_eq!(b.count_waiting().await.unwrap().count, 4);
}
