//! What everybody may ask: event types, schemas, health.

use crate::world::World;

#[tokio::test]
async fn event_types_lead_to_their_schemas() {
    let world = World::new().await;
    let types = world.bare("GET", "/api/v1/event-types").send().await.expect(200);
    let types = types.as_array().unwrap();
    assert_eq!(types.len(), 37);
    for known in types {
        let address = known["dataschema"].as_str().unwrap();
        let path = address.strip_prefix("https://events.example.com").unwrap();
        let answer = world.bare("GET", path).send().await;
        assert_eq!(answer.expect(200)["$id"], address);
        assert_eq!(answer.headers["content-type"], "application/schema+json");
    }
    for missing in ["/spec/com.akeneo.pim.v1.nothing.schema.json", "/spec/com.akeneo.pim.v1.product.updated", "/spec/x"]
    {
        world.bare("GET", missing).send().await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn health_says_whether_it_lives_and_whether_it_works() {
    let world = World::new().await;
    assert_eq!(world.bare("GET", "/health/live").send().await.expect(200)["status"], "live");
    assert_eq!(world.bare("GET", "/health/ready").send().await.expect(200)["status"], "ready");
    *world.engine.broken.lock().unwrap() = Some("the engine stands still".into());
    world.bare("GET", "/health/ready").send().await.refused(503, "not_ready");
    world.bare("GET", "/health/live").send().await.expect(200);
}

#[tokio::test]
async fn every_reason_in_a_log_entry_is_explained() {
    let world = World::new().await;
    world.call("POST", "/api/v1/subscribers").json(&serde_json::json!({})).send().await.expect(422);
    let page = world.call("GET", "/api/v1/logs").send().await.expect(200);
    let address = page["items"][0]["documentation_url"].as_str().unwrap();
    let (address, anchor) = address.strip_prefix("https://events.example.com").unwrap().split_once('#').unwrap();
    let answer = world.bare("GET", address).send().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let text = String::from_utf8_lossy(&answer.body);
    let reasons = domain::outcome::ErrorReason::ALL.iter().map(|reason| reason.as_str());
    let codes = wire::fault::code::ALL.iter().map(|(code, _)| *code);
    for name in reasons.chain(codes).chain([anchor, "body_too_large", "not_suspended"]) {
        assert!(text.contains(&format!("id=\"{name}\"")), "{name} is not explained");
    }
}
