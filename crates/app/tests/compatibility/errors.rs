//! Contract page 1, "Errors".

use serde_json::{Value, json};

use crate::client::{Answer, World, new_subscriber};
use crate::platform::PIM_URL;

fn sent(world: &World, method: &str, path: &str, media_type: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![("X-PIM-URL", PIM_URL), ("X-PIM-TOKEN", "token"), ("X-PIM-CLIENT-ID", "app")];
    headers.extend(media_type.map(|media_type| ("Content-Type", media_type)));
    world.raw(method, path, &headers, body)
}

#[test]
fn every_error_has_messages_codes_and_the_status_of_the_contract() {
    let world = World::new();
    let json = Some("application/json");
    let check = |answer: &Answer, status: u16| {
        answer.messages(status);
        for error in answer.json(status)["errors"].as_array().unwrap() {
            assert!(error["code"].is_string(), "{error}");
        }
    };
    let path = "/api/v1/subscribers";
    for malformed in ["{", "{\"name\":\"a\",\"name\":\"b\"}", "{\"name\":\"\\ud800\"}", "nonsense"] {
        check(&sent(&world, "POST", path, json, malformed), 400);
    }
    check(&sent(&world, "GET", "/api/v1/subscribers/no-uuid", None, ""), 404);
    check(&sent(&world, "GET", "/api/v1/nothing", None, ""), 404);
    let wrong_method = sent(&world, "PUT", path, None, "");
    check(&wrong_method, 405);
    assert_eq!(wrong_method.header("allow"), Some("get,head,post"));
    let body = new_subscriber().to_string();
    check(&sent(&world, "POST", path, None, &body), 415);
    check(&sent(&world, "POST", path, Some("text/plain"), &body), 415);
    check(&sent(&world, "POST", path, json, &format!("\"{}\"", "x".repeat(256 * 1024))), 413);
    check(&sent(&world, "POST", path, json, "[]"), 422);
    sent(&world, "POST", path, Some("Application/JSON; charset=utf-8"), &body).json(201);
    assert_eq!(sent(&world, "HEAD", path, None, "").status, 200);
}

#[test]
fn all_faults_of_a_request_come_in_one_answer_each_with_its_field() {
    let world = World::new();
    let contact = json!({"technical_email": "nobody", "notification_channels": ["email", "email"]});
    let body = json!({"name": "", "contact": contact, "surprise": 1});
    let answer = world.call("POST", "/subscribers", Some(&body)).json(422);
    let fields: Vec<&Value> = answer["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["name", "contact.technical_email", "contact.notification_channels[1]", "surprise"]);
}
