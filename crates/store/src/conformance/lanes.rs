//! The ledger, and the effects of changes on lanes.

use domain::Position;
use domain::subscription::{Subscription, SubscriptionStatus};

use super::sample::*;
use crate::Store;
use crate::catalog::Put;
use crate::ledger::{Exception, ExceptionKind, LaneRecord, LaneSave, Save};

fn exception(position: u64, failures: u8) -> Exception {
    Exception {
        position: Position(position),
        kind: ExceptionKind::Retry,
        failures,
        due_at: at(300),
        first_tried_at: at(0),
        entity: u64::MAX,
    }
}

async fn save(store: &dyn Store, mark: u64, lane: LaneSave) {
    store.save(&own(store).await, Save { mark: Position(mark), lanes: vec![lane], ..Save::default() }).await.unwrap();
}

async fn record(store: &dyn Store) -> LaneRecord {
    let mut lanes = store.load(&own(store).await).await.unwrap().lanes;
    assert_eq!(lanes.len(), 1);
    lanes.remove(0)
}

fn full(of: &Subscription) -> LaneSave {
    LaneSave {
        cursor: Some(Position(8)),
        memory: Some(b"pace".to_vec()),
        exceptions: vec![exception(5, 1), exception(3, 2)],
        ..lane(of)
    }
}

/// All fields, with exceptions by position.
pub async fn saved_lanes_are_loaded(store: &dyn Store) {
    assert_eq!(store.load(&own(store).await).await.unwrap(), Default::default());
    let (_, stored) = make(store).await;
    save(store, 7, full(&stored)).await;
    let expect = LaneRecord {
        subscription: stored.id,
        generation: 0,
        cursor: Some(Position(8)),
        memory: Some(b"pace".to_vec()),
        exceptions: vec![exception(3, 2), exception(5, 1)],
    };
    let loaded = store.load(&own(store).await).await.unwrap();
    assert_eq!((loaded.mark, loaded.lanes), (Position(7), vec![expect]));
}

/// By subscription, each with its exceptions.
pub async fn lanes_are_paged(store: &dyn Store) {
    let (owner_of, first) = make(store).await;
    let mut ids = vec![first.id];
    save(store, 1, full(&first)).await;
    for _ in 0..4 {
        let made = store.change(change(vec![Put::New(subscription(&owner_of))])).await.unwrap();
        ids.push(made.subscriptions[0].id);
        save(store, 1, full(&made.subscriptions[0])).await;
    }
    ids.sort();
    let tenure = own(store).await;
    let mut found = Vec::new();
    for expect in [2, 2, 1] {
        let page = store.lanes(&tenure, found.last().copied(), 2).await.unwrap();
        assert_eq!((page.items.len(), page.more), (expect, expect == 2));
        assert!(page.items.iter().all(|lane| lane.exceptions == [exception(3, 2), exception(5, 1)]));
        found.extend(page.items.iter().map(|lane| lane.subscription));
    }
    assert_eq!(found, ids);
}

/// A changed exception is replaced and a settled one deleted; dropping spares those in the same save.
pub async fn exceptions_are_put_settled_and_dropped(store: &dyn Store) {
    let (_, stored) = make(store).await;
    save(store, 1, full(&stored)).await;
    let next =
        LaneSave { exceptions: vec![exception(5, 2)], settled: vec![Position(3), Position(99)], ..lane(&stored) };
    save(store, 1, next).await;
    assert_eq!(record(store).await.exceptions, [exception(5, 2)]);
    let next = LaneSave { exceptions: vec![exception(6, 1)], drop_exceptions: true, ..lane(&stored) };
    save(store, 1, next).await;
    assert_eq!(record(store).await.exceptions, [exception(6, 1)]);
}

/// `None` sets the cursor to follow the mark.
pub async fn a_lane_without_a_cursor_follows_the_mark(store: &dyn Store) {
    let (_, stored) = make(store).await;
    save(store, 1, LaneSave { cursor: Some(Position(5)), ..lane(&stored) }).await;
    save(store, 9, lane(&stored)).await;
    assert_eq!(record(store).await.cursor, None);
    assert_eq!(store.load(&own(store).await).await.unwrap().mark, Position(9));
}

/// `None` leaves the memory unchanged.
pub async fn memory_is_kept_unless_it_is_new(store: &dyn Store) {
    let (_, stored) = make(store).await;
    save(store, 1, full(&stored)).await;
    save(store, 1, lane(&stored)).await;
    assert_eq!(record(store).await.memory.as_deref(), Some(b"pace".as_slice()));
    save(store, 1, LaneSave { memory: Some(b"new".to_vec()), ..lane(&stored) }).await;
    assert_eq!(record(store).await.memory.as_deref(), Some(b"new".as_slice()));
}

/// Late saves of a lane from before a resume without `hold`: only their entries are stored.
pub async fn a_lane_that_is_over_changes_nothing(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let suspended = put(store, changed(&stored, |next| next.status = SUSPENDED)).await;
    let resumed = put(store, changed(&suspended, |next| next.status = SubscriptionStatus::Active)).await;
    let before = record(store).await;
    for of_old in [&stored, &suspended] {
        let late = LaneSave { entries: vec![error("late", at(0))], drop_exceptions: true, ..full(of_old) };
        save(store, 4, late).await;
        assert_eq!(record(store).await, before);
    }
    assert_eq!(store.entries(&owner(), &query()).await.unwrap().entries[0].count, 2);
    assert_eq!(store.load(&own(store).await).await.unwrap().mark, Position(4));
    save(store, 4, full(&resumed)).await;
    assert_eq!(record(store).await.cursor, full(&resumed).cursor);
}

/// A suspension overtakes a save, even with a resume with `hold`: it is still the same lane, so settled events are not
/// delivered again. Its pace memory is dropped, and the mark does not move it.
pub async fn an_overtaken_save_is_still_valid(store: &dyn Store) {
    let (_, stored) = make(store).await;
    save(store, 1, full(&stored)).await;
    let hold = |next: &mut Subscription| {
        next.status = SUSPENDED;
        next.options.hold = true;
    };
    let suspended = put(store, changed(&stored, hold)).await;
    let of_before = LaneSave { settled: vec![Position(3)], memory: Some(b"late".to_vec()), ..lane(&stored) };
    save(store, 9, of_before.clone()).await;
    let after_suspension = record(store).await;
    assert_eq!((after_suspension.cursor, after_suspension.generation), (Some(Position(9)), 0));
    assert_eq!(after_suspension.memory.as_deref(), Some(b"pace".as_slice()));
    assert_eq!(after_suspension.exceptions, [exception(5, 1)]);
    put(store, changed(&suspended, |next| next.status = SubscriptionStatus::Active)).await;
    save(store, 11, LaneSave { settled: vec![Position(5)], cursor: Some(Position(10)), ..of_before }).await;
    let after_resume = record(store).await;
    assert_eq!((after_resume.cursor, after_resume.memory), (Some(Position(10)), None));
    assert_eq!(after_resume.exceptions, []);
}

/// A subscription that doesn't exist.
pub async fn an_unknown_lane_changes_nothing(store: &dyn Store) {
    let unknown = subscription(&subscriber());
    save(store, 4, full(&unknown)).await;
    assert_eq!(store.load(&own(store).await).await.unwrap().lanes, []);
}

/// Entries of a save are merged like any others.
pub async fn saves_add_log_entries(store: &dyn Store) {
    let (_, stored) = make(store).await;
    store.add_entry(error("no answer", at(0))).await.unwrap();
    let entries = vec![error("no answer", at(1)), error("no answer", at(2)), error("another", at(2))];
    save(store, 1, LaneSave { entries, ..lane(&stored) }).await;
    let found = store.entries(&owner(), &query()).await.unwrap().entries;
    assert_eq!(found.iter().map(|entry| entry.count).collect::<Vec<_>>(), [3, 1]);
}

/// It is independent of earlier events.
pub async fn a_new_lane_starts_at_the_head(store: &dyn Store) {
    append(store, PIM, "a b", at(0)).await;
    make(store).await;
    let record = record(store).await;
    assert_eq!((record.cursor, record.generation), (Some(Position(3)), 0));
    assert_eq!((record.memory, record.exceptions.len()), (None, 0));
}

/// The backlog of the suspension is dropped.
pub async fn a_resume_starts_at_the_head(store: &dyn Store) {
    let (_, stored) = make(store).await;
    save(store, 1, full(&stored)).await;
    let stored = put(store, changed(&stored, |next| next.status = SUSPENDED)).await;
    append(store, PIM, "a b c d e f g h i j", at(0)).await;
    put(store, changed(&stored, |next| next.status = SubscriptionStatus::Active)).await;
    let record = record(store).await;
    assert_eq!((record.cursor, record.generation), (Some(Position(11)), 2));
    assert_eq!((record.memory, record.exceptions.len()), (None, 0));
}

/// With `hold` only the lane's pace memory is lost.
pub async fn a_resume_with_hold_goes_on(store: &dyn Store) {
    let (_, stored) = make(store).await;
    save(store, 1, full(&stored)).await;
    let hold = |next: &mut Subscription| {
        next.status = SUSPENDED;
        next.options.hold = true;
    };
    let stored = put(store, changed(&stored, hold)).await;
    let suspended = record(store).await;
    assert_eq!((suspended.cursor, suspended.exceptions.len()), (Some(Position(8)), 2));
    put(store, changed(&stored, |next| next.status = SubscriptionStatus::Active)).await;
    let record = record(store).await;
    assert_eq!((record.cursor, record.generation, record.memory), (Some(Position(8)), 0, None));
    assert_eq!(record.exceptions, suspended.exceptions);
}

/// The mark advances without it.
pub async fn a_suspension_stops_a_lane_that_follows_the_mark(store: &dyn Store) {
    let (_, stored) = make(store).await;
    append(store, PIM, "a b c", at(0)).await;
    save(store, 2, lane(&stored)).await;
    put(store, changed(&stored, |next| next.status = SUSPENDED)).await;
    store.save(&own(store).await, Save { mark: Position(4), ..Save::default() }).await.unwrap();
    assert_eq!(record(store).await.cursor, Some(Position(2)));
}

/// The backlog of a suspension without `hold` is dropped once: a later revocation has nothing left to drop, so events
/// accepted in between are never counted as dropped, not even after a restart.
pub async fn a_revocation_leaves_a_stopped_lane_as_it_is(store: &dyn Store) {
    let (_, stored) = make(store).await;
    append(store, PIM, "a b c", at(0)).await;
    let suspended = put(store, changed(&stored, |next| next.status = SUSPENDED)).await;
    save(store, 4, lane(&suspended)).await;
    append(store, PIM, "d e", at(0)).await;
    put(store, changed(&suspended, |next| next.status = SubscriptionStatus::Revoked)).await;
    assert_eq!(record(store).await.cursor, None);
}

/// A backlog that is still being counted stays in the ledger.
pub async fn a_revocation_keeps_the_cursor_of_an_uncounted_backlog(store: &dyn Store) {
    let (_, stored) = make(store).await;
    append(store, PIM, "a b c", at(0)).await;
    save(store, 2, lane(&stored)).await;
    let suspended = put(store, changed(&stored, |next| next.status = SUSPENDED)).await;
    put(store, changed(&suspended, |next| next.status = SubscriptionStatus::Revoked)).await;
    assert_eq!(record(store).await.cursor, Some(Position(2)));
}

/// With `hold`, the lane's events are its own until the revocation.
pub async fn a_revocation_stops_a_held_lane(store: &dyn Store) {
    let (_, stored) = make(store).await;
    append(store, PIM, "a b c", at(0)).await;
    let hold = |next: &mut Subscription| (next.status, next.options.hold) = (SUSPENDED, true);
    let held = put(store, changed(&stored, hold)).await;
    save(store, 3, lane(&held)).await;
    put(store, changed(&held, |next| next.status = SubscriptionStatus::Revoked)).await;
    store.save(&own(store).await, Save { mark: Position(4), ..Save::default() }).await.unwrap();
    assert_eq!(record(store).await.cursor, Some(Position(3)));
}

/// It isn't needed any more.
pub async fn a_deleted_lane_is_forgotten(store: &dyn Store) {
    let (_, stored) = make(store).await;
    save(store, 1, full(&stored)).await;
    put(store, changed(&stored, |next| next.status = SubscriptionStatus::Deleted)).await;
    assert_eq!(store.load(&own(store).await).await.unwrap().lanes, []);
}
