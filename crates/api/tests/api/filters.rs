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
    ] {
        let answer = world.call("POST", PATH).json(&question).send().await.expect(422);
        assert_eq!(answer["errors"][0]["field"], field, "{question}");
    }
}
