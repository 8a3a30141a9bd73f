//! `/api/v1/logs`

use serde_json::{Value, json};

use crate::world::{World, new_subscriber};

const PATH: &str = "/api/v1/logs";

#[tokio::test]
async fn refused_requests_are_logged_with_a_redacted_body() {
    let world = World::new().await;
    let subscriber = world.subscriber().await;
    let body = json!({
        "events": ["com.akeneo.pim.v1.product.updated"],
        "type": "https",
        "config": {"url": "http://shop.example.com", "secret": {"primary": "hunter2"}},
        "surprise": "hunter3"
    });
    world.call("POST", &format!("{subscriber}/subscriptions")).json(&body).send().await.expect(422);
    let page = world.call("GET", &format!("{PATH}?log_type=error")).send().await.expect(200);
    let entry = &page["items"][0];
    assert_eq!(entry["operation"], "request_refused");
    assert_eq!(entry["error_type"], "validation_error");
    assert_eq!(entry["error_code"], 422);
    assert_eq!(entry["request"]["method"], "POST");
    assert_eq!(entry["request"]["url"], format!("{subscriber}/subscriptions"));
    assert_eq!(entry["subscriber_id"], subscriber.rsplit('/').next().unwrap());
    assert_eq!(entry["count"], 1);
    let text = entry.to_string();
    assert!(text.contains("surprise") && !text.contains("hunter"), "{text}");
}

#[tokio::test]
async fn equal_refusals_are_one_entry() {
    let world = World::new().await;
    for _ in 0..3 {
        world.call("POST", "/api/v1/subscribers").json(&json!({})).send().await.expect(422);
    }
    let page = world.call("GET", PATH).send().await.expect(200);
    assert_eq!((page["items"].as_array().unwrap().len(), &page["items"][0]["count"]), (1, &json!(3)));
}

#[tokio::test]
async fn which_refusals_are_logged() {
    let world = World::new().await;
    let subscriber = world.subscriber().await;
    let cases: [(&str, &str, &str, String, Option<u16>); 7] = [
        ("POST", "/api/v1/subscribers", "application/json", "{".into(), Some(400)),
        ("PUT", "/api/v1/subscribers", "application/json", String::new(), Some(405)),
        ("POST", "/api/v1/subscribers", "application/json", format!("\"{}\"", "x".repeat(300_000)), Some(413)),
        ("POST", "/api/v1/subscribers", "text/plain", "{}".into(), Some(415)),
        ("POST", "/api/v1/subscribers", "application/json", "[]".into(), Some(422)),
        ("GET", "/api/v1/subscribers/none", "application/json", String::new(), None),
        ("OPTIONS", "/api/v1/subscribers", "application/json", String::new(), None),
    ];
    let mut expected = 1;
    for (method, path, media_type, body, logged) in cases {
        let answer = world.call(method, path).header("content-type", media_type).raw(body).send().await;
        assert!(answer.status.is_client_error());
        if let Some(status) = logged {
            assert_eq!(answer.status.as_u16(), status);
            expected += 1;
            let page = world.call("GET", PATH).send().await.expect(200);
            assert_eq!(page["items"][0]["error_code"], status);
            let parsed = status == 422;
            assert_eq!(page["items"][0]["request"].get("body").is_some_and(|body| !body.is_null()), parsed, "{status}");
        }
        assert_eq!(world.operations("app").await.len(), expected, "{method} {path}");
    }
    drop(subscriber);
}

#[tokio::test]
async fn pages_follow_one_another_while_entries_arrive() {
    let world = World::new().await;
    for index in 0..7 {
        let subscriber = json!({"name": format!("s{index}"), "contact": {"technical_email": "ops@example.com"}});
        world.call("POST", "/api/v1/subscribers").json(&subscriber).send().await.expect(201);
    }
    let first = world.call("GET", &format!("{PATH}?limit=3")).send().await.expect(200);
    assert_eq!((&first["limit"], &first["page"]), (&json!(3), &json!(1)));
    world.call("POST", "/api/v1/subscribers").json(&new_subscriber()).send().await.expect(201);
    let mut seen: Vec<Value> = first["items"].as_array().unwrap().clone();
    let mut next = first["next"].clone();
    while let Some(cursor) = next.as_str() {
        let page = world.call("GET", &format!("{PATH}?limit=3&cursor={cursor}")).send().await.expect(200);
        seen.extend(page["items"].as_array().unwrap().clone());
        next = page["next"].clone();
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.windows(2).all(|pair| pair[0]["log_id"].as_str() > pair[1]["log_id"].as_str()));
    let second = world.call("GET", &format!("{PATH}?limit=3&page=2")).send().await.expect(200);
    assert_eq!(second["items"].as_array().unwrap().len(), 3);
}
