//! Records about events, from which their fates follow.

use domain::fate::{DropReason, DroppedBacklog, OutcomeCounts};
use domain::outcome::SuspensionReason;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{ClientId, Position, SubscriptionId, Timestamp};

use super::kept::{dropped, given_up};
use super::log::trim;
use super::sample::*;
use crate::Store;
use crate::catalog::Put;
use crate::kept::{Era, History, Undelivered};
use crate::ledger::{Exception, ExceptionKind, Facts, LaneSave, Save};

const SUSPENDED: SubscriptionStatus = SubscriptionStatus::Suspended(SuspensionReason::User);

fn exception(position: u64, kind: ExceptionKind) -> Exception {
    Exception { position: Position(position), kind, failures: 1, due_at: at(300), first_tried_at: at(0), entity: 0 }
}

async fn save(store: &dyn Store, mark: u64, lane: LaneSave) {
    let save = Save { mark: Position(mark), lanes: vec![lane], ..Save::default() };
    store.save(&own(store).await, save).await.unwrap();
}

async fn eras(store: &dyn Store, of: &Subscription) -> (Vec<Era>, bool) {
    let History { subscription, eras, from_creation } = store.history(of.id).await.unwrap().unwrap();
    assert_eq!(subscription, of.id);
    (eras, from_creation)
}

async fn alter(
    store: &dyn Store,
    stored: &Subscription,
    seconds: i64,
    edit: impl FnOnce(&mut Subscription),
) -> Subscription {
    put(
        store,
        changed(stored, |next| {
            next.updated_at = at(seconds);
            edit(next);
        }),
    )
    .await
}

/// An era per change of status, hold, selection or product identifier; other changes begin none.
pub async fn a_history_has_an_era_per_change(store: &dyn Store) {
    append(store, PIM, "a", at(0)).await;
    let (_, stored) = make(store).await;
    let mut expect = vec![Era::of(&stored, Position(2))];
    assert_eq!(eras(store, &stored).await, (expect.clone(), true));
    append(store, PIM, "b", at(0)).await;
    let stored = alter(store, &stored, 10, |next| next.options.respect_retry_after = true).await;
    assert_eq!(eras(store, &stored).await.0, expect);
    let stored = alter(store, &stored, 20, |next| next.selection = selection("second")).await;
    expect.push(Era { since: at(0), ..Era::of(&stored, Position(3)) });
    append(store, PIM, "c", at(0)).await;
    let stored = alter(store, &stored, 30, |next| next.status = SUSPENDED).await;
    expect.push(Era::of(&stored, Position(4)));
    append(store, PIM, "d", at(0)).await;
    let stored = alter(store, &stored, 40, |next| next.options.hold = true).await;
    expect.push(Era { since: at(30), ..Era::of(&stored, Position(5)) });
    append(store, PIM, "e", at(0)).await;
    let stored = alter(store, &stored, 50, |next| next.send_product_identifier = true).await;
    expect.push(Era { since: at(30), ..Era::of(&stored, Position(6)) });
    assert_eq!(eras(store, &stored).await, (expect.clone(), true));
    assert!(expect[3].holds && !expect[2].holds);
    let history = store.history(stored.id).await.unwrap().unwrap();
    for (position, era) in [(1, None), (2, Some(0)), (3, Some(1)), (5, Some(3)), (6, Some(4)), (99, Some(4))] {
        assert_eq!(history.at(Position(position)), era.map(|era: usize| &expect[era]), "at {position}");
    }
}

/// An era without an event is replaced by the next.
pub async fn an_era_without_events_is_not_stored(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let stored = alter(store, &stored, 10, |next| next.status = SUSPENDED).await;
    let stored = alter(store, &stored, 20, |next| next.selection = selection("second")).await;
    assert_eq!(eras(store, &stored).await, (vec![Era { since: at(10), ..Era::of(&stored, Position(1)) }], true));
}

/// Eras that ended before the kept events are deleted, and the number of all is bounded.
pub async fn histories_are_bounded(store: &dyn Store) {
    let (_, mut stored) = make(store).await;
    for number in 0..5 {
        append(store, PIM, &number.to_string(), at(0)).await;
        stored = alter(store, &stored, number, |next| next.selection = selection(&format!("t{number}"))).await;
    }
    assert_eq!(eras(store, &stored).await.0.len(), 6);
    trim(store, &[], 3).await;
    assert_eq!(eras(store, &stored).await.0.len(), 6);
    serve(store, 100).await;
    trim(store, &[], 3).await;
    assert_eq!(store.kept_from(PIM).await.unwrap(), Position(3));
    let (left, from_creation) = eras(store, &stored).await;
    assert_eq!((left.len(), left[0].from, from_creation), (4, Position(3), false));
    for number in 5..History::MAX_ERAS as i64 + 5 {
        append(store, PIM, &number.to_string(), at(0)).await;
        stored = alter(store, &stored, number, |next| next.selection = selection(&format!("t{number}"))).await;
    }
    let (left, _) = eras(store, &stored).await;
    assert_eq!((left.len(), left[0].from), (History::MAX_ERAS, Position(7)));
}

/// Of one client; neither of revoked nor of deleted subscriptions.
pub async fn histories_are_of_one_client(store: &dyn Store) {
    let (subscriber, first) = make(store).await;
    let new = async |edit: &dyn Fn(&mut Subscription)| {
        let mut new = subscription(&subscriber);
        edit(&mut new);
        store.change(change(vec![Put::New(new)])).await.unwrap().subscriptions.remove(0)
    };
    let suspended = put(store, changed(&new(&|_| {}).await, |next| next.status = SUSPENDED)).await;
    let revoked = put(store, changed(&new(&|_| {}).await, |next| next.status = SubscriptionStatus::Revoked)).await;
    let deleted = put(store, changed(&new(&|_| {}).await, |next| next.status = SubscriptionStatus::Deleted)).await;
    let mut histories = store.histories(&owner()).await.unwrap();
    histories.sort_by_key(|history| history.subscription);
    let mut expect = [first.id, suspended.id];
    expect.sort();
    assert_eq!(histories.iter().map(|history| history.subscription).collect::<Vec<_>>(), expect);
    let mut stranger = owner();
    stranger.client_id = ClientId("stranger".to_owned());
    assert_eq!(store.histories(&stranger).await.unwrap(), []);
    assert_eq!(store.history(deleted.id).await.unwrap(), None);
    let (of_revoked, _) = eras(store, &revoked).await;
    assert_eq!(of_revoked.last().map(|era| era.status), Some(SubscriptionStatus::Revoked));
}

/// Facts are stored with a save, even with one of an earlier generation.
pub async fn facts_come_with_a_save(store: &dyn Store) {
    let (_, stored) = make(store).await;
    append(store, PIM, "a b c d e f", at(0)).await;
    let backlog = DroppedBacklog { also: vec![Position(1)], except: vec![Position(4)], ..dropped(3, 6) };
    let facts = Facts {
        given_up: vec![given_up(2)],
        dropped: vec![backlog.clone()],
        delivered_late: vec![Position(3)],
        counts: Vec::new(),
    };
    let waits = exception(1, ExceptionKind::Retry);
    let first = LaneSave { cursor: Some(Position(3)), exceptions: vec![waits.clone()], facts, ..lane(&stored) };
    save(store, 7, first).await;
    let at_position = async |position| store.recorded(stored.id, Position(position)).await.unwrap();
    let of = at_position(1).await;
    assert_eq!((of.cursor, of.exception, of.dropped), (Position(3), Some(waits), Some(backlog.clone())));
    assert_eq!((at_position(2).await.given_up, at_position(2).await.dropped), (Some(given_up(2)), None));
    let of = at_position(3).await;
    assert_eq!((of.dropped, of.delivered_late, of.exception), (Some(backlog.clone()), true, None));
    assert_eq!((at_position(4).await.dropped, at_position(5).await.dropped), (None, Some(backlog.clone())));
    assert_eq!(at_position(6).await.dropped, None);
    let (given, dropped) = store.exceptional(stored.id, Position(1)..Position(4)).await.unwrap();
    let without = DroppedBacklog { except: vec![Position(4), Position(3)], ..backlog.clone() };
    assert_eq!((given, dropped), (vec![Position(2)], vec![without]));
    let (given, dropped) = store.exceptional(stored.id, Position(6)..Position(9)).await.unwrap();
    assert_eq!((given, dropped), (vec![], vec![]));
    // The cursor of a lane without one is the mark, and an overtaken save still tells what was.
    save(store, 8, lane(&stored)).await;
    assert_eq!(at_position(1).await.cursor, Position(8));
    put(store, changed(&stored, |next| next.status = SUSPENDED)).await;
    let late = Facts { given_up: vec![given_up(5)], ..Facts::default() };
    save(store, 8, LaneSave { facts: late, ..lane(&stored) }).await;
    assert_eq!(at_position(5).await.given_up, Some(given_up(5)));
    let unknown = SubscriptionId::generate();
    assert_eq!(store.recorded(unknown, Position(1)).await.unwrap().given_up, None);
}

/// Newest first, in pages.
pub async fn undelivered_events_are_listed(store: &dyn Store) {
    let (subscriber, stored) = make(store).await;
    append(store, PIM, "a b c d e f g h i", at(0)).await;
    let exceptions = vec![
        exception(3, ExceptionKind::Retry),
        exception(5, ExceptionKind::Predecessor),
        exception(7, ExceptionKind::Throttled),
    ];
    let facts = Facts { given_up: vec![given_up(2), given_up(4), given_up(8)], ..Facts::default() };
    save(store, 9, LaneSave { exceptions: exceptions.clone(), facts, ..lane(&stored) }).await;
    let given_up = |position| Undelivered::GivenUp(given_up(position));
    let waiting = |index: usize| Undelivered::Waiting(exceptions[index].clone());
    let all = [given_up(8), waiting(2), given_up(4), waiting(0), given_up(2)];
    assert_eq!(store.undelivered(stored.id, None, 10).await.unwrap(), all);
    assert_eq!(store.undelivered(stored.id, None, 2).await.unwrap(), all[..2]);
    assert_eq!(store.undelivered(stored.id, Some(Position(7)), 2).await.unwrap(), all[2..4]);
    assert_eq!(store.undelivered(stored.id, Some(Position(2)), 2).await.unwrap(), []);
    let unknown = SubscriptionId::generate();
    let counts =
        async |at_most| store.given_up(&subscriber.owner, &[unknown, stored.id, unknown], at_most).await.unwrap();
    assert_eq!((counts(10).await, counts(2).await), (vec![0, 3, 0], vec![0, 2, 0]));
}

/// What is dropped by a change is recorded in its commit, until the engine knows better.
pub async fn a_drop_is_recorded_with_its_change(store: &dyn Store) {
    let (_, stored) = make(store).await;
    append(store, PIM, "a b c d", at(0)).await;
    let waits = vec![exception(1, ExceptionKind::Retry)];
    save(store, 3, LaneSave { cursor: Some(Position(3)), exceptions: waits, ..lane(&stored) }).await;
    let stored = alter(store, &stored, 50, |next| next.status = SUSPENDED).await;
    append(store, PIM, "e", at(0)).await;
    let expect = DroppedBacklog {
        also: vec![Position(1)],
        reason: DropReason::Suspended,
        at: at(50),
        uncertain: true,
        ..dropped(3, 5)
    };
    let drop_of = async |position| store.recorded(stored.id, Position(position)).await.unwrap().dropped;
    for (position, is_dropped) in [(1, true), (2, false), (3, true), (4, true), (5, false)] {
        assert_eq!(drop_of(position).await, is_dropped.then(|| expect.clone()), "{position}");
    }
    // One for another reason with the same end doesn't replace it.
    let expired = dropped(2, 5);
    let certain = DroppedBacklog { from: Position(4), uncertain: false, ..expect.clone() };
    for (backlog, of_4) in [(expired.clone(), &expired), (certain.clone(), &certain)] {
        let facts = Facts { dropped: vec![backlog], ..Facts::default() };
        save(store, 3, LaneSave { drop_exceptions: true, facts, ..lane(&stored) }).await;
        assert_eq!(drop_of(4).await.as_ref(), Some(of_4));
    }
    assert_eq!((drop_of(2).await, drop_of(3).await), (Some(expired.clone()), Some(expired)));
    assert_eq!(drop_of(1).await, Some(certain));
}

async fn drop_after(store: &dyn Store, hold: bool, edits: &[&dyn Fn(&mut Subscription)]) -> Option<DropReason> {
    let mut of = subscriber();
    of.name = SubscriptionStatus::Revoked.to_string();
    let mut new = subscription(&of);
    new.options.hold = hold;
    let mut first = change(vec![Put::New(new)]);
    first.subscriber = Some(Put::New(of));
    let mut stored = store.change(first).await.unwrap().subscriptions.remove(0);
    let head = store.head(shard(store)).await.unwrap();
    append(store, PIM, &head.to_string(), at(0)).await;
    for edit in edits {
        stored = put(store, changed(&stored, edit)).await;
    }
    store.recorded(stored.id, head).await.unwrap().dropped.map(|backlog| backlog.reason)
}

/// A backlog that is held is dropped by the end of the hold or of the subscription, and by nothing else.
pub async fn only_a_backlog_that_is_lost_is_dropped(store: &dyn Store) {
    let suspend: &dyn Fn(&mut Subscription) = &|next| next.status = SUSPENDED;
    let resume: &dyn Fn(&mut Subscription) = &|next| next.status = SubscriptionStatus::Active;
    let revoke: &dyn Fn(&mut Subscription) = &|next| next.status = SubscriptionStatus::Revoked;
    let let_go: &dyn Fn(&mut Subscription) = &|next| next.options.hold = false;
    let pause: &dyn Fn(&mut Subscription) =
        &|next| next.status = SubscriptionStatus::Suspended(SuspensionReason::PimWithdrawn);
    let check = async |hold, edits: &[&dyn Fn(&mut Subscription)], expect| {
        assert_eq!(drop_after(store, hold, edits).await, expect);
    };
    check(false, &[suspend], Some(DropReason::Suspended)).await;
    check(false, &[suspend, resume], Some(DropReason::Suspended)).await;
    check(false, &[suspend, revoke], Some(DropReason::Suspended)).await;
    check(false, &[revoke], Some(DropReason::Revoked)).await;
    check(false, &[pause, resume], None).await;
    check(true, &[suspend, resume], None).await;
    check(true, &[suspend, revoke], Some(DropReason::Revoked)).await;
    check(true, &[suspend, let_go], Some(DropReason::HoldEnded)).await;
    check(true, &[let_go], None).await;
}

fn counts(from: i64, delivered: u64, failed: u64) -> OutcomeCounts {
    OutcomeCounts { from: at(from), delivered, failed, throttled: 1 }
}

/// Outcomes of a step are added up, of several subscriptions too, for 24 hours of service.
pub async fn outcomes_are_counted(store: &dyn Store) {
    let (subscriber, stored) = make(store).await;
    let counted = async |of: &[SubscriptionId], from| store.outcome_counts(&subscriber.owner, of, from).await.unwrap();
    let count = async |counts: Vec<OutcomeCounts>| {
        save(store, 1, LaneSave { facts: Facts { counts, ..Facts::default() }, ..lane(&stored) }).await;
    };
    count(vec![counts(0, 5, 1), counts(300, 7, 0)]).await;
    count(vec![counts(300, 1, 2)]).await;
    let sum = OutcomeCounts { throttled: 2, ..counts(300, 8, 2) };
    assert_eq!(counted(&[stored.id], Timestamp::EPOCH).await, [counts(0, 5, 1), sum]);
    assert_eq!(counted(&[stored.id], at(300)).await, [sum]);
    let (_, other) = make(store).await;
    let facts = Facts { counts: vec![counts(300, 2, 3)], ..Facts::default() };
    save(store, 1, LaneSave { facts, ..lane(&other) }).await;
    let of_both = [counts(0, 5, 1), OutcomeCounts { throttled: 3, ..counts(300, 10, 5) }];
    assert_eq!(counted(&[stored.id, other.id], Timestamp::EPOCH).await, of_both);
    assert_eq!(counted(&[], Timestamp::EPOCH).await, []);
    serve(store, 24).await;
    count(vec![counts(600, 1, 0)]).await;
    trim(store, &[], 1).await;
    assert_eq!(counted(&[stored.id], at(300)).await.len(), 2);
    serve(store, 1).await;
    trim(store, &[], 1).await;
    assert_eq!(counted(&[stored.id], Timestamp::EPOCH).await, [counts(600, 1, 0)]);
}
