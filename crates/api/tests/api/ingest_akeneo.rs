//! `/ingest/akeneo/{source}`

mod catalogue;
mod deltas;

use std::cell::Cell;

use domain::{Clock, Position, Secret, Timestamp};
use intake::BridgeStatus;
use serde_json::{Value, json};
use store::{EventLog, Pims, ReadLimit, Scope, Snapshots};
use wire::signature::SigningKey;

use crate::call::Answer;
use crate::world::{World, event};

const SECRET: &str = "secret of the connection";
const PATH: &str = "/ingest/akeneo/shop";
/// The current second in most of these tests.
const NOW: i64 = 1_793_692_840;
const PRODUCT: &str = "a51e56dd-560f-5fb4-81d1-af2588c9ab23";

thread_local! {
    /// Server and test share a thread.
    static CLOCK: Cell<i64> = const { Cell::new(NOW) };
}

fn clock() -> Clock {
    Clock::new(|| Timestamp::from_micros(CLOCK.get() * 1_000_000).into())
}

async fn world_with(secret: &str) -> World {
    let world = World::at(clock()).await;
    let pim = domain::pim::Pim { events_api_secret: Some(Secret::new(secret)), ..world.pim.clone() };
    world.store.update_pim(pim).await.unwrap();
    CLOCK.set(NOW);
    world
}

async fn world() -> World {
    world_with(SECRET).await
}

async fn send(world: &World, secret: &str, timestamp: &str, body: &str) -> Answer {
    let signature = SigningKey::new(&Secret::new(secret)).events_api(timestamp, body.as_bytes());
    send_signed(world, timestamp, &signature, body).await
}

async fn send_signed(world: &World, timestamp: &str, signature: &str, body: &str) -> Answer {
    world
        .bare("POST", PATH)
        .header("content-type", "application/json")
        .header("x-akeneo-request-timestamp", timestamp)
        .header("x-akeneo-request-signature", signature)
        .raw(body.to_owned())
        .send()
        .await
}

async fn post(world: &World, events: &[Value]) -> Answer {
    send(world, SECRET, &CLOCK.get().to_string(), &json!({ "events": events }).to_string()).await
}

fn notice(id: &str, action: &str, resource: Value) -> Value {
    json!({
        "action": action,
        "event_id": id,
        "event_datetime": "2026-11-03T09:00:13+01:00",
        "author": "julia",
        "author_type": "ui",
        "pim_source": "https://pim.example.com",
        "data": {"resource": resource}
    })
}

/// An update of the product at this second, to this name.
fn update(id: &str, second: u32, name: &str) -> Value {
    let resource = json!({
        "uuid": PRODUCT,
        "identifier": "9309353",
        "updated": format!("2026-11-03T09:00:{second:02}+01:00"),
        "values": {"name": [{"locale": null, "scope": null, "data": name}]},
        "associations": []
    });
    notice(id, "product.updated", resource)
}

/// All events in the log: type without its prefix, and data.
async fn logged(world: &World) -> Vec<(String, Value)> {
    let read = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
    let events = world.store.read(Scope::Pim(world.pim.id), Position::FIRST, read).await.unwrap().events;
    let short = |name: &str| name.trim_start_matches("com.akeneo.pim.v1.").to_owned();
    events
        .iter()
        .map(|logged| (short(logged.event.event_type()), serde_json::from_str(logged.event.data()).unwrap()))
        .collect()
}

/// The name changes in the deltas, previous and new.
async fn name_changes(world: &World) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let deltas = logged(world).await.into_iter().filter(|(name, _)| name.ends_with(".delta"));
    deltas
        .map(|(_, data)| {
            let name = &data["product"]["changes"]["values"]["name"][0];
            (text(&name["previous"]), text(&name["new"]))
        })
        .collect()
}

#[tokio::test]
async fn signatures_and_their_age() {
    let world = world().await;
    let body = json!({"events": [update("1", 1, "a")]}).to_string();
    let now = NOW.to_string();
    let check = async |timestamp: &str, signature: &str, code: Option<&str>| {
        let answer = send_signed(&world, timestamp, signature, &body).await;
        match code {
            None => drop(answer.expect(202)),
            Some(code) => drop(answer.refused(401, code)),
        }
    };
    let sign =
        |secret: &str, timestamp: &str| SigningKey::new(&Secret::new(secret)).events_api(timestamp, body.as_bytes());
    let genuine = sign(SECRET, &now);
    check(&now, &sign("other secret", &now), Some("invalid_signature")).await;
    check(&now, &genuine.to_uppercase(), Some("invalid_signature")).await;
    check(&now, &genuine[..63], Some("invalid_signature")).await;
    check(&now, "", Some("invalid_signature")).await;
    check(&(NOW + 1).to_string(), &genuine, Some("invalid_signature")).await;
    check("soon", &sign(SECRET, "soon"), Some("invalid_signature")).await;
    for (off, code) in [(-301, Some("stale_timestamp")), (301, Some("stale_timestamp"))] {
        let timestamp = (NOW + off).to_string();
        check(&timestamp, &sign(SECRET, &timestamp), code).await;
    }
    let unsigned = world.bare("POST", PATH).raw(body.clone()).send().await;
    unsigned.refused(401, "missing_signature");
    let twice = world.bare("POST", PATH).header("x-akeneo-request-timestamp", &now);
    let twice = twice.header("x-akeneo-request-signature", &genuine).header("x-akeneo-request-signature", &genuine);
    twice.raw(body.clone()).send().await.refused(401, "missing_signature");
    assert_eq!(world.logged(), 0, "nothing of all that is stored");
    assert!(world.store.snapshots(world.pim.id, vec![]).await.unwrap().is_empty());
    for off in [-300, 0, 300] {
        let timestamp = (NOW + off).to_string();
        check(&timestamp, &sign(SECRET, &timestamp), None).await;
    }
    assert_eq!(world.logged(), 1);
    assert_eq!((world.bridge.counts().verified, world.bridge.counts().refused), (3, 10));
}

#[tokio::test]
async fn only_a_source_with_a_secret_is_let_in() {
    let world = world().await;
    for (path, status) in [("/ingest/akeneo/second", 401), ("/ingest/akeneo/nobody", 401), ("/ingest/akeneo/", 404)] {
        let now = NOW.to_string();
        let signature = SigningKey::new(&Secret::new(SECRET)).events_api(&now, b"");
        let call = world.bare("POST", path).header("x-akeneo-request-timestamp", &now);
        call.header("x-akeneo-request-signature", &signature).send().await.expect(status);
    }
    assert_eq!(world.bare("GET", PATH).send().await.status, 405);
}

#[tokio::test]
async fn the_test_button() {
    let world = world().await;
    send(&world, SECRET, &NOW.to_string(), "").await.expect(200);
    send(&world, "other", &NOW.to_string(), "").await.refused(401, "invalid_signature");
    send(&world, SECRET, &(NOW - 400).to_string(), "").await.refused(401, "stale_timestamp");
}

#[tokio::test]
async fn invalid_requests() {
    let world = world().await;
    let refused = async |body: &str, status, code: &str| {
        send(&world, SECRET, &NOW.to_string(), body).await.refused(status, code);
    };
    refused("{", 400, "malformed_json").await;
    refused("events", 400, "malformed_json").await;
    refused("{\"events\":[],\"events\":[]}", 400, "malformed_json").await;
    refused("[]", 422, "no_events").await;
    refused("{\"events\":{}}", 422, "no_events").await;
    refused(&"x".repeat(5 * 1024 * 1024 + 1), 413, "body_too_large").await;
    assert_eq!(world.logged(), 0);
}

#[tokio::test]
async fn a_bad_event_does_not_take_the_others_with_it() {
    let world = world().await;
    assert_eq!(post(&world, &[]).await.expect(202), json!({"accepted": 0, "duplicates": 0}));
    let mut events: Vec<Value> =
        (0..10).map(|id| notice(&format!("e{id}"), "product.created", json!({"identifier": id.to_string()}))).collect();
    events[3]["data"]["resource"] = json!([{"identifier": "3"}]);
    events[7]["action"] = json!("product.enriched");
    assert_eq!(post(&world, &events).await.expect(202), json!({"accepted": 8, "duplicates": 0}));
    assert_eq!(world.logged(), 8);
    post(&world, &[json!({}), json!(7), events[3].clone()]).await.expect(202);
    let counts = world.bridge.counts();
    assert_eq!((counts.events, counts.bad, counts.unknown), (8, 4, 1));
    assert_eq!(world.logged(), 8);
}

#[tokio::test]
async fn odd_fields_cost_no_event() {
    let world = world().await;
    post(&world, &[update("first", 1, "a")]).await.expect(202);
    let place = |name: &str, value: Value| (name.to_owned(), value);
    let mut second = 1;
    for (name, value) in [
        // PHP's representation of codes and lists, still comparable.
        place("values", json!({"name": {"1": {"locale": "de_DE", "scope": null, "data": "x"}}})),
        place("categories", json!([123, "b"])),
        place("family", json!(7)),
        place("groups", json!({"2": "g"})),
        place("associations", json!({"X_SELL": {"products": [4711], "product_models": [], "groups": []}})),
    ] {
        second += 1;
        let mut event = update(&format!("plain {second}"), second, "a");
        event["data"]["resource"][&name] = value;
        post(&world, &[event]).await.expect(202);
        let logged = logged(&world).await;
        let changes = &logged.last().unwrap().1["product"]["changes"];
        assert!(changes.get(&name).is_some(), "{name}: {changes}");
    }
    // Not comparable: only the event.
    let before = world.logged();
    for (name, value) in [
        place("values", json!([[{"locale": null, "scope": null, "data": "x"}]])),
        place("associations", json!({"X_SELL": {"products": {"sku2": "sku2"}}})),
        place("categories", json!("a")),
        place("categories", json!([null])),
        place("enabled", json!("true")),
        place("parent", json!([])),
        place("quantified_associations", json!({"PACK": {"products": [{"identifier": "x", "quantity": "2"}]}})),
    ] {
        second += 1;
        let mut event = update(&format!("odd {second}"), second, "odd");
        event["data"]["resource"][&name] = value;
        assert_eq!(post(&world, &[event]).await.expect(202)["accepted"], 1);
    }
    assert_eq!(world.logged(), before + 7);
    assert_eq!(world.bridge.counts().uncompared, 7);
    // The state is unchanged.
    post(&world, &[update("last", second + 1, "z")]).await.expect(202);
    assert_eq!(name_changes(&world).await.last().unwrap(), &("a".to_owned(), "z".to_owned()));
}

#[tokio::test]
async fn one_event_that_is_read_in_two_ways_leaves_the_others() {
    let world = world().await;
    let body = json!({"events": [update("1", 1, "a"), update("2", 2, "TWICE"), update("3", 3, "c")]}).to_string();
    let answer = send(&world, SECRET, &NOW.to_string(), &body.replace("\"TWICE\"", "\"b\",\"data\":\"c\"")).await;
    assert_eq!(answer.expect(202), json!({"accepted": 2, "duplicates": 0}));
    assert_eq!(name_changes(&world).await, [("a".to_owned(), "c".to_owned())]);
    assert_eq!(world.bridge.counts().bad, 1);
}

#[tokio::test]
async fn all_six_actions_become_events() {
    let world = world().await;
    let model = |family: &str| json!({"code": "amor", "family": family, "parent": null, "categories": [family]});
    let events = [
        notice("1", "product_model.created", model("a")),
        notice("2", "product_model.updated", model("b")),
        notice("3", "product_model.removed", json!({"code": "amor"})),
        notice("4", "product.created", json!({"identifier": "x", "enabled": true})),
        notice("5", "product.updated", json!({"identifier": "x", "enabled": false})),
        notice("6", "product.removed", json!({"identifier": "x"})),
    ];
    post(&world, &events).await.expect(202);
    let logged = logged(&world).await;
    let names: Vec<&str> = logged.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "product-model.created",
            "product-model.updated",
            "product-model.updated.delta",
            "product-model.deleted",
            "product.created",
            "product.updated",
            "product.updated.delta",
            "product.deleted",
        ]
    );
    for (name, data) in &logged {
        let name = format!("com.akeneo.pim.v1.{name}");
        assert_eq!(wire::schema::check(&name, &data.to_string()), [], "{name}");
        assert_eq!(data["author"], json!({"identifier": "julia", "type": "user"}));
    }
    let stand_in = intake::entity::stand_in("shop", "x").to_string();
    assert!(logged[4..].iter().all(|(_, data)| data["product"]["uuid"] == stand_in.as_str()));
    let changes = &logged[2].1["product_model"]["changes"];
    assert_eq!(*changes, json!({"categories": {"added": ["b"], "removed": ["a"]}}));
}

#[tokio::test]
async fn the_operator_can_see_that_it_works() {
    let world = world().await;
    let note = async || {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        BridgeStatus::from_text(&world.store.bridge_status(world.pim.id).await.unwrap().unwrap_or_default().text)
    };
    assert_eq!(note().await, BridgeStatus::default());
    send(&world, SECRET, &NOW.to_string(), "").await.expect(200);
    let seen = note().await;
    assert_eq!((seen.verified, seen.tested_at, seen.events), (1, Some(clock().wall()), 0));
}
