//! Contract page 1, "Logs", and page 5.

use serde_json::{Value, json};

use crate::client::{World, is_id, is_timestamp, new_subscription, text};

#[test]
fn entries_are_listed_in_items() {
    let world = World::new();
    let path = world.subscription(&new_subscription());
    world.call("POST", &format!("{path}/suspend"), None).json(200);
    world.call("POST", &format!("{path}/resume"), None).json(200);
    world.call("POST", "/subscribers", Some(&json!({"contact": {"technical_email": "dev@example.com"}}))).messages(422);

    let page = world.get("/logs");
    let operations = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|entry| text(entry, "operation").to_owned()).collect()
    };
    let newest_first = [
        "request_refused",
        "subscription_resumed_by_the_user",
        "subscription_suspended_by_the_user",
        "subscription_created",
        "subscriber_created",
    ];
    assert_eq!(operations(&page), newest_first);
    assert_eq!((&page["page"], &page["limit"], &page["next"]), (&json!(1), &json!(50), &Value::Null));
    for entry in page["items"].as_array().unwrap() {
        is_id(&entry["log_id"]);
        is_timestamp(&entry["timestamp"]);
        assert!(["action", "error"].contains(&text(entry, "log_type")));
        assert!(entry["subscriber_id"].is_string() && entry["subscription_id"].is_string(), "{entry}");
    }
    let refused = &page["items"][0];
    assert_eq!((text(refused, "error_type"), &refused["error_code"]), ("validation_error", &json!(422)));
    assert_eq!(
        (text(&refused["request"], "method"), text(&refused["request"], "url")),
        ("POST", "/api/v1/subscribers")
    );
    assert!(text(refused, "documentation_url").ends_with(text(refused, "error_reason")));
    assert_eq!(text(&page["items"][4], "subscription_id"), "", "an empty text where there is none");

    let mut oldest_first = newest_first.to_vec();
    oldest_first.reverse();
    assert_eq!(operations(&world.get("/logs?order=asc")), oldest_first);
    assert_eq!(operations(&world.get("/logs?log_type=error")), newest_first[..1]);
    assert_eq!(
        operations(&world.get("/logs?log_type=action&operation=subscription_created")),
        ["subscription_created"]
    );
    let sid = path.rsplit('/').next().unwrap();
    assert_eq!(operations(&world.get(&format!("/logs?subscription_id={sid}"))), newest_first[1..4]);
    let id = path.split('/').nth(2).unwrap();
    assert_eq!(operations(&world.get(&format!("/logs?subscriber_id={id}"))), newest_first[1..]);
    assert_eq!(
        operations(&world.get("/logs?start_time=2020-01-01T00:00:00Z&end_time=2020-01-02T00:00:00%2B01:00")),
        [""; 0]
    );

    assert_eq!(operations(&world.get("/logs?limit=2&page=2")), newest_first[2..4]);
    let mut read = Vec::new();
    let mut page = world.get("/logs?limit=2");
    loop {
        read.extend(operations(&page));
        let Some(next) = page["next"].as_str() else { break };
        page = world.get(&format!("/logs?limit=2&cursor={next}"));
    }
    assert_eq!(read, newest_first);
    for wrong in [
        "limit=0",
        "limit=101",
        "page=0",
        "order=up",
        "log_type=all",
        "start_time=yesterday",
        "surprise=1",
        "limit=1&limit=2",
    ] {
        world.call("GET", &format!("/logs?{wrong}"), None).messages(422);
    }
    assert_eq!(
        world.call_as(("other", "other-token"), "GET", "/logs", None).json(200)["items"],
        json!([]),
        "only one's own"
    );
}
