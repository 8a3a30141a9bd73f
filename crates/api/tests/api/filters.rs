//! `/api/v1/filters/check`

use serde_json::{Value, json};

use crate::world::{World, event};

const PATH: &str = "/api/v1/filters/check";

async fn check(question: Value) -> Value {
    World::new().await.call("POST", PATH).json(&question).send().await.expect(200)
}

#[tokio::test]
async fn a_right_filter_is_explained() {
    let answer = check(json!({"filter": "user=\"peter\""})).await;
    assert_eq!(answer["valid"], true);
    assert!(answer["explanation"].as_str().unwrap().contains("peter"), "{answer}");
    assert_eq!(answer["errors"], json!([]));
    assert!(answer.get("matches").is_none());
}

#[tokio::test]
async fn an_event_is_held_against_it() {
    assert_eq!(check(json!({"filter": "user=\"peter\"", "event": event("1")})).await["matches"], true);
    assert_eq!(check(json!({"filter": "not user=\"peter\"", "event": event("1")})).await["matches"], false);
    assert_eq!(check(json!({"filter": " ", "event": event("1")})).await["matches"], true);
    assert_eq!(check(json!({"filter": null, "event": event("1")})).await["matches"], true);
}

#[tokio::test]
async fn recent_events_are_held_against_it() {
    let world = World::new().await;
    let ask =
        |recent: Value| world.call("POST", PATH).json(&json!({"filter": "user=\"peter\"", "recent": recent})).send();
    world.sends("before", "product.updated").await;
    assert_eq!(
        ask(json!({})).await.expect(200)["recent"],
        json!({"tested": 0, "matching": 0, "since": null, "items": []})
    );
    world.subscription_to("app", &["product.updated", "product.created"], json!({})).await;
    for id in ["1", "2"] {
        world.sends(id, "product.updated").await;
    }
    world.sends("3", "product.created").await;
    world.sends("4", "family.updated").await;
    let recent = ask(json!({})).await.expect(200)["recent"].clone();
    assert_eq!((&recent["tested"], &recent["matching"]), (&json!(3), &json!(3)), "{recent}");
    assert_eq!(recent["items"][0]["event"]["id"], "3", "newest first; others' types and earlier events are invisible");
    let only = json!({"types": ["com.akeneo.pim.v1.product.updated", "com.akeneo.pim.v1.family.updated"], "events": 1});
    let recent = ask(only).await.expect(200)["recent"].clone();
    assert_eq!((&recent["tested"], &recent["items"][0]["event"]["id"]), (&json!(1), &json!("2")));
    let invalid = world.call("POST", PATH).json(&json!({"filter": "user=", "recent": {}})).send().await.expect(200);
    assert!(invalid.get("recent").is_none(), "{invalid}");
    let other = world.call_as("other", "POST", PATH).json(&json!({"filter": "", "recent": {}})).send().await;
    assert_eq!(other.expect(200)["recent"]["tested"], 0);
}

#[tokio::test]
async fn a_wrong_filter_is_answered_with_the_place() {
    let answer = check(json!({"filter": "user=system"})).await;
    assert_eq!(answer["valid"], false);
    assert_eq!(answer["errors"][0]["column"], 6);
    assert_eq!(answer["errors"][0]["field"], "filter");
}

#[tokio::test]
async fn a_question_that_is_none_is_refused() {
    let world = World::new().await;
    for (question, field) in [
        (json!({}), "filter"),
        (json!({"filter": 7}), "filter"),
        (json!({"filter": "", "events": []}), "events"),
        (json!({"filter": "", "event": "x"}), "event"),
        (json!({"filter": "", "event": {"data": {}}}), "event.type"),
        (json!({"filter": "", "event": {"type": "t", "data": []}}), "event.data"),
        (json!({"filter": "", "recent": 5}), "recent"),
        (json!({"filter": "", "recent": {"events": 0}}), "recent.events"),
        (json!({"filter": "", "recent": {"events": 1001}}), "recent.events"),
        (json!({"filter": "", "recent": {"types": "t"}}), "recent.types"),
        (json!({"filter": "", "recent": {"since": 1}}), "recent.since"),
    ] {
        let answer = world.call("POST", PATH).json(&question).send().await.expect(422);
        assert_eq!(answer["errors"][0]["field"], field, "{question}");
    }
}
