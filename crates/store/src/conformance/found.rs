//! Finding kept events.

use std::sync::Arc;

use domain::event::EventParts;
use domain::{Event, LoggedEvent, Position};

use super::log::trim;
use super::sample::*;
use crate::Store;
use crate::kept::KeptQuery;

const TYPES: [&str; 3] =
    ["com.akeneo.pim.v1.product.updated", "com.akeneo.pim.v1.product.created", "com.akeneo.pim.v1.asset.updated"];

/// Number of events: several segments of keys in a backend that has them.
const MANY: u64 = 5_000;

/// An event about one of 40 products or assets, by one of 7 authors.
fn event(number: u64) -> Event {
    let event_type = TYPES[(number % 3) as usize];
    let entity = match number % 3 {
        2 => format!(r#""asset":{{"asset_family":{{"code":"f/g"}},"code":"{}"}}"#, number % 40),
        _ => format!(r#""product":{{"uuid":"{}"}}"#, number % 40),
    };
    let data = format!(r#"{{{entity},"author":{{"identifier":"julia {}","type":"user"}}}}"#, number % 7);
    Event::new(EventParts {
        id: &format!("id-{}", number % 1000),
        event_type,
        time: "2026-11-02T08:00:00Z",
        extensions: &format!(r#""producersource":"{}""#, number / 1000),
        data: &data,
        product_identifier: None,
    })
}

/// Appends events of two PIMs, most of them several at once, with a clock that is set back in between.
async fn fill(store: &dyn Store) {
    let mut number = 0;
    while number < MANY {
        let count = 1 + number % 97;
        let now = if number < MANY / 2 { at(number as i64) } else { at(number as i64 - 1_000) };
        store.append(PIM, (number..MANY.min(number + count)).map(event).collect(), now).await.unwrap();
        store.append(OTHER, vec![event(number)], now).await.unwrap();
        number += count;
    }
}

fn query() -> KeptQuery {
    KeptQuery { limit: 100, ..KeptQuery::default() }
}

/// All pages of a query.
async fn pages(store: &dyn Store, mut query: KeptQuery) -> Vec<Arc<LoggedEvent>> {
    let mut found = Vec::new();
    loop {
        let page = store.find(PIM, &query).await.unwrap();
        assert!(page.events.len() <= query.limit);
        found.extend(page.events);
        let Some(next) = page.next else { return found };
        assert!(query.before.is_none_or(|before| next < before), "a page leads on");
        query.before = Some(next);
    }
}

fn queries() -> Vec<KeptQuery> {
    let text = |text: &str| Some(text.to_owned());
    let ids = |ids: &str| ids.split(' ').map(str::to_owned).collect();
    vec![
        query(),
        KeptQuery { types: vec![TYPES[1].to_owned()], ..query() },
        KeptQuery { types: vec![TYPES[0].to_owned(), TYPES[2].to_owned(), "unknown".to_owned()], ..query() },
        KeptQuery { types: vec!["unknown".to_owned()], ..query() },
        KeptQuery { entity: text("7"), ..query() },
        KeptQuery { entity: text("f%2Fg/8"), ..query() },
        KeptQuery { entity: text("f%2Fg"), ..query() },
        KeptQuery { ids: ids("id-77"), ..query() },
        KeptQuery { ids: ids("id-78 77 id-5 id-999"), limit: 2, ..query() },
        KeptQuery { ids: ids("77"), ..query() },
        KeptQuery { author: text("julia 3"), limit: 3, ..query() },
        KeptQuery { author: text("julia 3"), entity: text("7"), types: vec![TYPES[0].to_owned()], ..query() },
        KeptQuery { since: Some(at(1700)), until: Some(at(1900)), ..query() },
        KeptQuery { since: Some(at(3_900)), ..query() },
        KeptQuery { until: Some(at(10)), ..query() },
        KeptQuery { until: Some(at(-1)), ..query() },
        KeptQuery { since: Some(at(100)), until: Some(at(2000)), entity: text("1"), limit: 7, ..query() },
        KeptQuery { before: Some(Position(2500)), ids: ids("id-77"), ..query() },
        KeptQuery { limit: 1_000_000, ..query() },
    ]
}

async fn check_all(store: &dyn Store) {
    let from = store.kept_from(PIM).await.unwrap();
    let all = store.read(crate::Scope::Pim(PIM), from, ALL).await.unwrap().events;
    for query in queries() {
        let before = |event: &&Arc<LoggedEvent>| query.before.is_none_or(|before| event.position < before);
        let expect: Vec<_> = all.iter().rev().filter(before).filter(|event| query.asks_for(event)).cloned().collect();
        let found = pages(store, query.clone()).await;
        assert_eq!(found.len(), expect.len(), "{query:?}");
        assert_eq!(found, expect, "{query:?}");
    }
}

/// Each query finds the same as a look at each event, in pages.
pub async fn queries_find_what_a_look_at_each_event_finds(store: &dyn Store) {
    fill(store).await;
    check_all(store).await;
    trim(store, &[(PIM, 4000)], u64::MAX).await;
    check_all(store).await;
}

/// Events of one PIM, even with the same ids.
pub async fn only_one_pim_is_searched(store: &dyn Store) {
    append(store, PIM, "a b", at(0)).await;
    append(store, OTHER, "a", at(1)).await;
    for (pim, position, now) in [(PIM, 1, 0), (OTHER, 3, 1)] {
        let by_id = KeptQuery { ids: vec!["a".to_owned()], ..query() };
        let found = store.find(pim, &by_id).await.unwrap();
        assert_eq!((found.events.len(), found.next), (1, None));
        assert_eq!((found.events[0].position, found.events[0].accepted_at), (Position(position), at(now)));
    }
}

/// All events of a time span are within the positions, however the clock was set.
pub async fn positions_contain_a_time_span(store: &dyn Store) {
    let nothing = store.positions(PIM, at(0)..at(9)).await.unwrap();
    assert!(nothing.is_empty());
    fill(store).await;
    let all = store.read(crate::Scope::Pim(PIM), Position::FIRST, ALL).await.unwrap().events;
    for (since, until) in [(0, 10), (1_500, 1_600), (2_400, 9_000), (0, 9_000), (-5, 0)] {
        let span = at(since)..at(until);
        let positions = store.positions(PIM, span.clone()).await.unwrap();
        let within: Vec<_> = all.iter().filter(|event| span.contains(&event.accepted_at)).collect();
        assert!(within.iter().all(|event| positions.contains(&event.position)), "{since} to {until}: {positions:?}");
        assert_eq!(within.is_empty(), positions.is_empty(), "{since} to {until}: {positions:?}");
    }
}
