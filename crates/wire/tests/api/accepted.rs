//! Accepted bodies and their rendered form, verbatim.

use wire::api::{Rules, subscriber, subscription};

use crate::platform::{HTTPS, KAFKA, PUBSUB, SUBJECT, json, kafka_with_tls, pairs, with_rules};
use crate::platform::{subscriber as make_subscriber, subscription as make_subscription};

#[track_caller]
fn check_subscriber(body: &str, expect: &str) {
    let expect = format!(
        r#"{{"id":"0190c5a0-0000-7000-8000-000000000001",{expect},"created_at":"2026-11-02T08:00:00.500000Z","updated_at":"2026-11-02T08:00:00.500000Z"}}"#
    );
    assert_eq!(subscriber::render(&make_subscriber(body), SUBJECT), expect);
}

#[track_caller]
fn check_subscription(body: &str, expect: &str) {
    let expect = format!(
        r#"{{"id":"0190c5a0-0000-7000-8000-000000000002","subscriber_id":"0190c5a0-0000-7000-8000-000000000001","source":"pim","subject":"https://my.pim.example",{expect}"#
    );
    assert_eq!(subscription::render(&make_subscription(body), SUBJECT), expect);
}

const END: &str = r#""options":{"hold":false,"ordering":"none","respect_retry_after":false,"cloudevents_content_type":false},"status":"active","created_at":"2026-11-02T08:00:00.500000Z","updated_at":"2026-11-02T08:00:00.500000Z""#;

#[test]
fn subscribers() {
    check_subscriber(
        r#"{"name":"n","contact":{"technical_email":"team@example.com"}}"#,
        r#""name":"n","subject":"https://my.pim.example","status":"active","contact":{"technical_email":"team@example.com","notification_channels":["email"],"notification_webhook_url":null,"notify_failing":false}"#,
    );
    check_subscriber(
        r#"{"subject":"HTTPS://My.PIM.example:443/","name":"Ünïcode \" name","contact":{"technical_email":"team@example.com","notification_channels":["webhook","email"],"notification_webhook_url":"https://example.com/hook?x=1","notification_webhook_secret":"0123456789abcdef"}}"#,
        r#""name":"Ünïcode \" name","subject":"https://my.pim.example","status":"active","contact":{"technical_email":"team@example.com","notification_channels":["email","webhook"],"notification_webhook_url":"https://example.com/hook?x=1","notify_failing":false}"#,
    );
    check_subscriber(
        r#"{"name":"n","contact":{"technical_email":"team@example.com","notification_channels":[],"notification_webhook_url":null,"notification_webhook_secret":null}}"#,
        r#""name":"n","subject":"https://my.pim.example","status":"active","contact":{"technical_email":"team@example.com","notification_channels":["email"],"notification_webhook_url":null,"notify_failing":false}"#,
    );
}

#[test]
fn an_https_subscription() {
    check_subscription(
        HTTPS,
        &format!(
            r#""type":"https","events":["com.akeneo.pim.v1.product.updated"],"config":{{"url":"https://example.com/in","secret":{{"primary":"***redacted***","secondary":"***redacted***"}},"headers":{{"X-Key":"***redacted***","X-Empty":"***redacted***"}}}},"filter":null,"send_product_identifier":false,{END}}}"#
        ),
    );
    check_subscription(
        r#"{"source":"pim","subject":"https://my.pim.example/","type":"https","events":["com.akeneo.pim.v1.product.updated","com.akeneo.pim.v1.product.updated.delta"],"filter":"attribute=\"name\"","send_product_identifier":true,"config":{"url":"https://bücher.example:8443?a=%20b","secret":{"primary":"s","secondary":""},"headers":{}},"options":null}"#,
        &format!(
            r#""type":"https","events":["com.akeneo.pim.v1.product.updated","com.akeneo.pim.v1.product.updated.delta"],"config":{{"url":"https://xn--bcher-kva.example:8443?a=%20b","secret":{{"primary":"***redacted***","secondary":""}}}},"filter":"attribute=\"name\"","send_product_identifier":true,{END}}}"#
        ),
    );
}

#[test]
fn options_that_are_on() {
    let body = HTTPS.replacen(
        '{',
        r#"{"options":{"hold":true,"ordering":"per_entity","respect_retry_after":true,"cloudevents_content_type":true},"#,
        1,
    );
    let answer = subscription::render(&make_subscription(&body), SUBJECT);
    let expect =
        r#""options":{"hold":true,"ordering":"per_entity","respect_retry_after":true,"cloudevents_content_type":true}"#;
    assert!(answer.contains(expect), "{answer}");
}

#[test]
fn a_pubsub_subscription() {
    check_subscription(
        PUBSUB,
        &format!(
            r#""type":"pubsub","events":["com.akeneo.pim.v1.product.updated"],"config":{{"project_id":"my-project","topic_id":"my-topic"}},"filter":null,"send_product_identifier":false,{END}}}"#
        ),
    );
}

#[test]
fn a_kafka_subscription() {
    check_subscription(
        KAFKA,
        &format!(
            r#""type":"kafka","events":["com.akeneo.pim.v1.product.updated"],"config":{{"broker":"b1.example.com:9092,b2.example.com:9092","topic":"products","sasl_auth":{{"mechanism":"scram","scram_variant":"sha-512","username":"u","password":"***redacted***"}}}},"filter":null,"send_product_identifier":false,{END}}}"#
        ),
    );
}

#[test]
fn kafka_with_certificates_of_several_kinds() {
    for pair in pairs() {
        let chain = format!("Bag Attributes: none\n{0}{0}", pair.certificate);
        let body = kafka_with_tls("b.example.com", &chain, &chain.replace('\n', "\r\n"), &pair.key);
        let answer = json(&subscription::render(&make_subscription(&body), SUBJECT));
        let tls = answer.get("config").and_then(|config| config.get("tls")).unwrap();
        assert_eq!(tls.get("server_name").unwrap().as_str(), Some("b.example.com"));
        assert_eq!(tls.get("ca_pem").unwrap().as_str(), Some(chain.as_str()));
        assert_eq!(tls.get("client_key_pem").unwrap().as_str(), Some("***redacted***"));
    }
}

#[test]
fn blank_filters_read_back_as_null() {
    for filter in ["null", r#""""#, r#"" \t ""#] {
        let body = HTTPS.replacen('{', &format!(r#"{{"filter":{filter},"#), 1);
        assert!(subscription::render(&make_subscription(&body), SUBJECT).contains(r#""filter":null"#), "{filter}");
    }
}

#[test]
fn a_filter_that_can_never_match_is_warned_about() {
    let body = HTTPS.replacen('{', r#"{"filter":"user=\"a\" and locale=\"fr_FR\"","#, 1);
    let answer = json(&subscription::render(&make_subscription(&body), SUBJECT));
    let warnings = answer.get("warnings").unwrap().as_array().unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].as_str().unwrap().contains("product.updated.delta"));
    let body = body.replace("product.updated\"", "product-model.updated.delta\"");
    assert_eq!(json(&subscription::render(&make_subscription(&body), SUBJECT)).get("warnings"), None);
}

#[test]
fn development_settings_allow_http_and_own_networks() {
    let addresses = domain::address::AddressPolicy::allowing(vec!["127.0.0.0/8".parse().unwrap()]);
    let body = HTTPS.replace("https://example.com/in", "http://127.0.0.1:8080/in");
    let parsed = with_rules(|rules| {
        subscription::parse_create(&json(&body), &Rules { addresses: &addresses, allow_http: true, ..*rules })
    });
    assert_eq!(parsed.unwrap().destination.to_string(), "http://127.0.0.1:8080/in");
}

#[test]
fn lists_are_bare_arrays() {
    let one = make_subscription(PUBSUB);
    let single = subscription::render(&one, SUBJECT);
    assert_eq!(subscription::render_list([&one, &one], SUBJECT), format!("[{single},{single}]"));
    assert_eq!(subscriber::render_list([], SUBJECT), "[]");
}
