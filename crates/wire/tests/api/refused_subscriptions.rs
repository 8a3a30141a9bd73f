//! Rejected bodies of `POST …/subscriptions`, for faults common to all types.

use domain::destination::DestinationType;
use wire::api::{Rules, subscription};

use crate::platform::{check_faults, check_subscription, json, with_rules};

const CONFIG: &str = r#""type":"https","config":{"url":"https://example.com","secret":{"primary":"s"}}"#;
const EVENTS: &str = r#""events":["com.akeneo.pim.v1.product.updated"]"#;

#[track_caller]
fn check(members: &str, expect: &[(&str, &str, &str)]) {
    check_subscription(&format!("{{{CONFIG},{EVENTS},{members}}}"), expect);
}

#[track_caller]
fn check_events(events: &str, expect: &[(&str, &str, &str)]) {
    check_subscription(&format!(r#"{{{CONFIG},"events":{events}}}"#), expect);
}

#[test]
fn bodies() {
    check_subscription("7", &[("", "wrong_type", "an object, not a number")]);
    check_subscription("{}", &[("events", "required", ""), ("type", "required", ""), ("config", "required", "")]);
    check_subscription(
        r#"{"events":null,"type":null,"config":null}"#,
        &[("events", "required", ""), ("type", "required", ""), ("config", "required", "")],
    );
    check(
        r#""id":1,"subscriber_id":1,"status":1,"created_at":1,"updated_at":1,"warnings":[]"#,
        &[
            ("id", "read_only", ""),
            ("subscriber_id", "read_only", ""),
            ("status", "read_only", ""),
            ("created_at", "read_only", ""),
            ("updated_at", "read_only", ""),
            ("warnings", "read_only", ""),
        ],
    );
    check(r#""name":"n""#, &[("name", "unknown_field", "")]);
    check(r#""filters":"""#, &[("filters", "unknown_field", "did you mean `filter`?")]);
    check(r#""Filter":"""#, &[("Filter", "unknown_field", "did you mean `filter`?")]);
}

#[test]
fn source_and_subject() {
    check(r#""source":"dam""#, &[("source", "invalid_value", "must be `pim`, not `dam`")]);
    check(r#""source":[]"#, &[("source", "wrong_type", "")]);
    check(r#""subject":"https://other.example""#, &[("subject", "subject_mismatch", "https://my.pim.example")]);
    check(r#""subject":"http://my.pim.example""#, &[("subject", "subject_mismatch", "")]);
    check(r#""subject":"https://my.pim.example/base""#, &[("subject", "subject_mismatch", "")]);
    check(r#""subject":"""#, &[("subject", "subject_mismatch", "")]);
}

#[test]
fn events() {
    check_events("[]", &[("events", "too_short", "at least one")]);
    check_events("{}", &[("events", "wrong_type", "an array, not an object")]);
    check_events(r#""com.akeneo.pim.v1.product.updated""#, &[("events", "wrong_type", "an array, not a string")]);
    check_events("[null]", &[("events[0]", "wrong_type", "a string, not null")]);
    check_events(
        r#"["com.akeneo.pim.v1.product.updated","com.akeneo.pim.v1.product.updatet"]"#,
        &[("events[1]", "unknown_event_type", "did you mean `com.akeneo.pim.v1.product.updated`?")],
    );
    check_events(r#"[""]"#, &[("events[0]", "unknown_event_type", "")]);
    check_events(
        r#"["com.akeneo.pim.v1.product.created","com.akeneo.pim.v1.product.deleted","com.akeneo.pim.v1.product.created"]"#,
        &[("events[2]", "duplicate_value", "twice")],
    );
    check_events(
        r#"["foo",7,"bar"]"#,
        &[
            ("events[0]", "unknown_event_type", "`foo`"),
            ("events[1]", "wrong_type", ""),
            ("events[2]", "unknown_event_type", "`bar`"),
        ],
    );
}

#[test]
fn filters() {
    check(r#""filter":7"#, &[("filter", "wrong_type", "a string")]);
    let body = format!(r#"{{{CONFIG},{EVENTS},"filter":"user=system"}}"#);
    let faults = with_rules(|rules| subscription::parse_create(&json(&body), rules)).unwrap_err();
    let detail = faults[0].detail.as_ref().unwrap();
    assert_eq!((faults[0].code, faults[0].field.as_deref(), detail.column), ("invalid_filter", Some("filter"), 6));
    assert!(!detail.found.is_empty() && !detail.expected.is_empty() && !detail.hint.is_empty());
    check(r#""filter":"user in []""#, &[("filter", "invalid_filter", "")]);
    check(r#""filter":"user_type=\"robot\"""#, &[("filter", "invalid_filter", "")]);
    let long = format!(r#""filter":"{}user=\"a\"""#, " ".repeat(500));
    check(&long, &[("filter", "invalid_filter", "")]);
}

#[test]
fn switches() {
    check(r#""send_product_identifier":"true""#, &[("send_product_identifier", "wrong_type", "true or false")]);
    check(r#""options":[]"#, &[("options", "wrong_type", "an object")]);
    check(r#""options":{"hold":1}"#, &[("options.hold", "wrong_type", "true or false, not a number")]);
    check(r#""options":{"ordering":"strict"}"#, &[("options.ordering", "invalid_value", "`none` or `per_entity`")]);
    check(r#""options":{"ordering":true}"#, &[("options.ordering", "wrong_type", "")]);
    check(r#""options":{"respect_retry_after":"yes"}"#, &[("options.respect_retry_after", "wrong_type", "")]);
    check(r#""options":{"cloudevents_content_type":0}"#, &[("options.cloudevents_content_type", "wrong_type", "")]);
    check(r#""options":{"holt":true}"#, &[("options.holt", "unknown_field", "did you mean `hold`?")]);
}

#[test]
fn types() {
    let with = |type_name: &str| format!(r#"{{{EVENTS},"type":{type_name},"config":{{"x":1}}}}"#);
    check_subscription(
        &with(r#""http""#),
        &[("type", "unknown_destination_type", "`https`, `pubsub` or `kafka`, not `http`")],
    );
    check_subscription(&with("7"), &[("type", "wrong_type", "")]);
    check_subscription(&with("null"), &[("type", "required", "")]);
    let body = json(crate::platform::PUBSUB);
    let result = with_rules(|rules| {
        subscription::parse_create(&body, &Rules { destination_types: &[DestinationType::Https], ..*rules })
    });
    check_faults("pubsub", result, &[("type", "destination_type_unavailable", "built without it (it has https)")]);
}

#[test]
fn all_faults_at_once() {
    check_subscription(
        r#"{"id":"x","source":"y","events":["foo"],"filter":"bar","type":"https","config":{"url":"http://h","secret":{},"headers":{"Host":"x","X-A":1},"foo":1},"options":{"x":1}}"#,
        &[
            ("id", "read_only", ""),
            ("source", "invalid_value", ""),
            ("events[0]", "unknown_event_type", ""),
            ("filter", "invalid_filter", ""),
            ("config.url", "https_required", ""),
            ("config.secret.primary", "required", ""),
            ("config.headers.Host", "reserved_header", ""),
            ("config.headers.X-A", "wrong_type", ""),
            ("config.foo", "unknown_field", ""),
            ("options.x", "unknown_field", ""),
        ],
    );
}

/// A body of 256 KiB full of faults gets a short response.
#[test]
fn the_number_of_listed_faults_is_limited() {
    let types: Vec<String> = (0..20_000).map(|number| format!(r#""type{number}""#)).collect();
    let fields: Vec<String> = (0..20_000).map(|number| format!(r#""field{number}":0"#)).collect();
    let headers: Vec<String> = (0..20_000).map(|number| format!(r#""X-{number}":null"#)).collect();
    let huge = [
        format!(r#"{{{CONFIG},"events":[{}]}}"#, types.join(",")),
        format!(r#"{{{CONFIG},{EVENTS},{}}}"#, fields.join(",")),
    ];
    for body in huge {
        let faults = with_rules(|rules| subscription::parse_create(&json(&body), rules)).unwrap_err();
        assert_eq!(faults.len(), 101);
        assert_eq!(
            (faults[100].code, faults[100].message.as_str()),
            ("more_faults", "19900 further faults are not listed")
        );
    }
    let current = crate::platform::subscription(crate::platform::HTTPS);
    let patch = json(&format!(r#"{{"config":{{"headers":{{{}}},{}}}}}"#, headers.join(","), fields.join(",")));
    let faults = with_rules(|rules| subscription::apply_patch(&current, &patch, rules)).unwrap_err();
    assert_eq!(faults.len(), 101);
    assert!(faults.iter().any(|fault| fault.code == "too_many_headers"));
}
