//! The event log.

use std::time::Duration;

use domain::event::EventParts;
use domain::trace_parent::TraceParent;
use domain::{Event, Position, ServiceHour};

use super::sample::*;
use crate::Store;
use crate::event_log::{Appended, Floors, ReadLimit, Scope};
use crate::shard::Shard;
use crate::snapshots::AppendNewError;

/// Consecutive requests are consecutive in the log, without gaps.
pub async fn appends_are_read_in_order(store: &dyn Store) {
    own(store).await;
    assert_eq!(store.tail(shard(store)).head(), Position::FIRST);
    append(store, PIM, "a b", at(0)).await;
    append(store, OTHER, "c", at(1)).await;
    append(store, PIM, "d", at(2)).await;
    assert_eq!(read(store, None, 1, ALL).await, ("a b c d".to_owned(), 5));
    let chunk = store.read(everything(store), Position(1), ALL).await.unwrap();
    let places: Vec<_> = chunk.events.iter().map(|event| (event.position.0, event.pim, event.accepted_at)).collect();
    assert_eq!(places, [(1, PIM, at(0)), (2, PIM, at(0)), (3, OTHER, at(1)), (4, PIM, at(2))]);
}

/// Acknowledged events are in the tail.
pub async fn the_tail_has_events_before_the_answer(store: &dyn Store) {
    own(store).await;
    for number in 1..=20u64 {
        append(store, PIM, &format!("a{number} b{number}"), at(0)).await;
        assert_eq!(store.tail(shard(store)).head(), Position(2 * number + 1));
        let newest = store.tail(shard(store)).since(Position(2 * number - 1), 10).unwrap();
        assert_eq!(newest.len(), 2);
        assert_eq!(newest, store.read(everything(store), Position(2 * number - 1), ALL).await.unwrap().events);
    }
}

/// A repeated id within a request counts once; the first one wins.
pub async fn known_ids_are_left_out_within_a_request(store: &dyn Store) {
    let mut batch = events("a b a");
    batch[2] = Event::new(EventParts { data: "{}", ..batch[2].clone().parts() });
    let appended = store.append(PIM, batch, at(0)).await.unwrap();
    assert_eq!(appended, Appended { accepted: 3, duplicates: 1 });
    let chunk = store.read(everything(store), Position(1), ALL).await.unwrap();
    assert_eq!(chunk.events.len(), 2);
    assert_ne!(chunk.events[0].event.data(), "{}");
}

/// Ids of earlier requests, at any hour within the window.
pub async fn known_ids_are_left_out_within_the_window(store: &dyn Store) {
    append(store, PIM, "a b", at(0)).await;
    serve(store, 24).await;
    let appended = store.append(PIM, events("b c a"), at(1)).await.unwrap();
    assert_eq!(appended, Appended { accepted: 3, duplicates: 2 });
    assert_eq!(read(store, None, 1, ALL).await.0, "a b c");
}

/// After 24 h of service the id is accepted again, and known from then on.
pub async fn known_ids_are_forgotten_after_the_window(store: &dyn Store) {
    append(store, PIM, "a", at(0)).await;
    serve(store, 25).await;
    append(store, PIM, "a", at(0)).await;
    append(store, PIM, "a", at(1)).await;
    assert_eq!(read(store, None, 1, ALL).await.0, "a a");
}

/// A clock that is 40 days fast or slow makes no id unknown.
pub async fn no_step_of_the_clock_keeps_a_duplicate_from_being_found(store: &dyn Store) {
    append(store, PIM, "a", at(0)).await;
    for days in [40, -40, 0] {
        append(store, PIM, "a", at(days * 24 * 3600)).await;
    }
    assert_eq!(read(store, None, 1, ALL).await.0, "a");
}

/// Two PIMs may use the same ids.
pub async fn ids_are_known_for_each_pim_of_its_own(store: &dyn Store) {
    append(store, PIM, "a", at(0)).await;
    append(store, OTHER, "a", at(0)).await;
    assert_eq!(read(store, Some(OTHER), 1, ALL).await.0, "a");
    assert_eq!(read(store, None, 1, ALL).await.0, "a a");
}

/// Two producers of a PIM may use the same ids: `source` and `id` together identify an event.
pub async fn ids_are_known_for_each_source_of_its_own(store: &dyn Store) {
    let of = |source: &str, ids: &str| {
        let extensions =
            if source.is_empty() { String::new() } else { format!(r#""n":1,"producersource":"{source}""#) };
        let event = |event: &Event| Event::new(EventParts { extensions: &extensions, ..event.parts() });
        events(ids).iter().map(event).collect::<Vec<_>>()
    };
    for (source, later, duplicates) in [("", "a b", 1), ("/shop-a", "a b", 1), ("/shop-b", "a a", 1)] {
        let first = if source == "/shop-b" { vec![] } else { of(source, "a") };
        store.append(PIM, first, at(0)).await.unwrap();
        let appended = store.append(PIM, of(source, later), at(1)).await.unwrap();
        assert_eq!(appended, Appended { accepted: 2, duplicates }, "{source}");
    }
    assert_eq!(read(store, None, 1, ALL).await.0, "a b a b a");
    let chunk = store.read(everything(store), Position(3), ALL).await.unwrap();
    assert_eq!(chunk.events[0].event.producer_source().as_deref(), Some("/shop-a"));
    // Likewise with the append that rejects known ids.
    let known = store.append_new(PIM, of("/shop-b", "a"), vec![], at(2)).await;
    assert!(matches!(known, Err(AppendNewError::Known(ids)) if ids == ["a"]));
    store.append_new(PIM, of("/shop-c", "a"), vec![], at(2)).await.unwrap();
}

/// Every field of an event.
pub async fn an_event_comes_back_as_it_was(store: &dyn Store) {
    let event = Event::new(EventParts {
        id: "ид \u{1f600}",
        event_type: "com.example.happened",
        time: "2026-11-02T08:00:00.120Z",
        extensions: "\"traceparent\":\"00-1\",\"n\":1",
        data: "{\"product\":{\"identifier\":\"x\",\"uuid\":\"1\"}}",
        product_identifier: Some(12..29),
    });
    let request = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let event = event.brought_by(request);
    store.append(PIM, vec![event.clone()], at(7)).await.unwrap();
    let chunk = store.read(Scope::Pim(PIM), Position(1), ALL).await.unwrap();
    assert_eq!(chunk.events[0].event, event);
    assert_eq!(chunk.events[0].event.trace_parent(), request);
    assert_eq!(chunk.events[0].accepted_at, at(7));
}

/// An empty request, and one with known ids only.
pub async fn an_empty_append_changes_nothing(store: &dyn Store) {
    own(store).await;
    assert_eq!(store.append(PIM, Vec::new(), at(0)).await.unwrap(), Appended::default());
    append(store, PIM, "a", at(0)).await;
    append(store, PIM, "a", at(0)).await;
    assert_eq!(store.tail(shard(store)).head(), Position(2));
}

/// Paging by number: nothing is skipped or repeated.
pub async fn reading_stops_at_the_number_of_events(store: &dyn Store) {
    append(store, PIM, "a b c", at(0)).await;
    append(store, OTHER, "d", at(0)).await;
    append(store, PIM, "e f g", at(0)).await;
    for page in 1..=8 {
        for (pim, expect) in [(None, "abcdefg"), (Some(PIM), "abcefg"), (Some(OTHER), "d")] {
            let (mut found, mut from) = (String::new(), 1);
            while from < 8 {
                let (ids, next) = read(store, pim, from, ReadLimit { events: page, ..ALL }).await;
                assert!(next > from, "reading must go on");
                assert!(ids.split_whitespace().count() <= page);
                found.push_str(&ids.replace(' ', ""));
                from = next;
            }
            assert_eq!((found.as_str(), from), (expect, 8), "pages of {page}");
        }
    }
}

/// Paging by size; at least one event is read.
pub async fn reading_stops_at_the_number_of_bytes(store: &dyn Store) {
    append(store, PIM, "a b c d", at(0)).await;
    let size = event("a").size();
    let check = async |bytes, expect: &str, next| {
        assert_eq!(read(store, None, 1, ReadLimit { bytes, ..ALL }).await, (expect.to_owned(), next));
    };
    check(0, "a", 2).await;
    check(2 * size, "a b", 3).await;
    check(100 * size, "a b c d", 5).await;
}

/// `until` is an exclusive bound, even within a request.
pub async fn reading_stops_before_until(store: &dyn Store) {
    append(store, PIM, "a b c", at(0)).await;
    let until = |until| ReadLimit { until: Position(until), ..ALL };
    assert_eq!(read(store, None, 1, until(3)).await, ("a b".to_owned(), 3));
    assert_eq!(read(store, Some(PIM), 2, until(3)).await, ("b".to_owned(), 3));
    assert_eq!(read(store, Some(OTHER), 1, until(3)).await, (String::new(), 3));
    assert_eq!(read(store, None, 3, until(3)).await, (String::new(), 3));
}

/// Reading at the head returns nothing and doesn't move back.
pub async fn reading_behind_the_head_finds_nothing(store: &dyn Store) {
    assert_eq!(read(store, None, 1, ALL).await, (String::new(), 1));
    append(store, PIM, "a", at(0)).await;
    assert_eq!(read(store, None, 2, ALL).await, (String::new(), 2));
    assert_eq!(read(store, Some(PIM), 9, ALL).await, (String::new(), 9));
}

/// Positions of one PIM have gaps; the end is still the head.
pub async fn reading_one_pim_passes_over_the_others(store: &dyn Store) {
    append(store, PIM, "a", at(0)).await;
    append(store, OTHER, "b c", at(0)).await;
    append(store, PIM, "d", at(0)).await;
    append(store, OTHER, "e", at(0)).await;
    assert_eq!(read(store, Some(PIM), 1, ALL).await, ("a d".to_owned(), 6));
    assert_eq!(read(store, Some(PIM), 2, ALL).await, ("d".to_owned(), 6));
    assert_eq!(read(store, Some(OTHER), 3, ALL).await, ("c e".to_owned(), 6));
}

/// A position within a single append.
pub async fn reading_from_within_a_request(store: &dyn Store) {
    append(store, PIM, "a b c d", at(0)).await;
    append(store, PIM, "e", at(0)).await;
    assert_eq!(read(store, None, 3, ALL).await, ("c d e".to_owned(), 6));
    let one = ReadLimit { events: 1, ..ALL };
    assert_eq!(read(store, Some(PIM), 4, one).await, ("d".to_owned(), 5));
}

pub(super) async fn trim(store: &dyn Store, floors: &[(domain::PimId, u64)], rest: u64) -> u64 {
    let pims = floors.iter().map(|(pim, floor)| (*pim, Position(*floor))).collect();
    let (floors, tenure) = (Floors { pims, rest: Position(rest) }, own(store).await);
    let mut trimmed = 0;
    loop {
        match store.trim(&tenure, &floors).await.unwrap() {
            0 => return trimmed,
            deleted => trimmed += deleted,
        }
    }
}

/// A named PIM is trimmed to its floor, the others to the rest. Each event is appended separately, because events of
/// one append may be kept together.
pub async fn trimming_goes_by_floors_and_rest(store: &dyn Store) {
    for (pim, id) in [(PIM, "a"), (OTHER, "b"), (PIM, "c"), (OTHER, "d"), (domain::PimId(129), "e"), (PIM, "f")] {
        append(store, pim, id, at(0)).await;
    }
    assert_eq!(trim(store, &[(PIM, 3)], 4).await, 2);
    assert_eq!(read(store, None, 1, ALL).await, ("c d e f".to_owned(), 7));
    assert_eq!(trim(store, &[(PIM, 3)], 4).await, 0);
    assert_eq!(trim(store, &[(PIM, 1), (OTHER, 7)], 7).await, 2);
    assert_eq!(read(store, None, 1, ALL).await, ("c f".to_owned(), 7));
}

/// Many slices until nothing is left; positions continue.
pub async fn trimming_ends_with_zero_and_keeps_the_head(store: &dyn Store) {
    for number in 0..300 {
        append(store, PIM, &number.to_string(), at(0)).await;
    }
    assert_eq!(trim(store, &[], u64::MAX).await, 300);
    assert_eq!(read(store, None, 1, ALL).await, (String::new(), 301));
    append(store, PIM, "next", at(0)).await;
    assert_eq!(read(store, None, 301, ALL).await, ("next".to_owned(), 302));
}

/// The window is independent of the log's contents.
pub async fn ids_are_known_after_trimming(store: &dyn Store) {
    append(store, PIM, "a", at(0)).await;
    trim(store, &[], u64::MAX).await;
    append(store, PIM, "a b", at(1)).await;
    assert_eq!(read(store, None, 1, ALL).await.0, "b");
}

async fn since(store: &dyn Store, hour: u32) -> u64 {
    store.first_since(shard(store), ServiceHour(hour)).await.unwrap().0
}

/// The first event of an hour, by the hour recorded with it.
pub async fn the_first_since_an_hour_of_service(store: &dyn Store) {
    assert_eq!(since(store, 0).await, 1);
    for number in 0..50 {
        append(store, PIM, &format!("a{number} b{number}"), at(0)).await;
        serve(store, 10).await;
    }
    for (hour, expect) in [(0, 1), (1, 3), (10, 3), (485, 99), (490, 99), (491, 101), (500, 101), (9999, 101)] {
        assert_eq!(since(store, hour).await, expect, "{hour}");
    }
    trim(store, &[], 51).await;
    assert_eq!(since(store, 0).await, 51);
    assert_eq!(since(store, 300).await, 61);
}

/// The clock is only recorded.
pub async fn no_step_of_the_clock_ages_an_event(store: &dyn Store) {
    for (number, days) in [0, 40, -40, 0].into_iter().enumerate() {
        append(store, PIM, &number.to_string(), at(days * 24 * 3600)).await;
        serve(store, 1).await;
    }
    for hour in 0..=4 {
        assert_eq!(since(store, hour).await, u64::from(hour) + 1);
    }
}

/// Hours of service accumulate over many starts.
pub async fn hours_of_service_are_counted_and_the_rest_is_kept(store: &dyn Store) {
    assert_eq!(store.hour(), ServiceHour(0));
    let tenure = store.take(Shard::FIRST).await.unwrap();
    for minutes in 1..=3u32 {
        assert_eq!(store.served(&tenure, Duration::from_secs(1200)).await.unwrap(), ServiceHour(minutes / 3));
        assert_eq!(store.hour(), ServiceHour(minutes / 3));
    }
    serve(store, 30 * 24).await;
    assert_eq!(store.hour(), ServiceHour(30 * 24 + 1));
}

/// By PIM and in total; trimmed events are not counted.
pub async fn the_backlog_is_counted_by_pim(store: &dyn Store) {
    assert_eq!((store.backlog().total(), store.backlog().of(PIM)), (0, 0));
    for (pim, id) in [(PIM, "a"), (OTHER, "b"), (PIM, "c")] {
        append(store, pim, id, at(0)).await;
    }
    let full = store.backlog();
    assert!(full.of(OTHER) > 0);
    assert_eq!((full.of(PIM), full.total()), (2 * full.of(OTHER), 3 * full.of(OTHER)));
    append(store, PIM, "a", at(0)).await;
    assert_eq!(store.backlog(), full, "a known event takes no room");
    trim(store, &[(PIM, 2)], 4).await;
    let left = store.backlog();
    assert_eq!((left.of(PIM), left.of(OTHER)), (full.of(OTHER), 0));
}

/// Enough of a PIM's oldest events, and none of any other PIM.
pub async fn the_position_after_bytes_of_a_pim(store: &dyn Store) {
    assert_eq!(store.position_after(PIM, 1).await.unwrap(), Position(1));
    for (pim, id) in [(OTHER, "a"), (PIM, "b"), (OTHER, "c"), (PIM, "d"), (PIM, "e")] {
        append(store, pim, id, at(0)).await;
    }
    let all = store.backlog().of(PIM);
    for (bytes, low, high) in [(1, 3, 4), (all / 3, 3, 4), (all / 3 + 1, 5, 5), (all, 6, 6), (u64::MAX, 6, 6)] {
        let position = store.position_after(PIM, bytes).await.unwrap().0;
        assert!((low..=high).contains(&position), "{bytes} of {all}: {position}");
    }
}
