//! `/api/v1/events`, and what became of events: `…/events/{event_id}`, `…/failures`, `…/attempts`.

use std::time::Duration;

use domain::attempt::{AttemptOutcome, PastAttempt};
use domain::exception::{Exception, ExceptionKind};
use domain::fate::{GivenUp, OutcomeCounts, Whereabouts};
use domain::outcome::ErrorReason;
use domain::{Position, SubscriptionId, Timestamp};
use serde_json::{Value, json};
use store::{Facts, LaneSave, Ledger, Save};

use crate::admin::{admin, operated};
use crate::world::{KEY, World, event};

const EVENTS: &str = "/api/v1/events";
const UUID: &str = "4a40cffc-a02d-5dd1-877c-5876596015f4";

/// Ids of a page, and its continuation.
async fn page(world: &World, client: &str, query: &str) -> (Vec<String>, Option<String>) {
    let page = world.call_as(client, "GET", &format!("{EVENTS}?{query}")).send().await.expect(200);
    let ids = page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["next"].as_str().map(str::to_owned))
}

async fn ids(world: &World, client: &str, query: &str) -> Vec<String> {
    page(world, client, query).await.0
}

fn id_of(subscription: &str) -> SubscriptionId {
    SubscriptionId::parse(subscription.rsplit('/').next().unwrap()).unwrap()
}

async fn fate(world: &World, subscription: &str, event: &str) -> Value {
    world.call("GET", &format!("{subscription}/events/{event}")).send().await.expect(200)
}

#[tokio::test]
async fn an_event_is_visible_to_whom_it_was_subscribed_when_it_was_accepted() {
    let world = operated().await;
    world.sends("too early", "product.updated").await;
    let mine = world.subscription_to("app", &["product.updated"], json!({"filter": "user=\"nobody\""})).await;
    let other = world.subscription_to("other", &["product.deleted"], json!({})).await;
    world.sends("updated", "product.updated").await;
    world.sends("deleted", "product.deleted").await;
    world.sends("created", "product.created").await;
    assert_eq!(ids(&world, "app", "").await, ["updated"], "whether the filter excludes it or not");
    assert_eq!(ids(&world, "other", "").await, ["deleted"]);
    for (client, hidden) in [("app", "too early"), ("app", "deleted"), ("app", "created"), ("other", "updated")] {
        let path = format!("{EVENTS}/{}", hidden.replace(' ', "%20"));
        world.call_as(client, "GET", &path).send().await.refused(404, "not_found");
        let path = format!("{}/events/{}", if client == "app" { &mine } else { &other }, hidden.replace(' ', "%20"));
        world.call_as(client, "GET", &path).send().await.refused(404, "not_found");
    }
    let second = world.call_second("GET", EVENTS).send().await.expect(200);
    assert_eq!(second, json!({"items": [], "next": null}), "another tenant");
    world.call_second("GET", &format!("{EVENTS}/updated")).send().await.refused(404, "not_found");

    // A type that is added later shows nothing from before; one that is removed stays visible.
    let patch = json!({"events": ["com.akeneo.pim.v1.product.created"]});
    world.call("PATCH", &mine).json(&patch).send().await.expect(200);
    world.sends("created later", "product.created").await;
    world.sends("updated later", "product.updated").await;
    assert_eq!(ids(&world, "app", "").await, ["created later", "updated"]);

    world.call("POST", &format!("{mine}/suspend")).send().await.expect(200);
    world.sends("while suspended", "product.created").await;
    assert_eq!(ids(&world, "app", "").await, ["while suspended", "created later", "updated"]);
    world.call("DELETE", &mine).send().await.expect(204);
    assert_eq!(ids(&world, "app", "").await, Vec::<String>::new(), "of a deleted subscription");
    world.call("GET", &format!("{EVENTS}/updated")).send().await.refused(404, "not_found");
    world.subscription_to("app", &["product.updated"], json!({})).await;
    world.call("GET", &format!("{EVENTS}/updated")).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_revoked_subscription_shows_nothing() {
    let world = operated().await;
    let one = world.subscription_to("app", &["product.updated"], json!({})).await;
    world.sends("1", "product.updated").await;
    let mut removal = event("the removal");
    removal["type"] = json!("com.akeneo.pim.v1.app.deleted");
    removal["data"] = json!({"app": {"client_id": "app"}});
    world.produce(removal).await.expect(202);
    admin(&world, "POST", "clients/app/admission").json(&json!({"pim": "shop"})).send().await.expect(200);
    assert_eq!(ids(&world, "app", "").await, Vec::<String>::new());
    world.call("GET", &format!("{one}/events/1")).send().await.refused(404, "not_found");
    world.call("POST", &format!("{one}/test")).send().await.refused(409, "subscription_revoked");
}

#[tokio::test]
async fn events_are_found_by_what_they_are() {
    let world = World::new().await;
    world.subscription_to("app", &["product.updated", "product.deleted"], json!({})).await;
    world.sends("1", "product.updated").await;
    world.sends("2", "product.deleted").await;
    let mut by_other = event("3");
    by_other["data"] = json!({"product": {"uuid": "another"}, "author": {"identifier": "erp", "type": "api"}});
    world.produce(by_other).await.expect(202);
    for (query, expect) in [
        ("", &["3", "2", "1"][..]),
        ("type=com.akeneo.pim.v1.product.updated", &["3", "1"]),
        ("type=com.akeneo.pim.v1.product.created", &[]),
        ("entity=another", &["3"]),
        (&format!("entity={UUID}"), &["2", "1"]),
        ("author=erp", &["3"]),
        ("id=2", &["2"]),
        ("id=2&author=erp", &[]),
        ("start_time=2000-01-01T00:00:00Z&end_time=2001-01-01T00:00:00Z", &[]),
        ("start_time=2000-01-01T00:00:00Z", &["3", "2", "1"]),
    ] {
        assert_eq!(ids(&world, "app", query).await, expect, "{query}");
    }
    let item = world.call("GET", &format!("{EVENTS}?id=3")).send().await.expect(200)["items"][0].clone();
    assert_eq!((&item["entity"], &item["author"]), (&json!("another"), &json!("erp")));
    assert_eq!(item["time"], "2026-11-02T08:00:00Z");
    world.call("GET", &format!("{EVENTS}?typ=x")).send().await.refused(422, "unknown_parameter");
    world.call("GET", &format!("{EVENTS}?limit=0")).send().await.refused(422, "invalid_parameter");
}

#[tokio::test]
async fn pages_follow_each_other_and_belong_to_their_reader() {
    let world = World::new().await;
    world.subscription_to("app", &["product.updated"], json!({})).await;
    world.subscription_to("other", &["product.updated"], json!({})).await;
    for number in 0..7 {
        world.sends(&number.to_string(), "product.updated").await;
    }
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (ids, next) = page(&world, "app", &format!("limit=3{cursor}")).await;
        all.extend(ids);
        // What is accepted in between is newer than all pages.
        world.sends(&format!("new {}", all.len()), "product.updated").await;
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(all, ["6", "5", "4", "3", "2", "1", "0"]);
    let (_, next) = page(&world, "app", "limit=3").await;
    let next = next.unwrap();
    let path = format!("{EVENTS}?cursor={next}");
    let message = world.call_as("other", "GET", &path).send().await.refused(422, "invalid_parameter");
    assert!(message.contains("unchanged"), "{message}");
    let changed = next.replacen(next.chars().next().unwrap(), "B", 1);
    world.call("GET", &format!("{EVENTS}?cursor={changed}x")).send().await.refused(422, "invalid_parameter");
}

#[tokio::test]
async fn an_event_is_shown_as_it_is_delivered() {
    let world = World::new().await;
    world.subscription_to("app", &["product.updated"], json!({})).await;
    world.sends("1", "product.updated").await;
    let shown = world.call("GET", &format!("{EVENTS}/1")).send().await.expect(200);
    assert_eq!(
        shown["event"],
        json!({
            "specversion": "1.0",
            "id": "1",
            "source": "akeneo-event-platform",
            "type": "com.akeneo.pim.v1.product.updated",
            "datacontenttype": "application/json",
            "dataschema": "https://events.example.com/spec/com.akeneo.pim.v1.product.updated.schema.json",
            "time": "2026-11-02T08:00:00Z",
            "data": {"product": {"uuid": UUID}, "author": {"identifier": "peter", "type": "user"}},
        })
    );
    assert!(Timestamp::parse(shown["accepted_at"].as_str().unwrap()).is_some());

    world.subscription_to("app", &["product.updated"], json!({"send_product_identifier": true})).await;
    world.sends("2", "product.updated").await;
    let shown = world.call("GET", &format!("{EVENTS}/2")).send().await.expect(200);
    assert_eq!(shown["event"]["data"]["product"]["identifier"], "sku", "one of them gets it");
    let shown = world.call("GET", &format!("{EVENTS}/1")).send().await.expect(200);
    assert_eq!(shown["event"]["data"]["product"].get("identifier"), None, "none of them got it then");

    // Another producer's event with the same id.
    let mut another = event("1");
    another["source"] = json!("/shop-a");
    world.produce(another).await.expect(202);
    let shown = world.call("GET", &format!("{EVENTS}/1")).send().await.expect(200);
    assert_eq!(shown["event"]["producersource"], "/shop-a", "the newest");
    assert_eq!(ids(&world, "app", "id=1").await, ["1", "1"]);
}

#[tokio::test]
async fn one_path_serves_producers_and_clients() {
    let world = World::new().await;
    let with_key = |method: &str| world.bare(method, EVENTS).header("authorization", &format!("Bearer {KEY}"));
    with_key("GET").send().await.refused(401, "missing_header");
    world.call("POST", EVENTS).json(&event("1")).send().await.refused(401, "missing_source_key");
    for call in [with_key("DELETE"), world.call("PUT", EVENTS), world.bare("OPTIONS", EVENTS)] {
        let answer = call.send().await;
        answer.refused(405, "method_not_allowed");
        let mut allowed: Vec<_> = answer.headers["allow"].to_str().unwrap().split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    }
    assert_eq!(world.call("HEAD", EVENTS).send().await.status, 200);
}

#[tokio::test]
async fn the_fate_of_an_event_is_told_with_its_reason() {
    let world = World::new().await;
    let early = world.subscription_to("app", &["product.updated", "product.deleted"], json!({})).await;
    world.sends("early", "product.updated").await;
    let filtered = json!({"filter": "user=\"erp\""});
    let late = world.subscription_to("app", &["product.updated"], filtered).await;
    world.sends("updated", "product.updated").await;
    world.sends("deleted", "product.deleted").await;
    for (subscription, id, expect, said) in [
        (&late, "early", "not_active", "before the subscription was created"),
        (&late, "updated", "filtered_out", "user=\"erp\""),
        (&late, "deleted", "not_subscribed", "product.deleted"),
        (&early, "updated", "waiting", "first attempt"),
    ] {
        let told = fate(&world, subscription, id).await;
        assert_eq!(told["fate"], expect, "{told}");
        assert!(told["message"].as_str().unwrap().contains(said), "{told}");
    }
    let place = Position(2);
    let put = |whereabouts: Whereabouts| {
        world.engine.whereabouts.lock().unwrap().insert(place, whereabouts);
    };
    put(Whereabouts::InFlight);
    assert_eq!(fate(&world, &early, "updated").await["fate"], "in_flight");
    let due_at = Timestamp::parse("2999-01-01T00:00:00Z").unwrap();
    put(Whereabouts::WaitingForRetry { failures: 2, throttled: false, due_at });
    world.engine.attempts.lock().unwrap().extend(["updated", "deleted"].map(attempt));
    let told = fate(&world, &early, "updated").await;
    assert_eq!((&told["fate"], &told["next_attempt_at"]), (&json!("waiting_for_retry"), &json!(due_at.to_string())));
    assert_eq!(told["attempts"].as_array().unwrap().len(), 1, "only those of the event");
    assert_eq!(told["attempts"][0]["status"], 503);
    put(Whereabouts::Passed);
    assert_eq!(fate(&world, &early, "updated").await["fate"], "delivered");
    world.call_as("other", "GET", &format!("{early}/events/updated")).send().await.refused(404, "not_found");
}

fn attempt(event_id: &str) -> PastAttempt {
    PastAttempt {
        position: Position(1),
        event_id: event_id.to_owned(),
        event_type: "com.akeneo.pim.v1.product.updated".to_owned(),
        started_at: Timestamp::parse("2026-11-02T08:00:00Z").unwrap(),
        duration: Duration::from_micros(12_345),
        outcome: AttemptOutcome::Failed,
        error_reason: Some(ErrorReason::DestinationFailure),
        status: Some(503),
        body: Some("too busy".to_owned()),
        replay: None,
    }
}

fn waiting(position: u64) -> Exception {
    Exception {
        position: Position(position),
        kind: ExceptionKind::Retry,
        failures: 1,
        due_at: Timestamp::parse("2999-01-01T00:00:00Z").unwrap(),
        first_tried_at: Timestamp::EPOCH,
        entity: 0,
    }
}

#[tokio::test]
async fn failures_are_listed_newest_first_in_pages() {
    let world = World::new().await;
    let one = world.subscription_to("app", &["product.updated"], json!({})).await;
    for id in ["1", "2", "3", "4"] {
        world.sends(id, "product.updated").await;
    }
    let given_up = GivenUp {
        position: Position(3),
        reason: ErrorReason::DestinationTimeout,
        status: None,
        attempts: 4,
        at: Timestamp::parse("2026-11-02T08:00:00Z").unwrap(),
    };
    let lane = LaneSave {
        subscription: id_of(&one),
        generation: 0,
        cursor: Some(Position(5)),
        memory: None,
        exceptions: vec![waiting(1), waiting(4)],
        settled: vec![],
        drop_exceptions: false,
        entries: vec![],
        facts: Facts { given_up: vec![given_up], ..Facts::default() },
    };
    let save = Save { mark: Position(5), lanes: vec![lane], replays: vec![] };
    world.store.save(&world.tenure, save).await.unwrap();
    world.engine.attempts.lock().unwrap().push(attempt("4"));

    let path = format!("{one}/failures");
    let first = world.call("GET", &format!("{path}?limit=2")).send().await.expect(200);
    assert_eq!(
        first["items"],
        json!([
            {
                "event_id": "4", "event_type": "com.akeneo.pim.v1.product.updated", "state": "waiting_for_retry",
                "error_reason": "destination_failure", "status": 503, "attempts": 1,
                "at": "2026-11-02T08:00:00.000000Z", "next_attempt_at": "2999-01-01T00:00:00.000000Z",
            },
            {
                "event_id": "3", "event_type": "com.akeneo.pim.v1.product.updated", "state": "given_up",
                "error_reason": "destination_timeout", "status": null, "attempts": 4,
                "at": "2026-11-02T08:00:00.000000Z", "next_attempt_at": null,
            },
        ])
    );
    let cursor = first["next"].as_str().unwrap();
    let rest = world.call("GET", &format!("{path}?limit=2&cursor={cursor}")).send().await.expect(200);
    assert_eq!((rest["items"][0]["event_id"].as_str(), &rest["next"]), (Some("1"), &Value::Null));
    let told = fate(&world, &one, "3").await;
    assert_eq!(told["fate"], "given_up");
    world.call("GET", &format!("{EVENTS}?cursor={cursor}")).send().await.refused(422, "invalid_parameter");
    world.call("GET", &format!("{path}?page=1")).send().await.refused(422, "unknown_parameter");
    world.call_as("other", "GET", &path).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn attempts_come_with_counts() {
    let world = World::new().await;
    let one = world.subscription_to("app", &["product.updated"], json!({})).await;
    let path = format!("{one}/attempts");
    let empty = world.call("GET", &path).send().await.expect(200);
    assert_eq!((&empty["items"], &empty["counts"]), (&json!([]), &json!([])));
    let now = Timestamp::from_micros(domain::Clock::system().wall().as_micros() / 300_000_000 * 300_000_000);
    let counts = OutcomeCounts { from: now, delivered: 2, failed: 1, throttled: 0 };
    let old = OutcomeCounts { from: Timestamp::EPOCH, ..counts };
    let lane = LaneSave {
        subscription: id_of(&one),
        generation: 0,
        cursor: None,
        memory: None,
        exceptions: vec![],
        settled: vec![],
        drop_exceptions: false,
        entries: vec![],
        facts: Facts { counts: vec![old, counts], ..Facts::default() },
    };
    let save = Save { mark: Position(1), lanes: vec![lane], replays: vec![] };
    world.store.save(&world.tenure, save).await.unwrap();
    world.engine.counts.lock().unwrap().push(OutcomeCounts { from: now, delivered: 1, failed: 0, throttled: 3 });
    world.engine.attempts.lock().unwrap().push(attempt("1"));
    let told = world.call("GET", &path).send().await.expect(200);
    let summed = json!([{"from": now.to_string(), "delivered": 3, "failed": 1, "throttled": 3}]);
    assert_eq!(told["counts"], summed, "saved and unsaved ones; none from before the last day");
    let only_counts = world.call("GET", &format!("{path}?limit=0")).send().await.expect(200);
    assert_eq!((&only_counts["items"], &only_counts["counts"]), (&json!([]), &summed));
    world.call("GET", &format!("{path}?limit=101")).send().await.refused(422, "invalid_parameter");
    let item = &told["items"][0];
    assert_eq!(
        (&item["outcome"], &item["duration_ms"], &item["body"]),
        (&json!("failed"), &json!(12), &json!("too busy"))
    );
    world.call_as("other", "GET", &path).send().await.refused(404, "not_found");
}
