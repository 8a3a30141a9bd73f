//! Rejected requests: status, code, field and words of each, through the real router over TCP.

use serde_json::{Value, json};

use crate::world::{KEY, World, new_subscriber, new_subscription};

/// The request body: media type and content.
enum Body {
    None,
    Json(Value),
    Raw(&'static str, String),
}

/// Status, code and field (empty = none) of the first error, and a word of its message.
type Expect = (u16, &'static str, &'static str, &'static str);

struct Table {
    world: World,
    subscriber: String,
    subscription: String,
    rows: usize,
}

impl Table {
    async fn check(&mut self, method: &str, path: &str, body: Body, (status, code, field, word): Expect) {
        self.rows += 1;
        let path = path.replace("{subscription}", &self.subscription).replace("{subscriber}", &self.subscriber);
        let call = match path.as_str() {
            "/api/v1/events" => self.world.bare(method, &path).header("authorization", &format!("Bearer {KEY}")),
            _ => self.world.call(method, &path),
        };
        let (call, shown) = match body {
            Body::None => (call, String::new()),
            Body::Json(value) => (call.json(&value), value.to_string()),
            Body::Raw(media_type, text) => (call.header("content-type", media_type).raw(text.clone()), text),
        };
        let answer = call.send().await;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let row = format!("{method} {path} {:.300} was answered {} {body}", shown, answer.status);
        let error = answer.value()["errors"][0].clone();
        let found = (answer.status.as_u16(), error["code"].as_str(), error["field"].as_str().unwrap_or(""));
        assert_eq!(found, (status, Some(code), field), "{row}");
        assert!(error["message"].as_str().unwrap().contains(word), "no {word:?} in {row}");
    }

    async fn patch(&mut self, body: Value, expect: Expect) {
        self.check("PATCH", "{subscription}", Body::Json(body), expect).await;
    }

    /// A subscription with `change` merged into it.
    async fn create(&mut self, change: Value, expect: Expect) {
        let mut body = new_subscription();
        merge(&mut body, change);
        self.check("POST", "{subscriber}/subscriptions", Body::Json(body), expect).await;
    }

    /// A subscriber with `change` merged into it.
    async fn create_subscriber(&mut self, change: Value, expect: Expect) {
        let mut body = new_subscriber();
        merge(&mut body, change);
        self.check("POST", "/api/v1/subscribers", Body::Json(body), expect).await;
    }
}

/// Fields of `change` replace those of `body`; `"-"` removes one.
fn merge(body: &mut Value, change: Value) {
    match (body, change) {
        (Value::Object(body), Value::Object(change)) => {
            for (name, change) in change {
                if change == "-" {
                    body.remove(&name);
                } else {
                    merge(body.entry(name).or_insert(Value::Null), change);
                }
            }
        }
        (body, change) => *body = change,
    }
}

async fn table() -> Table {
    let world = World::new().await;
    let subscriber = world.subscriber().await;
    let subscription = world.subscription(&subscriber).await;
    Table { world, subscriber, subscription, rows: 0 }
}

#[tokio::test]
async fn requests_as_such() {
    let mut t = table().await;
    let json = |text: &str| Body::Raw("application/json", text.to_owned());
    let subscribers = "/api/v1/subscribers";
    t.check("GET", "/api", Body::None, (404, "no_such_address", "", "/api/v1")).await;
    t.check("GET", "/api/v1/subscriber", Body::None, (404, "no_such_address", "", "/api/v1/subscriber")).await;
    t.check("GET", "/api/v1/subscribers/", Body::None, (404, "no_such_address", "", "unknown path")).await;
    t.check("DELETE", subscribers, Body::None, (405, "method_not_allowed", "", "Allow")).await;
    t.check("PUT", "{subscription}", Body::None, (405, "method_not_allowed", "", "Allow")).await;
    t.check("GET", "{subscription}/resume", Body::None, (405, "method_not_allowed", "", "Allow")).await;
    t.check("PUT", "/api/v1/events", Body::None, (405, "method_not_allowed", "", "Allow")).await;
    t.check("POST", subscribers, Body::None, (400, "malformed_json", "", "")).await;
    t.check("POST", subscribers, json("{"), (400, "malformed_json", "", "line 1")).await;
    t.check("POST", subscribers, json("{\"name\":\"a\",}"), (400, "malformed_json", "", "")).await;
    t.check("POST", subscribers, json("{\"name\":\"a\",\"name\":\"b\"}"), (400, "malformed_json", "", "duplicate key"))
        .await;
    t.check("POST", subscribers, json("{\"name\":\"\\ud800\"}"), (400, "malformed_json", "name", "surrogate")).await;
    t.check("POST", subscribers, json(&"[".repeat(200)), (400, "malformed_json", "", "")).await;
    let text = Body::Raw("text/plain", "{}".into());
    t.check("POST", subscribers, text, (415, "unsupported_media_type", "", "application/json")).await;
    let merge_patch = Body::Raw("application/merge-patch+json", "{}".into());
    t.check("POST", subscribers, merge_patch, (415, "unsupported_media_type", "", "application/json")).await;
    let form = Body::Raw("application/x-www-form-urlencoded", "a=b".into());
    t.check("PATCH", "{subscription}", form, (415, "unsupported_media_type", "", "application/json")).await;
    let large = Body::Raw("application/json", "x".repeat(256 * 1024 + 1));
    t.check("POST", subscribers, large, (413, "body_too_large", "", "256 KiB")).await;
    t.check("GET", "/api/v1/subscribers/none", Body::None, (404, "not_found", "", "subscriber")).await;
    t.check("GET", "/api/v1/subscribers/%ff", Body::None, (404, "not_found", "", "UTF-8")).await;
    t.check("GET", "/spec/%ff", Body::None, (404, "not_found", "", "UTF-8")).await;
    let unhyphenated = t.subscriber.replace('-', "");
    t.check("GET", &unhyphenated, Body::None, (404, "not_found", "", "subscriber")).await;
    let unknown = "/api/v1/subscribers/0192aabb-ccdd-7eff-8011-223344556677";
    t.check("GET", unknown, Body::None, (404, "not_found", "", "subscriber")).await;
    t.check("PATCH", unknown, json("{}"), (404, "not_found", "", "subscriber")).await;
    t.check("POST", &format!("{unknown}/subscriptions"), json("{}"), (404, "not_found", "", "subscriber")).await;
    t.check("GET", "{subscriber}/subscriptions/none", Body::None, (404, "not_found", "", "subscription")).await;
    t.check("POST", "{subscription}/suspend", json("{\"why\":1}"), (422, "unknown_field", "why", "no fields")).await;
    t.check("POST", "{subscription}/suspend", json("[]"), (422, "wrong_type", "", "no body")).await;
    t.check("POST", "{subscription}/resume", json("{"), (400, "malformed_json", "", "")).await;
    t.check("DELETE", "{subscription}", json("{\"a\":1}"), (422, "unknown_field", "a", "")).await;
    assert!(t.rows >= 29, "{}", t.rows);
}

#[tokio::test]
async fn subscribers() {
    let mut t = table().await;
    let url = "notification_webhook_url";
    t.check("POST", "/api/v1/subscribers", Body::Json(json!([])), (422, "wrong_type", "", "object")).await;
    t.create_subscriber(json!({"name": "-"}), (422, "required", "name", "required")).await;
    t.create_subscriber(json!({"name": null}), (422, "required", "name", "")).await;
    t.create_subscriber(json!({"name": ""}), (422, "too_short", "name", "")).await;
    t.create_subscriber(json!({"name": "x".repeat(256)}), (422, "too_long", "name", "255")).await;
    t.create_subscriber(json!({"name": 7}), (422, "wrong_type", "name", "string")).await;
    t.create_subscriber(json!({"nmae": "x"}), (422, "unknown_field", "nmae", "name")).await;
    t.create_subscriber(json!({"id": "x"}), (422, "read_only", "id", "")).await;
    t.create_subscriber(json!({"status": "active"}), (422, "read_only", "status", "")).await;
    t.create_subscriber(json!({"subject": "https://else.example.com"}), (422, "subject_mismatch", "subject", "")).await;
    t.create_subscriber(json!({"contact": "-"}), (422, "required", "contact", "")).await;
    let email = "contact.technical_email";
    t.create_subscriber(json!({"contact": {"technical_email": "-"}}), (422, "required", email, "")).await;
    for wrong in ["ops", "ops@localhost", "a@b.c, d@e.f", "Ops <ops@example.com>"] {
        t.create_subscriber(json!({"contact": {"technical_email": wrong}}), (422, "invalid_email", email, "")).await;
    }
    let channel = "contact.notification_channels[0]";
    let sms = json!({"contact": {"notification_channels": ["sms"]}});
    t.create_subscriber(sms, (422, "invalid_value", channel, "email")).await;
    let webhook = |fields: Value| {
        let mut contact = json!({
            "notification_channels": ["webhook"],
            "notification_webhook_url": "https://shop.example.com/notify",
            "notification_webhook_secret": "0123456789abcdef"
        });
        merge(&mut contact, fields);
        json!({"contact": contact})
    };
    let at = |name: &str| format!("contact.{name}");
    assert_eq!(at(url), "contact.notification_webhook_url");
    let url = "contact.notification_webhook_url";
    let secret = "contact.notification_webhook_secret";
    t.create_subscriber(webhook(json!({"notification_webhook_url": "-"})), (422, "required", url, "")).await;
    t.create_subscriber(webhook(json!({"notification_webhook_secret": "-"})), (422, "required", secret, "")).await;
    t.create_subscriber(webhook(json!({"notification_webhook_secret": "short"})), (422, "too_short", secret, "16"))
        .await;
    let plain = webhook(json!({"notification_webhook_url": "http://shop.example.com"}));
    t.create_subscriber(plain, (422, "https_required", url, "")).await;
    let local = webhook(json!({"notification_webhook_url": "https://127.0.0.1/"}));
    t.create_subscriber(local, (422, "destination_forbidden", url, "127.0.0.1")).await;
    let read_only = Body::Json(json!({"status": "revoked"}));
    t.check("PATCH", "{subscriber}", read_only, (422, "read_only", "status", "")).await;
    let unknown = Body::Json(json!({"contact": {"phone": "1"}}));
    t.check("PATCH", "{subscriber}", unknown, (422, "unknown_field", "contact.phone", "")).await;
    assert!(t.rows >= 24, "{}", t.rows);
}

#[tokio::test]
async fn subscriptions() {
    let mut t = table().await;
    let config = |fields: Value| json!({"config": fields});
    let url = |text: &str| json!({"config": {"url": text}});
    t.create(json!({"events": "-"}), (422, "required", "events", "")).await;
    t.create(json!({"events": []}), (422, "too_short", "events", "")).await;
    t.create(json!({"events": "x"}), (422, "wrong_type", "events", "")).await;
    t.create(json!({"events": [1]}), (422, "wrong_type", "events[0]", "")).await;
    let near = json!({"events": ["com.akeneo.pim.v1.product.update"]});
    t.create(near, (422, "unknown_event_type", "events[0]", "com.akeneo.pim.v1.product.updated")).await;
    let twice = json!({"events": ["com.akeneo.pim.v1.product.updated", "com.akeneo.pim.v1.product.updated"]});
    t.create(twice, (422, "duplicate_value", "events[1]", "")).await;
    t.create(json!({"type": "-"}), (422, "required", "type", "")).await;
    t.create(json!({"type": "smtp"}), (422, "unknown_destination_type", "type", "https")).await;
    t.create(json!({"config": "-"}), (422, "required", "config", "")).await;
    t.create(json!({"source": "erp"}), (422, "invalid_value", "source", "pim")).await;
    t.create(json!({"subject": "https://else.example.com"}), (422, "subject_mismatch", "subject", "")).await;
    t.create(json!({"filter": "user=system"}), (422, "invalid_filter", "filter", "quote")).await;
    t.create(json!({"filter": 3}), (422, "wrong_type", "filter", "")).await;
    t.create(json!({"send_product_identifier": "yes"}), (422, "wrong_type", "send_product_identifier", "")).await;
    t.create(json!({"filters": ""}), (422, "unknown_field", "filters", "filter")).await;
    t.create(config(json!({"url": "-"})), (422, "required", "config.url", "")).await;
    t.create(url("http://shop.example.com"), (422, "https_required", "config.url", "")).await;
    t.create(url("https://"), (422, "invalid_url", "config.url", "")).await;
    t.create(url("https:\\\\shop.example.com"), (422, "invalid_url", "config.url", "")).await;
    t.create(url("https://user:pw@shop.example.com"), (422, "invalid_url", "config.url", "")).await;
    t.create(url("https://shop.example.com/#top"), (422, "invalid_url", "config.url", "")).await;
    let long = format!("https://shop.example.com/{}", "x".repeat(2048));
    t.create(url(&long), (422, "too_long", "config.url", "")).await;
    for forbidden in
        ["https://127.0.0.1", "https://localhost/", "https://[::1]/", "https://0x7f.1/", "https://169.254.169.254"]
    {
        t.create(url(forbidden), (422, "destination_forbidden", "config.url", "")).await;
    }
    t.create(config(json!({"secret": "-"})), (422, "required", "config.secret", "")).await;
    let primary = "config.secret.primary";
    t.create(config(json!({"secret": {"primary": ""}})), (422, "too_short", primary, "")).await;
    t.create(config(json!({"secret": {"primary": "***redacted***"}})), (422, "mask_not_allowed", primary, "")).await;
    let headers = |headers: Value| json!({"config": {"headers": headers}});
    let six = json!({"a": "1", "b": "1", "c": "1", "d": "1", "e": "1", "f": "1"});
    t.create(headers(six), (422, "too_many_headers", "config.headers", "5")).await;
    for reserved in ["Host", "content-type", "webhook-id", "X-Akeneo-Signature-Primary", "Transfer-Encoding"] {
        let field: &'static str = format!("config.headers.{reserved}").leak();
        t.create(headers(json!({reserved: "1"})), (422, "reserved_header", field, "")).await;
    }
    t.create(headers(json!({"a b": "1"})), (422, "invalid_header_name", "config.headers.a b", "")).await;
    t.create(headers(json!({"a": " 1"})), (422, "invalid_header_value", "config.headers.a", "")).await;
    t.create(headers(json!({"a": "1", "A": "1"})), (422, "duplicate_header", "config.headers.a", "")).await;
    let pubsub = |project: &str, topic: &str| {
        json!({"type": "pubsub", "config": {
            "url": "-", "secret": "-", "project_id": project, "topic_id": topic,
        }})
    };
    t.create(pubsub("X", "events"), (422, "invalid_project_id", "config.project_id", "")).await;
    t.create(pubsub("my-project", "goog-x"), (422, "invalid_topic_id", "config.topic_id", "")).await;
    let kafka = |fields: Value| {
        let mut body = json!({"type": "kafka", "config": {
            "url": "-", "secret": "-", "broker": "kafka.example.com:9092", "topic": "events",
            "sasl_auth": {"mechanism": "plain", "username": "u", "password": "p"}
        }});
        merge(&mut body["config"], fields);
        // A field removed by the merge must stay removed in the whole body.
        body["config"]["url"] = json!("-");
        body["config"]["secret"] = json!("-");
        body
    };
    t.create(kafka(json!({"broker": "kafka.example.com"})), (422, "invalid_broker", "config.broker", "")).await;
    t.create(kafka(json!({"topic": "a b"})), (422, "invalid_topic", "config.topic", "")).await;
    let scram = kafka(json!({"sasl_auth": {"mechanism": "scram"}}));
    t.create(scram, (422, "required", "config.sasl_auth.scram_variant", "")).await;
    let pem = json!({"tls": {
        "server_name": "kafka.example.com", "ca_pem": "x", "client_cert_pem": "x", "client_key_pem": "x",
    }});
    t.create(kafka(pem), (422, "invalid_certificate", "config.tls.ca_pem", "")).await;
    t.patch(json!({"status": "active", "id": "x"}), (422, "read_only", "id", "")).await;
    t.patch(json!({"events": null}), (422, "required", "events", "")).await;
    t.patch(json!({"type": "pubsub"}), (422, "required", "config", "")).await;
    t.patch(
        json!({"config": {"headers": {"X-New": "***redacted***"}}}),
        (422, "mask_not_allowed", "config.headers.X-New", ""),
    )
    .await;
    t.patch(json!({"config": {"secret": {"primary": null}}}), (422, "required", primary, "")).await;
    t.check("POST", "{subscription}/resume", Body::None, (409, "not_suspended", "", "active")).await;
    assert!(t.rows >= 50, "{}", t.rows);
}

#[tokio::test]
async fn queries_of_the_log() {
    let mut t = table().await;
    for (query, code, field) in [
        ("limit=0", "invalid_parameter", "limit"),
        ("limit=101", "invalid_parameter", "limit"),
        ("limit=ten", "invalid_parameter", "limit"),
        ("page=0", "invalid_parameter", "page"),
        ("order=up", "invalid_parameter", "order"),
        ("log_type=all", "invalid_parameter", "log_type"),
        ("start_time=yesterday", "invalid_parameter", "start_time"),
        ("subscriber_id=x", "invalid_parameter", "subscriber_id"),
        ("cursor=x", "invalid_parameter", "cursor"),
        ("limits=1", "unknown_parameter", "limits"),
        ("limit=1&limit=1", "repeated_parameter", "limit"),
    ] {
        t.check("GET", &format!("/api/v1/logs?{query}"), Body::None, (422, code, field, "")).await;
    }
}

#[tokio::test]
async fn all_faults_are_reported_at_once() {
    let t = table().await;
    let body = json!({"name": "", "contact": {"technical_email": "x"}, "surprise": 1});
    let answer = t.world.call("POST", "/api/v1/subscribers").json(&body).send().await.expect(422);
    let fields: Vec<&Value> = answer["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["name", "contact.technical_email", "surprise"]);
}
