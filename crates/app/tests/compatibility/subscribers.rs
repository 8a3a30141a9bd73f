//! Contract page 1, "Subscribers".

use serde_json::{Value, json};

use crate::client::{World, is_id, is_timestamp, new_subscriber, text};
use crate::platform::PIM_URL;

#[test]
fn a_subscriber_from_its_beginning_to_its_end() {
    let world = World::new();
    assert_eq!(world.call("GET", "/subscribers", None).json(200), json!([]), "a bare array");
    let made = world.post("/subscribers", &new_subscriber());
    is_id(&made["id"]);
    is_timestamp(&made["created_at"]);
    is_timestamp(&made["updated_at"]);
    assert_eq!((text(&made, "name"), text(&made, "subject"), text(&made, "status")), ("My app", PIM_URL, "active"));
    assert_eq!(made["contact"]["technical_email"], "dev@example.com");
    assert_eq!(made["contact"]["notification_channels"], json!(["email"]), "the default");
    let path = format!("/subscribers/{}", text(&made, "id"));
    assert_eq!(world.get(&path), made);
    assert_eq!(world.get("/subscribers"), json!([made]));

    let renamed = world.patch(&path, &json!({"name": "Renamed"}));
    assert_eq!((text(&renamed, "name"), &renamed["contact"]), ("Renamed", &made["contact"]));
    let moved = world.patch(&path, &json!({"contact": {"technical_email": "team@example.com"}}));
    assert_eq!((text(&moved, "name"), text(&moved["contact"], "technical_email")), ("Renamed", "team@example.com"));

    world.call("DELETE", &path, None).nothing(204);
    world.call("GET", &path, None).messages(404);
    world.call("DELETE", &path, None).messages(404);
    world.call("PATCH", &path, Some(&json!({"name": "x"}))).messages(404);
    assert_eq!(world.get("/subscribers"), json!([]), "deleted ones are left out");
}

#[test]
fn notification_channels() {
    let world = World::new();
    let path = world.subscriber();
    let channels = |contact: Value| world.call("PATCH", &path, Some(&json!({"contact": contact})));
    // `webhook` requires a URL and a secret of 16 to 256 characters.
    assert_eq!(channels(json!({"notification_channels": ["webhook"]})).messages(422).len(), 2);
    let url = "https://app.example.com/notifications";
    let with = |secret: &str| {
        json!({
            "notification_channels": ["email", "webhook"],
            "notification_webhook_url": url,
            "notification_webhook_secret": secret,
        })
    };
    channels(with(&"s".repeat(15))).messages(422);
    channels(with(&"s".repeat(257))).messages(422);
    for length in [16, 256] {
        let changed = channels(with(&"s".repeat(length))).json(200);
        assert_eq!(changed["contact"]["notification_channels"], json!(["email", "webhook"]));
        assert_eq!(changed["contact"]["notification_webhook_url"], url);
        assert!(changed["contact"].get("notification_webhook_secret").is_none(), "it is never returned: {changed}");
    }
    channels(json!({"notification_webhook_url": "ftp://app.example.com/"})).messages(422);
    // A subscriber as read can be sent back: the omitted secret stays.
    let read = world.get(&path);
    assert_eq!(world.patch(&path, &read)["contact"], read["contact"]);
    // An empty list restores the default.
    assert_eq!(
        channels(json!({"notification_channels": []})).json(200)["contact"]["notification_channels"],
        json!(["email"])
    );
    channels(json!({"notification_channels": ["pigeon"]})).messages(422);
    channels(json!({"technical_email": "nobody"})).messages(422);
}

#[test]
fn at_most_twenty_that_are_not_deleted() {
    let world = World::new();
    let paths: Vec<String> = (0..20).map(|_| world.subscriber()).collect();
    world.call("POST", "/subscribers", Some(&new_subscriber())).messages(422);
    // All clients of a PIM share the limit.
    world.call_as(("other", "other-token"), "POST", "/subscribers", Some(&new_subscriber())).messages(422);
    world.call("DELETE", &paths[7], None).nothing(204);
    world.subscriber();
}
