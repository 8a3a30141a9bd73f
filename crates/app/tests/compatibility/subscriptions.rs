//! Contract page 1, "Subscriptions" and "`config` by type".

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::client::{World, is_id, is_timestamp, new_subscription, text};
use crate::platform::PIM_URL;
use crate::receiver;

const MASK: &str = "***redacted***";

#[test]
fn a_subscription_from_its_beginning_to_its_end() {
    let world = World::new();
    let subscriber = world.subscriber();
    let all = format!("{subscriber}/subscriptions");
    assert_eq!(world.get(&all), json!([]), "a bare array");
    let made = world.post(&all, &new_subscription());
    is_id(&made["id"]);
    is_timestamp(&made["created_at"]);
    is_timestamp(&made["updated_at"]);
    assert_eq!(made["subscriber_id"], subscriber["/subscribers/".len()..]);
    assert_eq!((text(&made, "source"), text(&made, "subject"), text(&made, "type")), ("pim", PIM_URL, "https"));
    assert_eq!(made["events"], new_subscription()["events"]);
    assert_eq!(
        made["config"],
        json!({"url": "https://app.example.com/events", "secret": {"primary": MASK, "secondary": ""}})
    );
    assert_eq!(
        (&made["filter"], &made["send_product_identifier"], &made["status"]),
        (&Value::Null, &json!(false), &json!("active"))
    );
    let path = format!("{all}/{}", text(&made, "id"));
    assert_eq!(world.get(&path), made);
    assert_eq!(world.get(&all), json!([made]));

    // Actions accept an empty body and answer with the subscription.
    world.call("POST", &format!("{path}/resume"), None).messages(409);
    let suspended = world.call("POST", &format!("{path}/suspend"), None).json(200);
    assert_eq!((&suspended["status"], &suspended["id"]), (&json!("suspended"), &made["id"]));
    world.call("POST", &format!("{path}/suspend"), None).messages(409);
    assert_eq!(
        world.patch(&path, &json!({"filter": "user=\"erp\""}))["status"],
        "suspended",
        "a suspended one can be changed"
    );
    assert_eq!(world.call("POST", &format!("{path}/resume"), Some(&json!({}))).json(200)["status"], "active");

    world.call("DELETE", &path, None).nothing(204);
    world.call("GET", &path, None).messages(404);
    world.call("POST", &format!("{path}/suspend"), None).messages(404);
    assert_eq!(world.get(&all), json!([]));
}

#[test]
fn optional_members() {
    let world = World::new();
    let mut least = new_subscription();
    for name in ["source", "subject"] {
        least.as_object_mut().unwrap().remove(name);
    }
    least["config"]["secret"].as_object_mut().unwrap().remove("secondary");
    let made = world.get(&world.subscription(&least));
    assert_eq!((text(&made, "source"), text(&made, "subject")), ("pim", PIM_URL));
    assert_eq!(made["config"]["secret"]["secondary"], "", "none is an empty one");
    least["subject"] = json!("https://PIM.example.com/");
    assert_eq!(world.get(&world.subscription(&least))["subject"], PIM_URL, "in the registered spelling");
}

#[test]
fn sending_back_masked_secrets_keeps_them() {
    let world = World::new();
    let (url, received) = receiver::listen();
    let mut new = new_subscription();
    new["config"]["url"] = json!(url);
    new["config"]["secret"]["secondary"] = json!("your_secondary_secret");
    new["config"]["headers"] = json!({"X-Api-Key": "a key", "X-Other": "b"});
    let path = world.subscription(&new);
    let mut read = world.get(&path);
    assert_eq!(read["config"]["headers"], json!({"X-Api-Key": MASK, "X-Other": MASK}));
    assert_eq!(read["config"]["secret"], json!({"primary": MASK, "secondary": MASK}));
    // The complete subscription, including read-only fields and masks, with one change.
    read["send_product_identifier"] = json!(true);
    let changed = world.patch(&path, &read);
    assert_eq!((&changed["send_product_identifier"], &changed["config"]), (&json!(true), &read["config"]));
    assert_eq!(
        world.patch(&path, &json!({"config": {"headers": {"X-Other": null}}}))["config"]["headers"],
        json!({"X-Api-Key": MASK})
    );

    let event = r#"{"specversion":"1.0","id":"1","source":"pim","type":"com.akeneo.pim.v1.product.created","data":{"product":{"uuid":"4a40cffc-a02d-5dd1-877c-5876596015f4","identifier":"1001"}}}"#;
    let headers = [("Authorization", "Bearer a-key-for-the-tests"), ("Content-Type", "application/cloudevents+json")];
    assert_eq!(world.raw("POST", "/api/v1/events", &headers, event).json(202)["accepted"], 1);
    let delivered = receiver::next(&received);
    let sign = |secret: &str| -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &delivered.body);
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    for line in [
        format!("x-akeneo-signature-primary: {}", sign("your_primary_secret")),
        format!("x-akeneo-signature-secondary: {}", sign("your_secondary_secret")),
        "x-akeneo-signature-algorithm: hmacsha256".to_owned(),
        "content-type: application/json".to_owned(),
        "x-api-key: a key".to_owned(),
    ] {
        assert!(delivered.head.lines().any(|sent| sent == line), "{line}\n{}", delivered.head);
    }
    assert!(!delivered.head.contains("x-other"));
    let event: Value = serde_json::from_slice(&delivered.body).unwrap();
    assert_eq!(event["subject"], read["id"]);
    assert_eq!(event["data"]["product"]["identifier"], "1001");
}

#[test]
fn a_patch_is_merged_and_a_new_type_needs_all_of_its_config() {
    let world = World::new();
    let path = world.subscription(&new_subscription());
    let changed = world.patch(&path, &json!({"config": {"url": "https://app.example.com/v2"}}));
    assert_eq!(
        changed["config"],
        json!({"url": "https://app.example.com/v2", "secret": {"primary": MASK, "secondary": ""}})
    );
    let changed =
        world.patch(&path, &json!({"events": ["com.akeneo.pim.v1.family.created"], "filter": "not user=\"system\""}));
    assert_eq!(
        (&changed["events"], &changed["filter"]),
        (&json!(["com.akeneo.pim.v1.family.created"]), &json!("not user=\"system\""))
    );
    for none in [json!(null), json!(""), json!("  ")] {
        assert_eq!(world.patch(&path, &json!({"filter": none}))["filter"], Value::Null);
    }
    world.call("PATCH", &path, Some(&json!({"type": "pubsub"}))).messages(422);
    world
        .call("PATCH", &path, Some(&json!({"type": "pubsub", "config": {"url": "https://app.example.com/"}})))
        .messages(422);
    // Read-only fields are accepted unchanged only.
    let id = world.get(&path)["id"].clone();
    world.patch(&path, &json!({"id": id, "status": "active", "subject": "https://pim.example.com/"}));
    world.call("PATCH", &path, Some(&json!({"status": "suspended"}))).messages(422);
    assert_eq!(
        world
            .call("PATCH", &path, Some(&json!({"id": "x", "subscriber_id": "y", "created_at": "z"})))
            .messages(422)
            .len(),
        3
    );
    // Also under its own media type.
    let headers = [
        ("X-PIM-URL", PIM_URL),
        ("X-PIM-TOKEN", "token"),
        ("X-PIM-CLIENT-ID", "app"),
        ("Content-Type", "application/merge-patch+json"),
    ];
    let change = r#"{"send_product_identifier":true}"#;
    let changed = world.raw("PATCH", &format!("/api/v1{path}"), &headers, change).json(200);
    assert_eq!(changed["send_product_identifier"], true);
}

#[test]
fn what_is_refused() {
    let world = World::new();
    let path = format!("{}/subscriptions", world.subscriber());
    let check = |change: &dyn Fn(&mut Value), said: &str| {
        let mut new = new_subscription();
        change(&mut new);
        let messages = world.call("POST", &path, Some(&new)).messages(422);
        assert!(messages.iter().any(|message| message.contains(said)), "{said}: {messages:?}");
    };
    check(&|new| new["subject"] = json!("https://other.example.com"), "subject");
    check(&|new| new["source"] = json!("dam"), "source");
    check(&|new| new["events"] = json!([]), "events");
    check(
        &|new| new["events"] = json!(["com.akeneo.pim.v1.product.created", "com.akeneo.pim.v1.product.created"]),
        "events[1]",
    );
    check(
        &|new| new["events"] = json!(["com.akeneo.pim.v1.product.creatd"]),
        "did you mean `com.akeneo.pim.v1.product.created`",
    );
    check(&|new| new["type"] = json!("carrier-pigeon"), "type");
    check(&|new| new["config"]["url"] = json!("https://u:p@app.example.com/"), "config.url");
    check(&|new| new["config"]["url"] = json!("https://app.example.com/#top"), "config.url");
    check(&|new| new["config"]["url"] = json!("https://10.0.0.1/"), "config.url");
    check(&|new| new["config"]["secret"] = json!({"secondary": "x"}), "config.secret.primary");
    check(&|new| new["config"]["secret"]["primary"] = json!(MASK), "config.secret.primary");
    check(&|new| new["filter"] = json!("user=system"), "column");
    check(&|new| new["id"] = json!("0190c5a0-0000-7000-8000-000000000001"), "id");
    check(&|new| new["surprise"] = json!(1), "surprise");
    for name in [
        "Content-Type",
        "host",
        "AUTHORIZATION",
        "Cookie",
        "X-Correlation-ID",
        "User-Agent",
        "X-Akeneo-Signature-Primary",
        "Content-Length",
        "a b",
    ] {
        check(&|new| new["config"]["headers"] = json!({ name: "x" }), "config.headers");
    }
    check(
        &|new| new["config"]["headers"] = json!({"a": "", "b": "", "c": "", "d": "", "e": "", "f": ""}),
        "config.headers",
    );
    check(&|new| new["config"]["headers"] = json!({"a": "x\ny"}), "config.headers");
}

#[test]
fn at_most_twenty_that_are_not_deleted() {
    let world = World::new();
    let path = format!("{}/subscriptions", world.subscriber());
    let ids: Vec<Value> = (0..20).map(|_| world.post(&path, &new_subscription())["id"].clone()).collect();
    world.call("POST", &path, Some(&new_subscription())).messages(422);
    world.call("DELETE", &format!("{path}/{}", ids[0].as_str().unwrap()), None).nothing(204);
    world.post(&path, &new_subscription());
}
