//! Changes of subscribers and subscriptions.

use domain::console_link::ConsoleLink;
use domain::log_entry::{Action, LogBody};
use domain::outcome::{ErrorReason, SuspensionReason};
use domain::pim::PlatformToken;
use domain::subscriber::SubscriberStatus;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{ClientId, Position, ServiceHour, SubscriberId, Timestamp};

use super::sample::*;
use crate::Store;
use crate::catalog::{ClientRecord, Put};
use crate::error::ChangeError;
use crate::ledger::{LaneSave, Save};

/// By id, by owner, by subscriber.
pub async fn created_objects_can_be_read(store: &dyn Store) {
    let (subscriber, subscription) = make(store).await;
    assert_eq!(store.subscriber(subscriber.id).await.unwrap(), Some(subscriber.clone()));
    assert_eq!(store.subscribers(&owner()).await.unwrap(), std::slice::from_ref(&subscriber));
    assert_eq!(store.subscription(subscription.id).await.unwrap(), Some(subscription.clone()));
    let second = put_new(store, |next| next.created_at = at(5), &subscriber).await;
    assert_eq!(store.subscriptions(subscriber.id).await.unwrap(), [subscription, second]);
    let mut stranger = owner();
    stranger.client_id = ClientId("stranger".to_owned());
    assert_eq!(store.subscribers(&stranger).await.unwrap(), []);
}

async fn put_new(
    store: &dyn Store,
    edit: impl FnOnce(&mut Subscription),
    of: &domain::subscriber::Subscriber,
) -> Subscription {
    let mut new = subscription(of);
    edit(&mut new);
    store.change(change(vec![Put::New(new)])).await.unwrap().subscriptions.remove(0)
}

/// A change must be made from the latest revision.
pub async fn a_revision_is_needed(store: &dyn Store) {
    let (subscriber, stored) = make(store).await;
    put(store, changed(&stored, |next| next.send_product_identifier = true)).await;
    let late = changed(&stored, |next| next.send_product_identifier = false);
    assert!(matches!(try_put(store, late).await, Err(ChangeError::Conflict)));
    assert!(store.subscription(stored.id).await.unwrap().unwrap().send_product_identifier);
    let mut next = subscriber.clone();
    next.revision = 2;
    let mut of_subscriber = change(Vec::new());
    of_subscriber.subscriber = Some(Put::Changed(next));
    assert!(matches!(store.change(of_subscriber.clone()).await, Err(ChangeError::Conflict)));
    if let Some(Put::Changed(next)) = &mut of_subscriber.subscriber {
        next.revision = 1;
    }
    store.change(of_subscriber).await.unwrap();
}

/// An existing object cannot be new; a missing one cannot change.
pub async fn new_means_new(store: &dyn Store) {
    let (subscriber, stored) = make(store).await;
    assert!(matches!(store.change(change(vec![Put::New(stored)])).await, Err(ChangeError::Conflict)));
    let unknown = changed(&subscription(&subscriber), |_| {});
    assert!(matches!(try_put(store, unknown).await, Err(ChangeError::Missing(_))));
    let mut unknown = subscriber;
    unknown.id = SubscriberId::generate();
    let orphan = change(vec![Put::New(subscription(&unknown))]);
    assert!(matches!(store.change(orphan).await, Err(ChangeError::Missing(_))));
}

/// One conflict prevents the whole change.
pub async fn a_change_is_made_as_a_whole_or_not_at_all(store: &dyn Store) {
    let (owner_of, stored) = make(store).await;
    let (before, _) = store.changed_since(shard(store), None).await.unwrap();
    let fine = changed(&stored, |next| next.status = SUSPENDED);
    let wrong = subscription(&owner_of);
    let mut both = change(vec![Put::Changed(fine), Put::Changed(changed(&wrong, |_| {}))]);
    both.subscriber = Some(Put::New(subscriber()));
    both.entries.push(entry(LogBody::Action(Action::SubscriberCreated), at(0)));
    both.notifications.push(notification(&stored, at(0)));
    assert!(store.change(both).await.is_err());
    assert_eq!(store.subscription(stored.id).await.unwrap(), Some(stored.clone()));
    assert_eq!(store.subscribers(&owner()).await.unwrap(), [owner_of]);
    assert_eq!(store.entries(&owner(), &query()).await.unwrap().entries, []);
    assert_eq!(store.notifications(shard(store), None, 10).await.unwrap(), []);
    assert_eq!(store.changed_since(shard(store), Some(before)).await.unwrap(), (before, Vec::new()));
    // Its lane is unaffected, too.
    let lane = store.load(&own(store).await).await.unwrap().lanes.remove(0);
    assert_eq!((lane.generation, lane.cursor), (0, Some(Position(1))));
}

/// Revoked and deleted subscribers don't count towards the limit, nor do those of other PIMs.
pub async fn subscribers_are_limited_by_those_that_are_active(store: &dyn Store) {
    let limited = |subscriber, limit| {
        let mut change = change(Vec::new());
        change.subscriber = Some(subscriber);
        change.subscriber_limit = limit;
        store.change(change)
    };
    let (first, second) = (subscriber(), subscriber());
    limited(Put::New(first.clone()), 2).await.unwrap();
    limited(Put::New(second), 2).await.unwrap();
    assert!(matches!(limited(Put::New(subscriber()), 2).await, Err(ChangeError::LimitReached { limit: 2 })));
    let mut elsewhere = subscriber();
    elsewhere.owner.pim = OTHER;
    limited(Put::New(elsewhere), 2).await.unwrap();
    let mut revoked = first;
    revoked.status = SubscriberStatus::Revoked;
    revoked.revision += 1;
    limited(Put::Changed(revoked), 0).await.unwrap();
    limited(Put::New(subscriber()), 2).await.unwrap();
}

/// Suspended ones count, revoked and deleted ones don't.
pub async fn subscriptions_are_limited_by_active_and_suspended_ones(store: &dyn Store) {
    let (subscriber, first) = make(store).await;
    for _ in 1..20 {
        put_new(store, |_| {}, &subscriber).await;
    }
    let one_more = || store.change(change(vec![Put::New(subscription(&subscriber))]));
    assert!(matches!(one_more().await, Err(ChangeError::LimitReached { limit: 20 })));
    let suspended = put(store, changed(&first, |next| next.status = SUSPENDED)).await;
    assert!(matches!(one_more().await, Err(ChangeError::LimitReached { limit: 20 })));
    put(store, changed(&suspended, |next| next.status = SubscriptionStatus::Deleted)).await;
    one_more().await.unwrap();
    assert!(matches!(one_more().await, Err(ChangeError::LimitReached { limit: 20 })));
}

/// A concurrently created subscription must neither outlive its subscriber nor appear after its end.
pub async fn a_subscriber_that_ends_takes_all_of_its_subscriptions(store: &dyn Store) {
    let (mut subscriber, stored) = make(store).await;
    let mut end = change(Vec::new());
    subscriber.status = SubscriberStatus::Deleted;
    subscriber.revision += 1;
    end.subscriber = Some(Put::Changed(subscriber.clone()));
    assert!(matches!(store.change(end.clone()).await, Err(ChangeError::Conflict)));
    let deleted = changed(&stored, |next| next.status = SubscriptionStatus::Deleted);
    end.subscriptions.push(Put::Changed(deleted));
    store.change(end).await.unwrap();
    let late = change(vec![Put::New(subscription(&subscriber))]);
    assert!(matches!(store.change(late).await, Err(ChangeError::Conflict)));
}

/// The caller's values of stamped fields are ignored.
pub async fn a_new_subscription_is_stamped(store: &dyn Store) {
    append(store, PIM, "a b", at(0)).await;
    let (subscriber, _) = make(store).await;
    let spoiled = |next: &mut Subscription| {
        next.status_since = Position(77);
        next.generation = 7;
        next.past_selections = vec![(Position(5), selection("old"))];
    };
    let stored = put_new(store, spoiled, &subscriber).await;
    assert_eq!((stored.status_since, stored.generation, stored.revision), (Position(3), 0, 0));
    assert_eq!(stored.past_selections, []);
    assert_eq!(store.subscription(stored.id).await.unwrap(), Some(stored));
}

/// A status starts at the head, in a new generation.
pub async fn a_new_status_is_stamped(store: &dyn Store) {
    let (_, stored) = make(store).await;
    append(store, PIM, "a b", at(0)).await;
    let stored = put(store, changed(&stored, |next| next.status = SUSPENDED)).await;
    assert_eq!((stored.status_since, stored.generation), (Position(3), 1));
    append(store, PIM, "c", at(0)).await;
    // The caller's values are ignored.
    let stored = put(
        store,
        changed(&stored, |next| {
            next.status_since = Position(1);
            next.generation = 9;
        }),
    )
    .await;
    assert_eq!((stored.status_since, stored.generation), (Position(3), 1));
    let stored = put(store, changed(&stored, |next| next.status = SubscriptionStatus::Active)).await;
    assert_eq!((stored.status_since, stored.generation), (Position(4), 2));
}

/// Hold that is switched on or off during a suspension counts from then on, like a status.
pub async fn hold_during_a_suspension_is_stamped(store: &dyn Store) {
    let hold = |on| move |next: &mut Subscription| next.options.hold = on;
    let (_, stored) = make(store).await;
    assert_eq!((stored.lane_since, stored.generation), (Position(1), 0));
    let stored = put(store, changed(&stored, hold(true))).await;
    let stored = put(store, changed(&stored, hold(false))).await;
    assert_eq!((stored.generation, stored.status_since), (0, Position(1)), "it is active");
    append(store, PIM, "a", at(0)).await;
    let stored = put(store, changed(&stored, |next| next.status = SUSPENDED)).await;
    append(store, PIM, "b", at(0)).await;
    let stored = put(store, changed(&stored, hold(true))).await;
    assert_eq!((stored.lane_since, stored.status_since, stored.generation), (Position(3), Position(3), 2));
    let record =
        |ledger: crate::LedgerRecord| ledger.lanes.into_iter().find(|lane| lane.subscription == stored.id).unwrap();
    let lane = record(store.load(&own(store).await).await.unwrap());
    assert_eq!((lane.generation, lane.cursor), (2, Some(Position(3))), "a lane begins here");
    append(store, PIM, "c", at(0)).await;
    let active = put(store, changed(&stored, |next| next.status = SubscriptionStatus::Active)).await;
    assert_eq!((active.lane_since, active.status_since, active.generation), (Position(3), Position(4), 3));
    let stored_ = put(store, changed(&active, |next| next.status = SUSPENDED)).await;
    append(store, PIM, "d", at(0)).await;
    let ended = put(store, changed(&stored_, hold(false))).await;
    assert_eq!((ended.lane_since, ended.status_since, ended.generation), (Position(3), Position(5), 5));
}

/// Suspended stays suspended.
pub async fn a_new_reason_is_no_new_status(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let stored = put(store, changed(&stored, |next| next.status = SUSPENDED)).await;
    append(store, PIM, "a", at(0)).await;
    let reason = SuspensionReason::Destination(ErrorReason::TopicNotFound);
    let stored = put(store, changed(&stored, |next| next.status = SubscriptionStatus::Suspended(reason))).await;
    assert_eq!((stored.status_since, stored.generation), (Position(1), 1));
    assert_eq!(stored.status, SubscriptionStatus::Suspended(reason));
}

/// A lagging lane uses the selection in force for the event.
pub async fn a_selection_is_remembered_for_older_events(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let first = stored.selection.clone();
    append(store, PIM, "a b", at(0)).await;
    let stored = put(store, changed(&stored, |next| next.selection = selection("second"))).await;
    assert_eq!(stored.past_selections, [(Position(3), first.clone())]);
    append(store, PIM, "c", at(0)).await;
    let stored = put(store, changed(&stored, |next| next.selection = selection("third"))).await;
    for (position, expect) in [(1, first.clone()), (2, first), (3, selection("second")), (4, selection("third"))] {
        assert_eq!(*stored.selection_at(Position(position)), expect, "at {position}");
    }
    assert_eq!(store.subscription(stored.id).await.unwrap(), Some(stored));
}

/// They aren't needed any more.
pub async fn selections_that_the_lane_has_passed_go(store: &dyn Store) {
    let (_, mut stored) = make(store).await;
    for (id, name) in [("a", "second"), ("b", "third")] {
        append(store, PIM, id, at(0)).await;
        stored = put(store, changed(&stored, |next| next.selection = selection(name))).await;
    }
    assert_eq!(stored.past_selections.len(), 2);
    let lane = LaneSave { cursor: Some(Position(2)), ..lane(&stored) };
    store.save(&own(store).await, Save { mark: Position(1), lanes: vec![lane], ..Save::default() }).await.unwrap();
    append(store, PIM, "c", at(0)).await;
    let stored = put(store, changed(&stored, |next| next.selection = selection("fourth"))).await;
    let left: Vec<_> = stored.past_selections.iter().map(|(until, _)| until.0).collect();
    assert_eq!(left, [3, 4]);
}

/// Returns later changes and the version they lead to.
pub async fn versions_list_changed_subscriptions(store: &dyn Store) {
    assert_eq!(store.changed_since(shard(store), None).await.unwrap(), (0, Vec::new()));
    let (owner_of, first) = make(store).await;
    let (version, all) = store.changed_since(shard(store), None).await.unwrap();
    assert_eq!(all, std::slice::from_ref(&first));
    let second = put_new(store, |_| {}, &owner_of).await;
    let (after, changed_ones) = store.changed_since(shard(store), Some(version)).await.unwrap();
    assert!(after > version);
    assert_eq!(changed_ones, [second]);
    let made = try_put(store, changed(&first, |next| next.status = SubscriptionStatus::Deleted)).await.unwrap();
    assert_eq!(*store.committed(shard(store)).borrow(), made.version);
    let (last, changed_ones) = store.changed_since(shard(store), Some(after)).await.unwrap();
    assert_eq!(last, made.version);
    assert_eq!(changed_ones, made.subscriptions);
    assert_eq!(store.changed_since(shard(store), Some(last)).await.unwrap(), (last, Vec::new()));
    assert_eq!(store.changed_since(shard(store), None).await.unwrap().1.len(), 2);
}

/// Pages end with a version: all changes up to it are on them, each subscription as it is now.
pub async fn changes_are_paged(store: &dyn Store) {
    let (owner_of, first) = make(store).await;
    let second = put_new(store, |_| {}, &owner_of).await;
    let mut both = change(vec![]);
    both.subscriptions = [&first, &second].map(|one| Put::Changed(changed(one, |_| {}))).to_vec();
    let both = store.change(both).await.unwrap();
    let third = put_new(store, |_| {}, &owner_of).await;
    let page = async |since, at_most| store.changed_page(shard(store), since, at_most).await.unwrap();
    let one = page(None, 1).await;
    assert!(one.more);
    assert_eq!((one.version, one.subscriptions.len()), (both.version, 2), "a change is on one page");
    let two = page(Some(one.version), 1).await;
    assert_eq!((two.version, two.subscriptions, two.more), (both.version + 1, vec![third], false));
    let none = page(Some(two.version), 1).await;
    assert_eq!((none.version, none.subscriptions, none.more), (two.version, vec![], false));
    assert_eq!(page(None, 3).await.subscriptions.len(), 3);
}

/// Also if they don't fit on one page.
pub async fn many_changes_are_read_by_id(store: &dyn Store) {
    let (owner_of, _) = make(store).await;
    for _ in 0..600 {
        let mut new = change(vec![Put::New(subscription(&owner_of))]);
        new.subscription_limit = usize::MAX;
        store.change(new).await.unwrap();
    }
    let (version, all) = store.changed_since(shard(store), None).await.unwrap();
    assert_eq!((version, all.len()), (*store.committed(shard(store)).borrow(), 601));
    assert!(all.is_sorted_by(|one, next| one.id < next.id));
}

/// Revoked ones are listed, deleted ones only by id.
pub async fn deleted_ones_are_left_out_of_lists(store: &dyn Store) {
    let (subscriber, first) = make(store).await;
    let second = put_new(store, |_| {}, &subscriber).await;
    put(store, changed(&first, |next| next.status = SubscriptionStatus::Deleted)).await;
    let revoked = put(store, changed(&second, |next| next.status = SubscriptionStatus::Revoked)).await;
    assert_eq!(store.subscriptions(subscriber.id).await.unwrap(), [revoked]);
    let deleted = store.subscription(first.id).await.unwrap().unwrap();
    assert_eq!(deleted.status, SubscriptionStatus::Deleted);
    let mut end = change(Vec::new());
    let mut gone = subscriber.clone();
    gone.status = SubscriberStatus::Deleted;
    gone.revision += 1;
    end.subscriber = Some(Put::Changed(gone.clone()));
    store.change(end).await.unwrap();
    assert_eq!(store.subscribers(&owner()).await.unwrap(), []);
    assert_eq!(store.subscriber(subscriber.id).await.unwrap(), Some(gone));
}

/// A subscriber with an active, a revoked and a deleted subscription, in the first hour of service; then the subscriber
/// is deleted. Revoked clients can still read their objects; objects deleted long ago are unknown.
pub async fn deleted_ones_are_forgotten_after_a_time(store: &dyn Store) {
    store.add_pim(pim("a")).await.unwrap();
    let (subscriber, first) = make(store).await;
    let second = put_new(store, |_| {}, &subscriber).await;
    // The clock is irrelevant.
    let end = |status| move |next: &mut Subscription| (next.status, next.updated_at) = (status, at(40 * 24 * 3600));
    put(store, changed(&first, end(SubscriptionStatus::Deleted))).await;
    let revoked = put(store, changed(&second, end(SubscriptionStatus::Revoked))).await;
    let (version, _) = store.changed_since(shard(store), None).await.unwrap();
    assert_eq!(store.prune_deleted(&own(store).await, ServiceHour(0)).await.unwrap(), 0);
    assert_eq!(store.prune_deleted(&own(store).await, ServiceHour(1)).await.unwrap(), 1);
    assert_eq!(store.subscription(first.id).await.unwrap(), None);
    assert_eq!(store.changed_since(shard(store), None).await.unwrap(), (version, vec![revoked.clone()]));
    let mut gone = subscriber.clone();
    (gone.status, gone.revision) = (SubscriberStatus::Deleted, 1);
    let mut end = change(Vec::new());
    end.subscriber = Some(Put::Changed(gone.clone()));
    store.change(end).await.unwrap();
    serve(store, 20).await;
    put(store, changed(&revoked, |next| next.status = SubscriptionStatus::Deleted)).await;
    // Not before its last subscription.
    assert_eq!(store.prune_deleted(&own(store).await, ServiceHour(20)).await.unwrap(), 0);
    assert_eq!(store.subscriber(subscriber.id).await.unwrap(), Some(gone));
    assert_eq!(store.prune_deleted(&own(store).await, ServiceHour(21)).await.unwrap(), 2);
    assert_eq!(store.subscriber(subscriber.id).await.unwrap(), None);
    assert_eq!(store.prune_deleted(&own(store).await, ServiceHour(u32::MAX)).await.unwrap(), 0);
}

/// It cannot be read any more.
pub async fn objects_of_a_removed_pim_are_pruned_after_a_time(store: &dyn Store) {
    let pim = store.add_pim(pim("a")).await.unwrap();
    let (subscriber, _) = make(store).await;
    assert_eq!(store.prune_deleted(&own(store).await, ServiceHour(u32::MAX)).await.unwrap(), 0);
    store.remove_pim(pim.id, at(9)).await.unwrap();
    assert_eq!(store.prune_deleted(&own(store).await, ServiceHour(0)).await.unwrap(), 0);
    assert_eq!(store.prune_deleted(&own(store).await, ServiceHour(1)).await.unwrap(), 2);
    assert_eq!(store.subscriber(subscriber.id).await.unwrap(), None);
}

/// The default until there is a record.
pub async fn client_records(store: &dyn Store) {
    assert_eq!(store.client(&owner()).await.unwrap(), ClientRecord::default());
    let mut known = ClientRecord {
        permission: Some(false),
        revoked_at: Some(Timestamp::from_micros(5)),
        removal: Some("event-1".into()),
        tokens: vec![PlatformToken { prefix: "pt_1".into(), sha256: "ab".into(), created_at: at(0) }],
        links: vec![ConsoleLink {
            sha256: "cd".into(),
            subscriber: SubscriberId::generate(),
            read_only: true,
            expires_at: at(9),
        }],
        revision: 0,
    };
    store.put_client(&owner(), known.clone()).await.unwrap();
    known.revision = 1;
    assert_eq!(store.client(&owner()).await.unwrap(), known);
    store.put_client(&owner(), ClientRecord { revision: 1, ..ClientRecord::default() }).await.unwrap();
    assert_eq!(store.client(&owner()).await.unwrap(), ClientRecord { revision: 2, ..ClientRecord::default() });
}
