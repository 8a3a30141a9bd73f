//! Public paths: event types, schemas, health.

use crate::world::World;

#[tokio::test]
async fn event_types_lead_to_their_schemas() {
    let world = World::new().await;
    let types = world.bare("GET", "/api/v1/event-types").send().await.expect(200);
    let types = types.as_array().unwrap();
    assert_eq!(types.len(), domain::event_type::EventTypes::new().iter().count());
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
    let address = address.strip_prefix("https://events.example.com").unwrap();
    assert!(address.starts_with("/docs/errors/"), "{address}");
    let reasons = domain::outcome::ErrorReason::ALL.iter().map(|reason| reason.as_str());
    let codes = wire::fault::code::ALL.iter().map(|(code, _)| *code);
    let further = ["body_too_large", "not_suspended", "event_platform_forbidden", "unsupported_media_type"];
    let index = world.bare("GET", "/docs/errors").send().await;
    let index = String::from_utf8_lossy(&index.body).into_owned();
    for name in reasons.chain(codes).chain(further) {
        let answer = world.bare("GET", &format!("/docs/errors/{name}")).send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.headers["content-type"].as_bytes()),
            (200, &b"text/html; charset=utf-8"[..])
        );
        let text = String::from_utf8_lossy(&answer.body);
        for part in [&format!("<h1>{name}</h1>"), "What to check", "How to reproduce it"] {
            assert!(text.contains(part), "{part} is not on the page of {name}");
        }
        assert!(index.contains(&format!("/docs/errors/{name}\"")), "{name} is not listed");
    }
    assert_eq!(world.bare("GET", address).send().await.status, 200);
    world.bare("GET", "/docs/errors/none").send().await.refused(404, "not_found");
}
