//! `…/test`

use std::time::Duration;

use api::Tested;
use domain::attempt::{AttemptOutcome, PastAttempt};
use domain::event_type::known;
use domain::outcome::ErrorReason;
use domain::{Position, Timestamp};
use serde_json::{Value, json};

use crate::world::World;

const UPDATED: &str = "com.akeneo.pim.v1.product.updated";

/// A subscription that was not tested in the last second.
async fn fresh(world: &World) -> String {
    world.subscription_to("app", &["product.updated", "product.created"], json!({})).await
}

#[tokio::test]
async fn a_test_event_is_the_example_of_the_first_type() {
    let world = World::new().await;
    let one = fresh(&world).await;
    let told = world.call("POST", &format!("{one}/test")).send().await.expect(200);
    assert_eq!((&told["outcome"], &told["event_type"]), (&json!("delivered"), &json!(UPDATED)));
    assert_eq!((&told["error_reason"], &told["message"]), (&Value::Null, &Value::Null));
    let (subscription, logged) = world.engine.tested.lock().unwrap().pop().unwrap();
    assert!(one.ends_with(&subscription.id.to_string()));
    assert_eq!(logged.event.id(), told["event_id"]);
    assert!(logged.event.id().starts_with("test-") && logged.event.id().len() == 41, "{}", logged.event.id());
    assert_eq!((logged.event.event_type(), logged.event.data()), (UPDATED, known::example(UPDATED).unwrap()));
    assert_eq!(world.operations("app").await, ["subscriber_created", "subscription_created"], "it leaves no entry");
    assert_eq!(world.logged(), 0);
}

#[tokio::test]
async fn one_test_event_a_second() {
    let world = World::new().await;
    let (one, another) = (fresh(&world).await, fresh(&world).await);
    let invalid = json!({"type": "product.updated"});
    let path = format!("{one}/test");
    world.call("POST", &path).json(&invalid).send().await.refused(422, "unknown_event_type");
    world.call("POST", &path).send().await.expect(200);
    let answer = world.call("POST", &path).send().await;
    answer.refused(429, "rate_limited");
    assert_eq!(answer.headers["retry-after"], "1");
    world.call("POST", &format!("{another}/test")).send().await.expect(200);
    assert_eq!(world.engine.tested.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn other_types_and_data_are_possible_also_during_a_suspension() {
    let world = World::new().await;
    let one = fresh(&world).await;
    let path = format!("{one}/test");
    world.call("POST", &format!("{one}/suspend")).send().await.expect(200);
    let body = json!({"type": "com.akeneo.pim.v1.family.updated", "data": {"family": {"code": "shoes"}}});
    let told = world.call("POST", &path).json(&body).send().await.expect(200);
    assert_eq!(told["event_type"], "com.akeneo.pim.v1.family.updated");
    let (_, logged) = world.engine.tested.lock().unwrap().pop().unwrap();
    assert_eq!(logged.event.data(), r#"{"family":{"code":"shoes"}}"#);
    world.call("POST", &path).json(&json!({"data": []})).send().await.refused(422, "wrong_type");
    world.call("POST", &path).json(&json!({"typ": 1})).send().await.refused(422, "unknown_field");
    world.call_as("other", "POST", &path).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_failure_is_told_with_the_answer() {
    let world = World::new().await;
    let attempt = PastAttempt {
        position: Position(1),
        event_id: "test-1".to_owned(),
        event_type: UPDATED.to_owned(),
        started_at: Timestamp::EPOCH,
        duration: Duration::from_micros(1_999),
        outcome: AttemptOutcome::Failed,
        error_reason: Some(ErrorReason::DestinationFailure),
        status: Some(503),
        body: Some("too busy".to_owned()),
        replay: None,
    };
    *world.engine.outcome.lock().unwrap() = Some(Tested { attempt, message: Some("it answered 503".to_owned()) });
    let told = world.call("POST", &format!("{}/test", fresh(&world).await)).send().await.expect(200);
    assert_eq!(
        told,
        json!({
            "event_id": "test-1", "event_type": UPDATED, "started_at": "1970-01-01T00:00:00.000000Z", "duration_ms": 1,
            "outcome": "failed", "error_reason": "destination_failure", "message": "it answered 503", "status": 503,
            "body": "too busy",
        })
    );
}
