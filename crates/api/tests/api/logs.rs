//! `/api/v1/logs`

use serde_json::{Value, json};

use crate::admin::{admin, operated};
use crate::world::{World, new_subscriber, new_subscription};

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
            assert_eq!(page["items"][0]["request"].get("body").is_some_and(Value::is_string), parsed, "{status}");
            assert!(!page["items"][0].to_string().contains("null"), "what does not apply is absent: {page}");
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

#[tokio::test]
async fn action_entries_have_the_call_that_led_to_them() {
    let world = operated().await;
    let subscriber = world.subscriber().await;
    let path = format!("{subscriber}/subscriptions");
    let made = world.call("POST", &path).json(&new_subscription()).send().await.expect(201);
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let patch = json!({"config": {"headers": {"X-Key": "hunter2"}}});
    world.call("PATCH", &format!("{one}?why=not")).json(&patch).send().await.expect(200);
    world.call("PATCH", &subscriber).json(&json!({"name": "Renamed"})).send().await.expect(200);
    world.call("POST", &format!("{one}/suspend")).send().await.expect(200);
    world.call("POST", &format!("{one}/resume")).json(&json!({})).send().await.expect(200);
    world.call("DELETE", &subscriber).send().await.expect(204);
    let page = world.call("GET", &format!("{PATH}?order=asc")).send().await.expect(200);
    let calls: Vec<Value> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| json!([entry["operation"], entry["request"], entry["response"]]))
        .collect();
    let body = |body: &str| body.replace("a-secret", "***redacted***").replace("hunter2", "***redacted***");
    let created = body(&new_subscription().to_string());
    assert_eq!(
        calls,
        [
            json!([
                "subscriber_created",
                {"method": "POST", "url": "/api/v1/subscribers", "body": new_subscriber().to_string()},
                {"status": 201},
            ]),
            json!(["subscription_created", {"method": "POST", "url": path, "body": created}, {"status": 201}]),
            json!([
                "subscription_updated",
                {"method": "PATCH", "url": format!("{one}?why=not"), "body": body(&patch.to_string())},
                {"status": 200},
            ]),
            json!([
                "subscriber_updated",
                {"method": "PATCH", "url": subscriber, "body": r#"{"name":"Renamed"}"#},
                {"status": 200},
            ]),
            json!([
                "subscription_suspended_by_the_user",
                {"method": "POST", "url": format!("{one}/suspend")},
                {"status": 200},
            ]),
            json!([
                "subscription_resumed_by_the_user",
                {"method": "POST", "url": format!("{one}/resume"), "body": "{}"},
                {"status": 200},
            ]),
            json!(["subscriber_deleted", {"method": "DELETE", "url": subscriber}, {"status": 204}]),
            json!(["subscription_deleted", {"method": "DELETE", "url": subscriber}, {"status": 204}]),
        ]
    );
}

#[tokio::test]
async fn operator_actions_have_a_message_and_no_call() {
    let world = operated().await;
    let one = world.subscription(&world.subscriber().await).await;
    let id = one.rsplit('/').next().unwrap();
    let body = json!({"reason": "floods our proxy"});
    admin(&world, "POST", &format!("subscriptions/{id}/suspend")).json(&body).send().await.expect(200);
    let page = world.call("GET", &format!("{PATH}?limit=1")).send().await.expect(200);
    let entry = &page["items"][0];
    assert_eq!(entry["operation"], "subscription_suspended_by_the_platform");
    assert_eq!(entry["message"], "suspended by the operator of the platform; floods our proxy");
    assert_eq!((entry.get("request"), entry.get("response")), (None, None));
}
