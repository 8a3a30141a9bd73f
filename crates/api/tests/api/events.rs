//! `/api/v1/events`

use std::path::Path;

use api::{InProcess, SchemaCheck, UnknownTypes};
use bytes::Bytes;
use domain::Position;
use http::Request;
use serde_json::{Value, json};
use store::{EventLog, ReadLimit, Scope, Shard};

use crate::call::Call;
use crate::world::{KEY, World, event, owner_of};

const PATH: &str = "/api/v1/events";

fn post(world: &World, media_type: &str) -> Call {
    world.bare("POST", PATH).header("authorization", &format!("Bearer {KEY}")).header("content-type", media_type)
}

#[tokio::test]
async fn one_event_and_a_batch_and_binary_mode() {
    let world = World::new().await;
    assert_eq!(world.produce(event("1")).await.expect(202), json!({"accepted": 1, "duplicates": 0}));
    let batch = json!([event("2"), event("1"), event("2"), event("3")]);
    assert_eq!(world.produce(batch).await.expect(202), json!({"accepted": 4, "duplicates": 2}));
    let binary = post(&world, "application/json")
        .header("ce-specversion", "1.0")
        .header("ce-id", "4")
        .header("ce-source", "pim")
        .header("ce-type", "com.akeneo.pim.v1.product.updated")
        .raw(r#"{"product":{"uuid":"4a40cffc-a02d-5dd1-877c-5876596015f4"}}"#);
    assert_eq!(binary.send().await.expect(202), json!({"accepted": 1, "duplicates": 0}));
    assert_eq!(world.logged(), 4);
    let counts = world.counters.counts();
    assert_eq!((counts.accepted, counts.duplicates), (6, 2));
}

/// Requests of producers don't pass through the router (`serve::Routes`).
#[tokio::test]
async fn a_producer_gets_the_answer_that_the_router_gives() {
    let world = World::new().await;
    let within = InProcess::new(world.api.clone());
    let key = format!("Bearer {KEY}");
    let typed = |media_type| [("authorization", key.as_str()), ("content-type", media_type)];
    let check = async |path: &str, headers: &[(&str, &str)], body: &str, status: u16| {
        // Two events, so that neither is a duplicate of the other.
        let body = |way| if body == "event" { event(&format!("{way} {path}")).to_string() } else { body.to_owned() };
        let mut call = world.bare("POST", path).raw(body("network"));
        let mut request = Request::post(path);
        for (name, value) in headers {
            call = call.header(name, value);
            request = request.header(*name, *value);
        }
        let direct = call.send().await;
        let routed = within.call(request.body(Bytes::from(body("router"))).unwrap(), None, None).await;
        assert_eq!((direct.status.as_u16(), direct.status), (status, routed.status()));
        assert_eq!(direct.body, routed.body());
        for name in ["content-type", "www-authenticate"] {
            assert_eq!(direct.headers.get(name), routed.headers().get(name));
        }
    };
    let structured = "application/cloudevents+json";
    check(PATH, &typed(structured), "event", 202).await;
    check("/api/v1/events?a=b", &typed(structured), "event", 202).await;
    check(PATH, &typed(structured), "{", 400).await;
    check(PATH, &typed(structured), "{}", 422).await;
    check(PATH, &typed("text/plain"), "event", 415).await;
    check(PATH, &[], "event", 401).await;
    let counted = world.counters.requests.answered().find(|kind| kind.route == PATH && kind.status == "2xx");
    assert_eq!(counted.map(|kind| kind.count), Some(4), "both ways count");
}

#[tokio::test]
async fn the_key_names_the_source() {
    let world = World::new().await;
    let send = |key: Option<&str>| {
        let call = world.bare("POST", PATH).header("content-type", "text/plain").raw("{");
        match key {
            Some(key) => call.header("authorization", key).send(),
            None => call.send(),
        }
    };
    send(None).await.refused(401, "missing_source_key");
    send(Some("Basic abc")).await.refused(401, "missing_source_key");
    let wrong = send(Some("Bearer wrong")).await;
    wrong.refused(401, "invalid_source_key");
    assert_eq!(wrong.headers["www-authenticate"], "Bearer");
    let second = world.bare("POST", PATH).header("authorization", "bearer second-key");
    let body = event("1").to_string();
    second.header("content-type", "application/cloudevents+json").raw(body).send().await.expect(202);
    let read = ReadLimit { events: 10, bytes: usize::MAX, until: Position(u64::MAX) };
    assert_eq!(world.store.read(Scope::Pim(world.pim.id), Position::FIRST, read).await.unwrap().events.len(), 0);
}

#[tokio::test]
async fn the_order_of_checks() {
    let world = World::new().await;
    let large = "x".repeat(5 * 1024 * 1024 + 1);
    let keyless = world.bare("POST", PATH).header("content-type", "text/plain").raw(large.clone());
    keyless.send().await.refused(401, "missing_source_key");
    post(&world, "text/plain").raw(large).send().await.refused(413, "request_too_large");
    post(&world, "text/plain").raw("{").send().await.expect(415);
    post(&world, "application/cloudevents+json").raw("{").send().await.refused(400, "malformed_json");
    post(&world, "application/cloudevents+json").raw("{}").send().await.expect(422);
    assert_eq!(world.counters.counts().refused_ingests, 5);
}

#[tokio::test]
async fn a_large_body_just_within_the_limit_is_taken() {
    let world = World::new().await;
    let filler = "x".repeat(1_000_000);
    let mut events: Vec<Value> = (0..5).map(|id| event(&id.to_string())).collect();
    for event in &mut events {
        event["data"]["filler"] = json!(filler);
    }
    assert_eq!(world.produce(json!(events)).await.expect(202)["accepted"], 5);
}

#[tokio::test]
async fn all_or_nothing() {
    let world = World::new().await;
    let mut events: Vec<Value> = (0..10).map(|id| event(&id.to_string())).collect();
    events[3]["time"] = json!("yesterday");
    events[7]["data"] = json!([]);
    let answer = world.produce(json!(events)).await.expect(422);
    let fields: Vec<&Value> = answer["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["[3].time", "[7].data"]);
    assert_eq!(world.logged(), 0);
}

#[tokio::test]
async fn unknown_types_are_taken_and_named() {
    let world = World::new().await;
    let mut events = [event("1"), event("2"), event("3")];
    events[0]["type"] = json!("com.akeneo.pim.v1.product.enriched");
    events[2]["type"] = json!("com.akeneo.pim.v1.product.enriched");
    let answer = world.produce(json!(events)).await.expect(202);
    assert_eq!(
        answer,
        json!({"accepted": 3, "duplicates": 0, "unknown_types": ["com.akeneo.pim.v1.product.enriched"]})
    );
    assert_eq!(world.counters.counts().unknown_types, 2);
    assert_eq!(world.logged(), 3);
}

#[tokio::test]
async fn unknown_types_are_refused_where_the_operator_says_so() {
    let world = World::with(|settings| settings.unknown_types = UnknownTypes::Reject).await;
    let mut events = [event("1"), event("2")];
    events[1]["type"] = json!("com.akeneo.pim.v1.product.update");
    let answer = world.produce(json!(events)).await;
    let message = answer.refused(422, "unknown_event_type");
    assert!(message.contains("com.akeneo.pim.v1.product.updated"), "{message}");
    assert_eq!(answer.value()["errors"][0]["field"], "[1].type");
    let single = world.produce(events[1].clone()).await;
    assert_eq!(single.value()["errors"][0]["field"], "type");
    assert_eq!(world.logged(), 0);
}

#[tokio::test]
async fn payloads_are_held_against_their_schema_where_the_operator_says_so() {
    let mut wrong = event("1");
    wrong["data"]["product"]["uuid"] = json!(7);
    for (check, status, counted) in
        [(SchemaCheck::Off, 202, 0), (SchemaCheck::Warn, 202, 1), (SchemaCheck::Reject, 422, 1)]
    {
        let world = World::with(|settings| settings.schema_check = check).await;
        let answer = world.produce(json!([event("0"), wrong])).await;
        let answer = answer.expect(status);
        if status == 422 {
            assert_eq!(answer["errors"][0]["field"], "[1].data.product.uuid");
        }
        assert_eq!(world.counters.counts().unfitting_payloads, counted);
    }
}

#[tokio::test]
async fn a_full_log_sends_producers_away_for_a_while() {
    let world = World::with_log_of(300).await;
    let mut last = world.produce(event("0")).await;
    for id in 1..10 {
        last = world.produce(event(&id.to_string())).await;
    }
    last.refused(429, "backlog_full");
    assert!(last.headers.contains_key("retry-after"));
}

fn removal(id: &str, of: &str, client: &str) -> Value {
    let mut removal = event(id);
    removal["type"] = json!(format!("com.akeneo.pim.v1.{of}.deleted"));
    removal["data"] = json!({of: {"client_id": client}});
    removal
}

#[tokio::test]
async fn a_removed_app_is_revoked_before_its_event_is_taken() {
    for of in ["app", "connection"] {
        let world = World::new().await;
        let path = world.subscriber().await;
        world.subscription(&path).await;
        world.subscription(&path).await;
        world.subscriber().await;
        world.subscriber_of("other").await;
        world.produce(event("before")).await.expect(202);
        assert_eq!(world.produce(json!([event("x"), removal("1", of, "app")])).await.expect(202)["accepted"], 2);
        world.call("GET", "/api/v1/subscribers").send().await.refused(401, "client_revoked");
        let others = world.call_as("other", "GET", "/api/v1/subscribers").send().await.expect(200);
        assert_eq!(others[0]["status"], "active");
        let own = store::Subscriptions::subscribers(world.store.as_ref(), &owner_of("app")).await.unwrap();
        assert!(own.iter().all(|subscriber| subscriber.status == domain::subscriber::SubscriberStatus::Revoked));
        let (_, stored) = store::Subscriptions::changed_since(world.store.as_ref(), Shard::FIRST, None).await.unwrap();
        assert!(stored.iter().all(|subscription| subscription.status.to_string() == "revoked"));
        assert!(stored.iter().all(|subscription| subscription.status_since == Position(2)), "before the events");
        assert_eq!(world.notifications().await, ["subscription.revoked", "subscription.revoked"]);
        let forget = |client: &mut store::ClientRecord| {
            *client = store::ClientRecord { revision: client.revision, ..Default::default() }
        };
        store::edit_client(world.store.as_ref(), &owner_of("app"), forget).await.unwrap();
        let operations = world.operations("app").await;
        assert_eq!(operations.iter().filter(|operation| *operation == "subscriber_revoked").count(), 2);
        assert_eq!(operations.iter().filter(|operation| *operation == "subscription_revoked").count(), 2);
        // The second PIM's client of the same name is a different one.
        world.call_second("GET", "/api/v1/subscribers").send().await.expect(200);
    }
}

#[tokio::test]
async fn removing_an_unknown_client_changes_nothing() {
    let world = World::new().await;
    let mut nameless = removal("2", "app", "app");
    nameless["data"] = json!({"app": {}});
    for removal in [removal("1", "app", "unheard-of"), nameless] {
        assert_eq!(world.produce(removal).await.expect(202)["accepted"], 1);
    }
    assert_eq!(
        store::Clients::client(world.store.as_ref(), &owner_of("unheard-of")).await.unwrap(),
        store::ClientRecord::default()
    );
    world.call("GET", "/api/v1/subscribers").send().await.expect(200);
}

#[tokio::test]
async fn source_and_id_together_name_an_event() {
    let world = World::new().await;
    let of = |source: &str, id: &str| {
        let mut event = event(id);
        event["source"] = json!(source);
        event
    };
    for source in ["pim", "/shop-a", "/shop-b"] {
        let answer = world.produce(json!([of(source, "1"), of(source, "1"), of(source, "2")])).await.expect(202);
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(3), &json!(1)), "{source}");
        let again = world.produce(of(source, "2")).await.expect(202);
        assert_eq!(again["duplicates"], 1, "{source}");
    }
    let read = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
    let logged = world.store.read(Scope::Shard(Shard::FIRST), Position::FIRST, read).await.unwrap().events;
    let names: Vec<String> = logged.iter().map(|one| one.event.identity().replace('\0', " ")).collect();
    assert_eq!(names, ["1", "2", "/shop-a 1", "/shop-a 2", "/shop-b 1", "/shop-b 2"]);
    // Binary mode: the decoded source counts.
    let binary = |source: &str| {
        let call = post(&world, "application/json").header("ce-specversion", "1.0").header("ce-id", "1");
        call.header("ce-type", "t").header("ce-source", source).raw("{}")
    };
    assert_eq!(binary("%2Fshop-a").send().await.expect(202)["duplicates"], 1);
    assert_eq!(binary("%2Fshop-c").send().await.expect(202)["duplicates"], 0);
}

#[tokio::test]
async fn values_beyond_a_limit_are_rejected_with_their_path() {
    let world = World::new().await;
    let mut large = event("1");
    large["data"]["n"] = json!("NUMBERS");
    let batch =
        json!([event("0"), large]).to_string().replace("\"NUMBERS\"", &format!("[{}1e20]", "1e20,".repeat(60_000)));
    assert!(batch.len() < 400_000);
    let refused = post(&world, "application/cloudevents-batch+json").raw(batch).send().await;
    refused.refused(413, "event_too_large");
    assert_eq!(refused.expect(413)["errors"][0]["field"], "[1]");
    assert_eq!(world.logged(), 0);
}

#[tokio::test]
async fn a_thousand_unknown_types_are_refused_with_a_hundred_faults() {
    let world = World::with(|settings| settings.unknown_types = UnknownTypes::Reject).await;
    let unknown = |number: usize| {
        let mut event = event(&number.to_string());
        event["type"] = json!(format!("com.akeneo.pim.v1.product.updated{}", "x".repeat(number % 200 + 1)));
        event
    };
    let batch: Vec<Value> = (0..1000).map(unknown).collect();
    let refused = world.produce(json!(batch)).await.expect(422);
    let errors = refused["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[100]["message"], "900 further faults are not listed");
}

/// Reads `shared/realdata`, available to developers and CI beside the repository.
#[tokio::test]
async fn a_days_work_of_a_real_catalogue_is_taken() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/realdata/events.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", file.display());
        println!("left out: {} is missing", file.display());
        return;
    };
    let world = World::with(|settings| settings.schema_check = SchemaCheck::Reject).await;
    let lines: Vec<&str> = text.lines().collect();
    let mut accepted = 0;
    for batch in lines.chunks(500) {
        let call = post(&world, "application/cloudevents-batch+json").raw(format!("[{}]", batch.join(",")));
        accepted += call.send().await.expect(202)["accepted"].as_u64().unwrap();
    }
    assert_eq!((accepted, world.logged()), (lines.len() as u64, lines.len() as u64));
}
