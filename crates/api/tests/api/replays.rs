//! `…/replay`, `…/replays`.

use domain::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::admin::{admin, operated};
use crate::world::World;

/// A subscription with two kept events.
async fn kept(world: &World) -> String {
    let one = world.subscription_to("app", &["product.updated"], json!({})).await;
    world.sends("1", "product.updated").await;
    world.sends("2", "product.updated").await;
    one
}

async fn oldest(world: &World) -> String {
    let page = world.call("GET", "/api/v1/events").send().await.expect(200);
    page["items"].as_array().unwrap().last().unwrap()["accepted_at"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_replay_is_started_shown_and_cancelled_once() {
    let world = World::new().await;
    let one = kept(&world).await;
    let body = json!({"from": oldest(&world).await, "rate": 5, "only": "given_up", "filter": "user=\"peter\""});
    let started = world.call("POST", &format!("{one}/replay")).json(&body).send().await.expect(202);
    assert_eq!((&started["status"], &started["matched"], &started["at"]), (&json!("running"), &json!(0), &Value::Null));
    assert_eq!((&started["only"], &started["rate"]), (&json!(["given_up"]), &json!(5)));
    assert_eq!(started["filter"], "user=\"peter\"");
    let again = world.call("POST", &format!("{one}/replay")).json(&body).send().await;
    let message = again.refused(409, "replay_running");
    assert!(message.contains(started["id"].as_str().unwrap()), "{message}");

    assert_eq!(world.call("GET", &format!("{one}/replays")).send().await.expect(200), json!([started]));
    let path = format!("{one}/replays/{}", started["id"].as_str().unwrap());
    assert_eq!(world.call("GET", &path).send().await.expect(200), started);
    world.call_as("other", "GET", &path).send().await.refused(404, "not_found");
    world.call_as("other", "DELETE", &path).send().await.refused(404, "not_found");
    for unknown in ["x", "0192aabb-ccdd-7eff-8011-223344556677"] {
        world.call("GET", &format!("{one}/replays/{unknown}")).send().await.refused(404, "not_found");
        world.call("DELETE", &format!("{one}/replays/{unknown}")).send().await.refused(404, "not_found");
    }
    world.call("DELETE", &path).send().await.expect(204);
    let ended = world.call("GET", &path).send().await.expect(200);
    assert_eq!(ended["status"], "cancelled");
    assert!(ended["reason"].is_string(), "{ended}");
    world.call("DELETE", &path).send().await.refused(409, "replay_ended");

    let log = world.call("GET", "/api/v1/logs?log_type=action&limit=2").send().await.expect(200);
    let entry = |index: usize| log["items"][index].clone();
    assert_eq!(
        (&entry(0)["operation"], &entry(1)["operation"]),
        (&json!("replay_cancelled"), &json!("replay_started"))
    );
    assert_eq!((&entry(1)["response"]["status"], &entry(0)["response"]["status"]), (&json!(202), &json!(204)));
    let sent = entry(1)["request"]["body"].as_str().unwrap().to_owned();
    assert!(sent.contains("given_up"), "{sent}");
    world.call("POST", &format!("{one}/replay")).json(&body).send().await.expect(202);
}

#[tokio::test]
async fn a_replay_needs_kept_events_and_an_active_subscription() {
    let world = operated().await;
    let one = kept(&world).await;
    let path = format!("{one}/replay");
    let oldest = oldest(&world).await;
    let early = json!({"from": "2001-01-01T00:00:00Z"});
    let message = world.call("POST", &path).json(&early).send().await.refused(422, "invalid_value");
    assert!(message.contains(&oldest), "{message} names {oldest}");
    let answer = world.call("POST", &path).json(&json!({"from": oldest, "rate": 100.5})).send().await;
    answer.refused(422, "invalid_value");
    world.call("POST", &path).send().await.refused(400, "malformed_json");
    // Nothing was deleted since an hour ago, when there was no event yet.
    let recent = Timestamp::from_micros(Clock::system().wall().as_micros() - 3_600_000_000).to_string();
    let started = world.call("POST", &path).json(&json!({"from": recent})).send().await.expect(202);
    let own = format!("{one}/replays/{}", started["id"].as_str().unwrap());
    world.call("DELETE", &own).send().await.expect(204);
    world.call_as("other", "POST", &path).json(&json!({"from": oldest})).send().await.refused(404, "not_found");

    world.call("POST", &format!("{one}/suspend")).send().await.expect(200);
    world.call("POST", &path).json(&json!({"from": oldest})).send().await.refused(409, "not_active");
    world.call("POST", &format!("{one}/resume")).send().await.expect(200);
    world.call("POST", &path).json(&json!({"from": oldest})).send().await.expect(202);
    world.call("POST", &format!("{one}/suspend")).send().await.expect(200);
    let replays = world.call("GET", &format!("{one}/replays")).send().await.expect(200);
    assert_eq!(replays[0]["status"], "cancelled", "by the owner's suspension: {replays}");

    let second = json!({"pim": "second", "permitted": true});
    admin(&world, "POST", "clients/app/permission").json(&second).send().await.expect(200);
}

#[tokio::test]
async fn events_by_id_that_are_not_there_are_gone() {
    let world = World::new().await;
    world.sends("early", "product.updated").await;
    let one = kept(&world).await;
    world.sends("other", "product.created").await;
    let body = json!({"event_ids": ["2", "early", "other", "never", "1"]});
    let started = world.call("POST", &format!("{one}/replay")).json(&body).send().await.expect(202);
    assert_eq!((&started["gone"], &started["matched"]), (&json!(3), &json!(3)));
    assert_eq!((&started["from"], &started["to"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn the_permission_is_judged_at_the_commit() {
    let world = operated().await;
    let one = kept(&world).await;
    let body = json!({"from": oldest(&world).await});
    let permit = |permitted: bool| {
        let body = json!({"pim": "shop", "permitted": permitted});
        admin(&world, "POST", "clients/app/permission").json(&body)
    };
    for path in [format!("{one}/replay"), format!("{one}/test")] {
        permit(true).send().await.expect(200);
        let body = if path.ends_with("test") { json!({}) } else { body.clone() };
        let underway = world.call("POST", &path).json(&body).begin().await;
        permit(false).send().await.expect(200);
        underway.finish().await.refused(403, "event_platform_forbidden");
        world.call("POST", &path).json(&body).send().await.refused(403, "event_platform_forbidden");
    }
    for reading in ["replays", "attempts", "failures", "events/1"] {
        world.call("GET", &format!("{one}/{reading}")).send().await.expect(200);
    }
    assert_eq!(world.call("GET", &format!("{one}/replays")).send().await.expect(200), json!([]));
    assert!(world.engine.tested.lock().unwrap().is_empty());

    // Right before the commit.
    permit(true).send().await.expect(200);
    world.call("POST", &format!("{one}/resume")).send().await.expect(200);
    world.staged.2.close();
    let call = world.call("POST", &format!("{one}/replay")).json(&body);
    let (answer, ()) = tokio::join!(call.send(), async {
        world.staged.2.reached().await;
        permit(false).send().await.expect(200);
        world.staged.2.open();
    });
    answer.refused(403, "event_platform_forbidden");
    assert_eq!(world.call("GET", &format!("{one}/replays")).send().await.expect(200), json!([]));
}
