//! What is kept, for how long, and what is deleted first. Kept within [`BOUNDS`](super::BOUNDS).

use domain::event::EventParts;
use domain::fate::{DropReason, DroppedBacklog, GivenUp};
use domain::outcome::ErrorReason;
use domain::{Event, PimId, Position};

use super::BOUNDS;
use super::log::trim;
use super::sample::*;
use crate::Store;
use crate::kept::KeptQuery;
use crate::ledger::{Facts, LaneSave, Save};

/// All events of a PIM, newest first.
async fn kept(store: &dyn Store, pim: PimId) -> String {
    let all = KeptQuery { limit: usize::MAX, ..KeptQuery::default() };
    let page = store.find(pim, &all).await.unwrap();
    assert_eq!(page.next, None);
    page.events.iter().map(|event| event.event.id()).collect::<Vec<_>>().join(" ")
}

async fn kept_from(store: &dyn Store, pim: PimId) -> u64 {
    store.kept_from(pim).await.unwrap().0
}

/// Appends one event per id, each of about 10 KB.
async fn append_large(store: &dyn Store, pim: PimId, ids: impl Iterator<Item = u64>) {
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(10_000));
    for id in ids {
        let parts = EventParts {
            id: &id.to_string(),
            event_type: "com.example.happened",
            time: "2026-11-02T08:00:00Z",
            extensions: "",
            data: &data,
            product_identifier: None,
        };
        store.append(pim, vec![Event::new(parts)], at(0)).await.unwrap();
    }
}

pub(super) fn given_up(position: u64) -> GivenUp {
    GivenUp {
        position: Position(position),
        reason: ErrorReason::DestinationFailure,
        status: Some(500),
        attempts: 5,
        at: at(60),
    }
}

pub(super) fn dropped(from: u64, until: u64) -> DroppedBacklog {
    DroppedBacklog {
        from: Position(from),
        until: Position(until),
        also: Vec::new(),
        except: Vec::new(),
        reason: DropReason::Expired,
        at: at(60),
        uncertain: false,
    }
}

/// Events that no lane needs are no backlog, but still there.
pub async fn what_no_lane_needs_is_kept(store: &dyn Store) {
    for (pim, id) in [(PIM, "a"), (PIM, "b"), (OTHER, "c"), (PIM, "d")] {
        append(store, pim, id, at(0)).await;
    }
    assert_eq!(kept(store, PIM).await, "d b a", "backlog can be found, too");
    assert_eq!(store.kept_bytes().await.unwrap(), 0);
    let full = store.backlog();
    trim(store, &[(PIM, 2)], u64::MAX).await;
    let left = store.backlog();
    assert_eq!((left.of(PIM) * 3, left.of(OTHER)), (full.of(PIM) * 2, 0));
    let after = store.position_after(PIM, 1).await.unwrap().0;
    assert!((3..=4).contains(&after), "kept events are not counted: {after}");
    assert_eq!((kept(store, PIM).await.as_str(), kept(store, OTHER).await.as_str()), ("d b a", "c"));
    assert_eq!((kept_from(store, PIM).await, store.oldest_kept(PIM).await.unwrap()), (1, Some(at(0))));
    let bytes = store.kept_bytes().await.unwrap();
    assert!(bytes >= left.of(PIM), "{bytes}");
    // Floors only rise.
    trim(store, &[(PIM, 1)], 1).await;
    assert_eq!((store.backlog(), store.kept_bytes().await.unwrap()), (left, bytes));
    assert_eq!(read(store, Some(PIM), 1, ALL).await.0, "a b d");
}

/// By the hours in which they were accepted; the clock is irrelevant.
pub async fn kept_events_are_deleted_after_hours_of_service(store: &dyn Store) {
    append(store, PIM, "a", at(0)).await;
    serve(store, 1).await;
    append(store, PIM, "b", at(-900_000)).await;
    for (hours, expect, from) in [(0, "b a", 1), (23, "b a", 1), (1, "b", 2), (1, "", 3), (100, "", 3)] {
        serve(store, hours).await;
        trim(store, &[], u64::MAX).await;
        assert_eq!((kept(store, PIM).await.as_str(), kept_from(store, PIM).await), (expect, from), "{hours}");
    }
    assert_eq!((store.kept_bytes().await.unwrap(), store.oldest_kept(PIM).await.unwrap()), (0, None));
    assert_eq!(read(store, None, 1, ALL).await, (String::new(), 3));
}

/// Whatever its age: it is backlog. Afterwards it is deleted at once.
pub async fn an_event_that_a_lane_needs_stays(store: &dyn Store) {
    append(store, PIM, "a", at(0)).await;
    append(store, PIM, "b", at(0)).await;
    serve(store, 100).await;
    trim(store, &[(PIM, 2)], 1).await;
    assert_eq!((kept(store, PIM).await.as_str(), kept_from(store, PIM).await), ("b", 2));
    trim(store, &[(PIM, 3)], 3).await;
    assert_eq!((kept(store, PIM).await.as_str(), kept_from(store, PIM).await), ("", 3));
}

/// Both bounds are of all PIMs together.
pub async fn the_pim_that_takes_most_loses_its_oldest(store: &dyn Store) {
    append_large(store, OTHER, 1..=3).await;
    append_large(store, PIM, 4..=60).await;
    append_large(store, OTHER, 61..=62).await;
    trim(store, &[], u64::MAX).await;
    let bytes = store.kept_bytes().await.unwrap();
    assert!((BOUNDS.bytes - 25_000..=BOUNDS.bytes).contains(&bytes), "{bytes}");
    assert_eq!(kept(store, OTHER).await, "62 61 3 2 1", "they are older");
    let from = kept_from(store, PIM).await;
    let newest = (from..=60).rev().map(|id| id.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(kept(store, PIM).await, newest);
    assert!((15..=25).contains(&(60 - from)), "{from}");
}

/// Backlog counts towards its own bound only.
pub async fn bounds_delete_nothing_that_a_lane_needs(store: &dyn Store) {
    append_large(store, OTHER, 1..=3).await;
    append_large(store, PIM, 4..=60).await;
    trim(store, &[(PIM, 4)], u64::MAX).await;
    assert_eq!(kept(store, OTHER).await, "3 2 1");
    assert_eq!(read(store, Some(PIM), 1, ALL).await.0.split(' ').count(), 57);
    assert_eq!(kept_from(store, PIM).await, 1);
}

/// Records go with their events, and their size counts.
pub async fn records_go_with_their_events(store: &dyn Store) {
    let (_, of) = make(store).await;
    append(store, PIM, "a", at(0)).await;
    append(store, PIM, "b", at(0)).await;
    let before = store.kept_bytes().await.unwrap();
    let facts = Facts {
        given_up: vec![given_up(1), given_up(2)],
        dropped: vec![dropped(1, 2), dropped(1, 3)],
        delivered_late: vec![Position(1), Position(2)],
        counts: Vec::new(),
    };
    let save = Save { lanes: vec![LaneSave { facts, ..lane(&of) }], ..Save::default() };
    store.save(&own(store).await, save).await.unwrap();
    assert!(store.kept_bytes().await.unwrap() > before);
    serve(store, 100).await;
    trim(store, &[(PIM, 2)], 1).await;
    let [first, second] = [1, 2].map(|position| store.recorded(of.id, Position(position)));
    let first = first.await.unwrap();
    assert_eq!((first.given_up, first.delivered_late), (None, false));
    let second = second.await.unwrap();
    assert_eq!(
        (second.given_up, second.dropped, second.delivered_late),
        (Some(given_up(2)), Some(dropped(1, 3)), true)
    );
    trim(store, &[(PIM, 3)], 1).await;
    assert_eq!(store.kept_bytes().await.unwrap(), 0);
    assert_eq!(store.undelivered(of.id, None, 9).await.unwrap(), []);
}

/// Where a lane needs the events of many records, they are forgotten, and their events count as not kept.
pub async fn records_alone_are_bounded(store: &dyn Store) {
    let (_, of) = make(store).await;
    append_large(store, PIM, 1..=20).await;
    append(store, OTHER, "a", at(0)).await;
    let many = (0..5000).map(|number| given_up(number / 250 + 1));
    for facts in [Facts { given_up: (1..=20).map(given_up).collect(), ..Facts::default() }]
        .into_iter()
        .chain(many.map(|given_up| Facts { dropped: vec![dropped(1, given_up.position.0 + 1)], ..Facts::default() }))
    {
        let save = Save { lanes: vec![LaneSave { facts, ..lane(&of) }], ..Save::default() };
        store.save(&own(store).await, save).await.unwrap();
    }
    trim(store, &[(PIM, 1)], u64::MAX).await;
    let bytes = store.kept_bytes().await.unwrap();
    assert!(bytes <= BOUNDS.bytes, "{bytes}");
    let from = kept_from(store, PIM).await;
    assert!((2..20).contains(&from), "{from}");
    assert_eq!(kept(store, PIM).await.split(' ').count() as u64, 21 - from);
    assert_eq!(kept(store, OTHER).await, "a");
    assert_eq!(read(store, Some(PIM), 1, ALL).await.0.split(' ').count(), 20, "the lane loses nothing");
    assert_eq!(store.recorded(of.id, Position(from - 1)).await.unwrap().given_up, None);
    assert_eq!(store.recorded(of.id, Position(20)).await.unwrap().given_up, Some(given_up(20)));
}

/// Without keeping.
pub async fn nothing_is_kept_with_a_bound_of_zero(store: &dyn Store) {
    let (_, of) = make(store).await;
    for id in ["a", "b"] {
        append(store, PIM, id, at(0)).await;
    }
    let facts = Facts { given_up: vec![given_up(1), given_up(2)], ..Facts::default() };
    let save = Save { lanes: vec![LaneSave { facts, ..lane(&of) }], ..Save::default() };
    store.save(&own(store).await, save).await.unwrap();
    assert_eq!(trim(store, &[(PIM, 2)], 1).await, 1);
    assert_eq!((kept(store, PIM).await.as_str(), kept_from(store, PIM).await), ("b", 2));
    assert_eq!(store.recorded(of.id, Position(1)).await.unwrap().given_up, None);
    assert_eq!(store.recorded(of.id, Position(2)).await.unwrap().given_up, Some(given_up(2)));
    assert_eq!(trim(store, &[(PIM, 3)], 1).await, 1);
    assert_eq!((store.kept_bytes().await.unwrap(), store.backlog().total()), (0, 0));
}
