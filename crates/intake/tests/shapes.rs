//! Any value in any field of a PIM's request: as long as action and entity are recognisable, the event is reported
//! once, and no wrong delta with it.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use domain::pim::Pim;
use domain::{Clock, Position, Secret, Timestamp, testing};
use intake::Bridge;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use store::{EventLog, MemoryStore, Pims, ReadLimit, Scope};

const NOW: Timestamp = Timestamp::from_micros(1_793_692_840_000_000);
const UUID: &str = "a51e56dd-560f-5fb4-81d1-af2588c9ab23";

/// A product as sent by a PIM, with all fields.
fn product(action: &str) -> Value {
    let data = |data: Value| json!([{"locale": "en_US", "scope": null, "data": data}]);
    json!({
        "action": action,
        "event_id": "5c0a3a5e-6d0d-4c5c-9d8b-7a4f0b1e2d3c",
        "event_datetime": "2026-11-03T09:00:13+01:00",
        "author": "julia",
        "author_type": "ui",
        "pim_source": "https://pim.example.com",
        "data": {"resource": {
            "uuid": UUID, "identifier": "9309353", "code": "amor", "enabled": true, "family": "scanners", "parent": "p",
            "categories": ["a", "b"], "groups": ["g"],
            "values": {"name": data(json!("x")), "weight": data(json!({"amount": "1.0", "unit": "GRAM"}))},
            "associations": {"X_SELL": {"products": ["p"], "product_models": ["m"], "groups": ["g"]}},
            "quantified_associations": {"PACK": {
                "products": [{"identifier": "p", "uuid": UUID, "quantity": 2}],
                "product_models": [{"identifier": "m", "quantity": 1}]
            }},
            "created": "2026-01-01T00:00:00+00:00", "updated": "2026-11-03T09:00:12+01:00"
        }}
    })
}

/// Any JSON, especially careless encodings of a text, a list or a map.
fn any_json() -> impl Strategy<Value = Value> {
    let plain = select(vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-7),
        json!(1.5),
        json!(""),
        json!("x"),
        json!("12"),
        json!(UUID),
        json!("2026-11-03T09:00:13+01:00"),
        json!("\u{0}"),
        json!("é".repeat(300)),
        json!([]),
        json!({}),
    ]);
    plain.prop_recursive(3, 12, 4, |inner| {
        let keys = select(vec!["0", "1", "7", "-1", "name", "products", "data", "locale", "quantity", "uuid", ""]);
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(keys.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The fields of a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, &format!("{at}/{index}"), found));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| places(member, &format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

/// Whether a text that names something is present; a number counts as one.
fn names(value: &Value) -> bool {
    value.is_number() || value.as_str().is_some_and(|text| !text.is_empty())
}

/// Whether action and entity are recognisable, according to the contract.
fn is_convertible(event: &Value) -> bool {
    let resource = &event["data"]["resource"];
    let is_uuid = |value: &Value| value.as_str() == Some(UUID);
    match event["action"].as_str() {
        Some("product.created" | "product.updated" | "product.removed") => {
            is_uuid(&resource["uuid"]) || names(&resource["identifier"])
        }
        Some("product_model.created" | "product_model.updated" | "product_model.removed") => names(&resource["code"]),
        _ => false,
    }
}

fn pim() -> Pim {
    Pim { events_api_secret: Some(Secret::new("s")), ..testing::pim("main") }
}

/// Sends these events one by one; returns types and data of the events in the log.
fn reported(events: &[Value]) -> Vec<(String, Value)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(MemoryStore::default());
        let pim = Arc::new(store.add_pim(pim()).await.unwrap());
        let bridge = Bridge::new(store.clone(), None, None, Clock::system());
        for event in events {
            bridge.take(&pim, json!({"events": [event]}).to_string(), NOW, |_| ()).await.unwrap();
        }
        let read = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
        let logged = store.read(Scope::Pim(pim.id), Position::FIRST, read).await.unwrap().events;
        let event = |one: &domain::Event| {
            assert!(!one.id().is_empty() && one.id().chars().count() <= 256);
            assert_eq!(wire::schema::check(one.event_type(), one.data()), [], "{}", one.data());
            (one.event_type().replace("com.akeneo.pim.v1.", ""), serde_json::from_str(one.data()).unwrap())
        };
        logged.iter().map(|logged| event(&logged.event)).collect()
    })
}

fn action() -> impl Strategy<Value = &'static str> {
    select(vec![
        "product.created",
        "product.updated",
        "product.removed",
        "product_model.created",
        "product_model.updated",
        "product_model.removed",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_convertible_event_is_converted(
        action in action(),
        odd in vec((any::<Index>(), any_json()), 1..4),
    ) {
        let mut event = product(action);
        for (place, value) in odd {
            let mut all = Vec::new();
            places(&event, "", &mut all);
            *event.pointer_mut(&all[place.index(all.len())]).unwrap() = value;
        }
        let reported = reported(std::slice::from_ref(&event));
        prop_assert_eq!(reported.len(), usize::from(is_convertible(&event)), "{} gives {:?}", event, reported);
    }

    /// A malformed update between two plain ones: the last delta starts from a state that the PIM had.
    #[test]
    fn no_delta_is_wrong(place in any::<Index>(), odd in any_json()) {
        let update = |id: &str, name: &str| {
            let mut event = product("product.updated");
            event["event_id"] = json!(id);
            event["data"]["resource"]["values"]["name"][0]["data"] = json!(name);
            event
        };
        let mut between = update("2", "b");
        let mut all = Vec::new();
        places(&between["data"]["resource"], "/data/resource", &mut all);
        // Identity and time of change stay.
        all.retain(|place| !["", "/uuid", "/updated"].contains(&place.trim_start_matches("/data/resource")));
        *between.pointer_mut(&all[place.index(all.len())]).unwrap() = odd;
        let reported = reported(&[update("1", "a"), between.clone(), update("3", "c")]);
        let names = reported.iter().filter(|(name, _)| name.ends_with(".delta")).flat_map(|(_, data)| {
            data["product"]["changes"]["values"]["name"].as_array().cloned().unwrap_or_default()
        });
        let places: Vec<Value> = names.filter(|entry| entry["locale"] == "en_US" && entry["scope"].is_null()).collect();
        // Either it was compared and the last delta starts from it, or it was not.
        let between = &between["data"]["resource"]["values"]["name"];
        for pair in places.windows(2) {
            prop_assert_eq!(&pair[0]["new"], &pair[1]["previous"], "{}", between);
        }
        prop_assert_eq!(places.first().map(|entry| entry["previous"].clone()), Some(json!("a")));
        prop_assert_eq!(places.last().map(|entry| entry["new"].clone()), Some(json!("c")));
    }
}
