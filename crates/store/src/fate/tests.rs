//! Each fate by the rule that leads to it.

use domain::EventType;
use domain::exception::{Exception, ExceptionKind};
use domain::fate::{DropReason, DroppedBacklog};
use domain::filter::Filter;
use domain::outcome::ErrorReason;
use domain::subscription::Selection;
use domain::{PimId, Position, SubscriptionId};

use super::*;
use crate::conformance::sample::{self, at};
use crate::kept::Era;

const TYPE: &str = "com.example.happened";

/// An event at position 50.
fn event() -> LoggedEvent {
    LoggedEvent { position: Position(50), pim: PimId(1), accepted_at: at(50), event: sample::event("e") }
}

fn era(from: u64, status: SubscriptionStatus, holds: bool) -> Era {
    Era {
        from: Position(from),
        since: at(from as i64),
        status,
        holds,
        selection: sample::selection(TYPE),
        send_product_identifier: false,
    }
}

fn active(from: u64) -> Era {
    era(from, SubscriptionStatus::Active, false)
}

fn suspended(from: u64, holds: bool) -> Era {
    era(from, SubscriptionStatus::Suspended(SuspensionReason::User), holds)
}

fn history(eras: Vec<Era>) -> History {
    History { subscription: SubscriptionId::generate(), eras, from_creation: true }
}

fn given_up() -> GivenUp {
    GivenUp {
        position: Position(50),
        reason: ErrorReason::DestinationFailure,
        status: Some(503),
        attempts: 4,
        at: at(60),
    }
}

fn dropped(uncertain: bool) -> DroppedBacklog {
    DroppedBacklog {
        from: Position(40),
        until: Position(60),
        also: Vec::new(),
        except: Vec::new(),
        reason: DropReason::Suspended,
        at: at(60),
        uncertain,
    }
}

fn exception(kind: ExceptionKind, failures: u8, first_tried_at: Timestamp) -> Exception {
    Exception { position: Position(50), kind, failures, due_at: at(90), first_tried_at, entity: 0 }
}

fn passed() -> Recorded {
    Recorded { cursor: Position(51), ..Recorded::default() }
}

fn judged(eras: Vec<Era>, whereabouts: Option<Whereabouts>, recorded: &Recorded) -> Judged {
    judge(&event(), &history(eras), whereabouts, recorded, at(70)).unwrap()
}

/// Checks fate and message with an active subscription.
fn check(whereabouts: Option<Whereabouts>, recorded: &Recorded, fate: Fate, says: &str) -> Judged {
    let judged = judged(vec![active(10)], whereabouts, recorded);
    assert_eq!(judged.fate, fate, "{judged:?}");
    assert!(judged.why.to_string().contains(says), "{}", judged.why);
    judged
}

#[test]
fn before_the_first_era_it_did_not_exist_or_nothing_is_known() {
    let eras = vec![active(51)];
    let judged = judged(eras.clone(), None, &passed());
    assert_eq!((judged.fate, judged.why), (Fate::NotActive, Why::NotYetCreated));
    let unknown = History { from_creation: false, ..history(eras) };
    assert_eq!(judge(&event(), &unknown, Some(Whereabouts::Passed), &passed(), at(70)), None);
}

#[test]
fn the_selection_of_the_time_counts_and_comes_before_everything_else() {
    let selects = |era: Era, events: &str, filter: Option<&str>| Era {
        selection: Selection {
            events: vec![EventType::new(events)],
            filter: filter.and_then(|text| Filter::parse(text).unwrap()),
        },
        ..era
    };
    // Even during a suspension, and whatever is recorded.
    let recorded = Recorded { given_up: Some(given_up()), ..passed() };
    let other = vec![selects(suspended(10, false), "com.example.other", None), active(60)];
    let not_subscribed = judged(other, Some(Whereabouts::InFlight), &recorded);
    assert_eq!(not_subscribed.fate, Fate::NotSubscribed);
    assert_eq!(not_subscribed.why.to_string(), "The subscription did not include the type com.example.happened.");
    let filter = Some(r#"not user="x" and (user="a" or user_type="job") and attribute="name""#);
    let filtered = judged(vec![selects(suspended(10, false), TYPE, filter), active(60)], None, &recorded);
    assert_eq!(filtered.fate, Fate::FilteredOut);
    assert_eq!(
        filtered.why.to_string(),
        r#"The subscription's filter excluded the event: user="a" or user_type="job" did not hold."#
    );
    let passes = judged(vec![selects(active(10), TYPE, Some(r#"not user="x""#))], None, &passed());
    assert_eq!(passes.fate, Fate::Delivered);
}

#[test]
fn a_suspension_without_hold_is_named_with_its_start() {
    // The era of the event began with another selection, not with the suspension.
    let eras = vec![active(10), suspended(20, false), suspended(30, false), active(60)];
    let judged_ = judged(eras, Some(Whereabouts::Passed), &Recorded { dropped: Some(dropped(false)), ..passed() });
    let why = Why::Suspended { reason: SuspensionReason::User, since: at(20) };
    assert_eq!((judged_.fate, judged_.why.clone()), (Fate::NotActive, why));
    let text = judged_.why.to_string();
    assert!(text.contains(&at(20).to_string()) && text.contains("suspended by its owner"), "{text}");
    for status in [SubscriptionStatus::Revoked, SubscriptionStatus::Deleted] {
        let over = judged(vec![active(10), era(30, status, false)], None, &passed());
        assert_eq!((over.fate, over.why), (Fate::NotActive, Why::Over { since: at(30) }));
    }
}

#[test]
fn the_lane_is_believed_before_the_store() {
    let stale = Recorded { exception: Some(exception(ExceptionKind::Retry, 1, at(50))), ..Recorded::default() };
    check(Some(Whereabouts::InFlight), &stale, Fate::InFlight, "in progress");
    check(Some(Whereabouts::Waiting), &passed(), Fate::Waiting, "first attempt");
    check(
        Some(Whereabouts::Delivered),
        &Recorded { dropped: Some(dropped(false)), ..stale.clone() },
        Fate::Delivered,
        "",
    );
    let given = check(Some(Whereabouts::GivenUp(given_up())), &stale, Fate::GivenUp, "after 4 attempts");
    assert_eq!(given.given_up, Some(given_up()));
    let drop = Whereabouts::Dropped { reason: DropReason::HoldEnded, at: at(65), uncertain: false };
    check(Some(drop), &stale, Fate::Dropped, "hold was switched off");
    // The exception and the cursor are those of the last save: the lane has settled the event since.
    check(Some(Whereabouts::Passed), &stale, Fate::Delivered, "accepted the event");
}

#[test]
fn an_event_that_waits_says_until_when_and_why() {
    let waits = |failures, throttled| Whereabouts::WaitingForRetry { failures, throttled, due_at: at(90) };
    let retry = check(Some(waits(2, false)), &passed(), Fate::WaitingForRetry, "after 2 failed attempts");
    assert_eq!(retry.next_attempt_at, Some(at(90)));
    check(Some(waits(1, false)), &passed(), Fate::WaitingForRetry, "after 1 failed attempt.");
    check(Some(waits(0, true)), &passed(), Fate::WaitingForRetry, "429");
    let overdue = Whereabouts::WaitingForRetry { failures: 1, throttled: false, due_at: at(60) };
    assert_eq!(check(Some(overdue), &passed(), Fate::WaitingForRetry, "").next_attempt_at, Some(at(70)));
    // Held: nothing is due.
    for whereabouts in [Whereabouts::Waiting, waits(2, false)] {
        let held = judged(vec![active(10), suspended(60, true)], Some(whereabouts), &passed());
        assert_eq!((held.why, held.next_attempt_at), (Why::Held { reason: SuspensionReason::User }, None));
    }
    let held = judged(vec![active(10), suspended(40, true)], None, &Recorded::default());
    assert_eq!((held.fate, held.why), (Fate::Waiting, Why::Held { reason: SuspensionReason::User }));
}

#[test]
fn records_come_before_exceptions_and_the_cursor() {
    let retry = exception(ExceptionKind::Retry, 1, at(50));
    let all = Recorded {
        cursor: Position(1),
        exception: Some(retry.clone()),
        given_up: Some(given_up()),
        dropped: Some(dropped(true)),
        delivered_late: false,
    };
    for whereabouts in [None, Some(Whereabouts::Passed)] {
        check(whereabouts.clone(), &all, Fate::GivenUp, "(status 503)");
        let drop = Recorded { given_up: None, ..all.clone() };
        check(whereabouts.clone(), &drop, Fate::Dropped, "may have been delivered");
        check(whereabouts.clone(), &Recorded { delivered_late: true, ..drop.clone() }, Fate::Delivered, "");
        check(whereabouts, &Recorded { dropped: Some(dropped(false)), ..drop }, Fate::Dropped, "without hold.");
    }
    let waiting = Recorded { cursor: Position(60), exception: Some(retry), ..Recorded::default() };
    check(None, &waiting, Fate::WaitingForRetry, "after 1 failed attempt");
    for cursor in [49, 50] {
        check(None, &Recorded { cursor: Position(cursor), ..Recorded::default() }, Fate::Waiting, "");
    }
    check(None, &passed(), Fate::Delivered, "");
}

#[test]
fn an_exception_that_was_never_tried_only_waits() {
    let fate = |kind, failures, first_tried_at| {
        let exception = Some(exception(kind, failures, first_tried_at));
        judged(vec![active(10)], None, &Recorded { exception, ..passed() }).fate
    };
    assert_eq!(fate(ExceptionKind::Predecessor, 0, Timestamp::EPOCH), Fate::Waiting);
    assert_eq!(fate(ExceptionKind::Throttled, 0, Timestamp::EPOCH), Fate::Waiting);
    assert_eq!(fate(ExceptionKind::Throttled, 0, at(50)), Fate::WaitingForRetry);
    assert_eq!(fate(ExceptionKind::Throttled, 2, Timestamp::EPOCH), Fate::WaitingForRetry);
    assert_eq!(fate(ExceptionKind::Retry, 1, at(50)), Fate::WaitingForRetry);
}
