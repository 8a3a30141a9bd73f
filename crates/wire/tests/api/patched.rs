//! PATCH: changed fields, unchanged fields, rejections.

use domain::destination::DestinationType;
use domain::outcome::SuspensionReason;
use domain::subscription::{Subscription, SubscriptionStatus};
use wire::api::{Rules, subscriber, subscription};
use wire::fault::Fault;

use crate::platform::{
    HTTPS, KAFKA, PUBSUB, SUBJECT, SUBSCRIBER_ID, SUBSCRIPTION_ID, check_faults, json, kafka_with_tls, pairs,
    with_rules,
};
use crate::platform::{subscriber as make_subscriber, subscription as make_subscription};

fn patch(current: &Subscription, body: &str) -> Result<Subscription, Vec<Fault>> {
    with_rules(|rules| subscription::apply_patch(current, &json(body), rules))
}

#[track_caller]
fn check_refused(current: &str, body: &str, expect: &[(&str, &str, &str)]) {
    check_faults(body, patch(&make_subscription(current), body), expect);
}

/// Checks that patching gives the same result as creating from `expect`.
#[track_caller]
fn check(current: &str, body: &str, expect: &str) {
    let patched = patch(&make_subscription(current), body).unwrap_or_else(|faults| panic!("{body}: {faults:?}"));
    let mut expected = make_subscription(expect);
    expected.past_selections = patched.past_selections.clone();
    assert_eq!(patched, expected, "{body}");
}

fn https(config: &str) -> String {
    format!(r#"{{"type":"https","events":["com.akeneo.pim.v1.product.updated"],"config":{config}}}"#)
}

#[test]
fn omitted_members_stay() {
    check(HTTPS, "{}", HTTPS);
    check(HTTPS, r#"{"config":{}}"#, HTTPS);
    check(HTTPS, r#"{"type":"https","config":{"secret":{}},"options":{}}"#, HTTPS);
    check(
        HTTPS,
        r#"{"config":{"url":"https://new.example/x"}}"#,
        &HTTPS.replace("https://example.com/in", "https://new.example/x"),
    );
    check(HTTPS, r#"{"config":{"secret":{"secondary":"three"}}}"#, &HTTPS.replace(r#""two""#, r#""three""#));
    check(HTTPS, r#"{"config":{"secret":{"secondary":""}}}"#, &HTTPS.replace(r#""two""#, r#""""#));
    check(HTTPS, r#"{"config":{"secret":{"secondary":null}}}"#, &HTTPS.replace(r#""two""#, r#""""#));
    check(
        HTTPS,
        r#"{"events":["com.akeneo.pim.v1.product.deleted"]}"#,
        &HTTPS.replace("product.updated", "product.deleted"),
    );
    let filtered = HTTPS.replacen('{', r#"{"filter":"user=\"a\"","#, 1);
    check(HTTPS, r#"{"filter":"user=\"a\""}"#, &filtered);
    check(&filtered, r#"{"filter":null}"#, HTTPS);
    check(&filtered, r#"{"filter":" "}"#, HTTPS);
    let identified = HTTPS.replacen('{', r#"{"send_product_identifier":true,"#, 1);
    check(HTTPS, r#"{"send_product_identifier":true}"#, &identified);
    check(&identified, r#"{"send_product_identifier":null}"#, HTTPS);
    let held = HTTPS.replacen('{', r#"{"options":{"hold":true,"ordering":"per_entity"},"#, 1);
    check(&HTTPS.replacen('{', r#"{"options":{"hold":true},"#, 1), r#"{"options":{"ordering":"per_entity"}}"#, &held);
    check(&held, r#"{"options":{"hold":null,"ordering":null}}"#, HTTPS);
    check(&held, r#"{"options":null}"#, HTTPS);
}

#[test]
fn headers_are_merged_by_name_whatever_its_case() {
    let with = |headers: &str| {
        https(&format!(
            r#"{{"url":"https://example.com/in","secret":{{"primary":"one","secondary":"two"}},"headers":{headers}}}"#
        ))
    };
    let both = with(r#"{"X-Key":"k1","X-Empty":""}"#);
    check(&both, r#"{"config":{"headers":{"x-key":"k2"}}}"#, &with(r#"{"x-key":"k2","X-Empty":""}"#));
    check(&both, r#"{"config":{"headers":{"X-KEY":"***redacted***"}}}"#, &with(r#"{"X-KEY":"k1","X-Empty":""}"#));
    check(&both, r#"{"config":{"headers":{"x-empty":"***redacted***"}}}"#, &with(r#"{"X-Key":"k1","x-empty":""}"#));
    check(&both, r#"{"config":{"headers":{"x-key":null,"X-Other":null}}}"#, &with(r#"{"X-Empty":""}"#));
    check(&both, r#"{"config":{"headers":null}}"#, &with("{}"));
    check(&both, r#"{"config":{"headers":{"X-New":"n"}}}"#, &with(r#"{"X-Key":"k1","X-Empty":"","X-New":"n"}"#));
    check_refused(
        &both,
        r#"{"config":{"headers":{"X-New":"***redacted***"}}}"#,
        &[("config.headers.X-New", "mask_not_allowed", "")],
    );
    check_refused(
        &both,
        r#"{"config":{"headers":{"X-A":"1","x-a":"2"}}}"#,
        &[("config.headers.x-a", "duplicate_header", "")],
    );
    check_refused(
        &both,
        r#"{"config":{"headers":{"A":"","B":"","C":"","D":""}}}"#,
        &[("config.headers", "too_many_headers", "6 headers")],
    );
    check_refused(&both, r#"{"config":{"headers":{"Host":"h"}}}"#, &[("config.headers.Host", "reserved_header", "")]);
}

#[test]
fn masks_keep_stored_secrets_only() {
    check(HTTPS, r#"{"config":{"secret":{"primary":"***redacted***","secondary":"***redacted***"}}}"#, HTTPS);
    check_refused(
        PUBSUB,
        r#"{"type":"https","config":{"url":"https://example.com","secret":{"primary":"***redacted***"}}}"#,
        &[("config.secret.primary", "mask_not_allowed", "")],
    );
    check_refused(
        &HTTPS.replace(r#""two""#, r#""""#),
        r#"{"config":{"secret":{"secondary":"***redacted***"}}}"#,
        &[("config.secret.secondary", "mask_not_allowed", "")],
    );
    check_refused(
        KAFKA,
        r#"{"config":{"tls":{"server_name":"b","client_key_pem":"***redacted***"}}}"#,
        &[
            ("config.tls.ca_pem", "required", ""),
            ("config.tls.client_cert_pem", "required", ""),
            ("config.tls.client_key_pem", "mask_not_allowed", ""),
        ],
    );
}

#[test]
fn required_fields_cannot_be_removed() {
    for (body, field) in [
        (r#"{"events":null}"#, "events"),
        (r#"{"type":null}"#, "type"),
        (r#"{"config":null}"#, "config"),
        (r#"{"config":{"url":null}}"#, "config.url"),
        (r#"{"config":{"secret":null}}"#, "config.secret"),
        (r#"{"config":{"secret":{"primary":null}}}"#, "config.secret.primary"),
    ] {
        let mut expect = vec![(field, "required", "cannot be null")];
        if field == "type" {
            expect.push(("config", "required", ""));
        }
        check_refused(HTTPS, body, &expect);
    }
    check_refused(
        HTTPS,
        r#"{"foo":null,"config":{"bar":null},"options":{"baz":null}}"#,
        &[("options.baz", "unknown_field", ""), ("config.bar", "unknown_field", ""), ("foo", "unknown_field", "")],
    );
}

#[test]
fn read_only_fields_may_come_back_as_they_are() {
    let same = format!(
        r#"{{"id":"{SUBSCRIPTION_ID}","subscriber_id":"{SUBSCRIBER_ID}","status":"active","source":"pim","subject":"HTTPS://MY.PIM.EXAMPLE/","created_at":"2026-11-02T09:00:00.5+01:00","updated_at":"whatever","warnings":["w"]}}"#
    );
    check(HTTPS, &same, HTTPS);
    for (member, field) in [
        (r#""id":"0190c5a0-0000-7000-8000-000000000009""#, "id"),
        (r#""id":null"#, "id"),
        (r#""subscriber_id":"0190c5a0-0000-7000-8000-000000000009""#, "subscriber_id"),
        (r#""status":"suspended""#, "status"),
        (r#""source":"dam""#, "source"),
        (r#""subject":"https://other.example""#, "subject"),
        (r#""created_at":"2026-11-02T08:00:00Z""#, "created_at"),
        (r#""created_at":0"#, "created_at"),
    ] {
        check_refused(HTTPS, &format!("{{{member}}}"), &[(field, "read_only", "cannot be changed")]);
    }
    let mut suspended = make_subscription(HTTPS);
    suspended.status = SubscriptionStatus::Suspended(SuspensionReason::SuccessRate);
    assert!(patch(&suspended, r#"{"status":"suspended"}"#).is_ok());
}

#[test]
fn a_new_type_needs_a_complete_config() {
    check(HTTPS, PUBSUB, PUBSUB);
    check(PUBSUB, KAFKA, KAFKA);
    check_refused(HTTPS, r#"{"type":"pubsub"}"#, &[("config", "required", "")]);
    check_refused(
        HTTPS,
        r#"{"type":"pubsub","config":{"topic_id":"topic","url":"https://example.com"}}"#,
        &[("config.project_id", "required", ""), ("config.url", "unknown_field", "")],
    );
    check_refused(HTTPS, r#"{"type":"ftp","config":{}}"#, &[("type", "unknown_destination_type", "")]);
    check_refused(HTTPS, r#"{"config":{"topic_id":"topic"}}"#, &[("config.topic_id", "unknown_field", "")]);
}

#[test]
fn kafka_credentials_and_certificates() {
    let plain = KAFKA.replace(r#""scram","scram_variant":"sha-512""#, r#""plain""#);
    check(KAFKA, r#"{"config":{"sasl_auth":{"mechanism":"plain"}}}"#, &plain);
    check(KAFKA, r#"{"config":{"sasl_auth":{"mechanism":"plain","scram_variant":null}}}"#, &plain);
    check(&plain, r#"{"config":{"sasl_auth":{"mechanism":"scram","scram_variant":"sha-512"}}}"#, KAFKA);
    check_refused(
        &plain,
        r#"{"config":{"sasl_auth":{"mechanism":"scram"}}}"#,
        &[("config.sasl_auth.scram_variant", "required", "")],
    );
    let [one, other] = pairs();
    let with_tls = kafka_with_tls("b.example.com", &one.certificate, &one.certificate, &one.key);
    let renamed = with_tls.replace(r#""server_name":"b.example.com""#, r#""server_name":"c.example.com""#);
    check(
        &with_tls,
        r#"{"config":{"tls":{"server_name":"c.example.com","client_key_pem":"***redacted***"}}}"#,
        &renamed,
    );
    let certificate = wire::json::Value::from(other.certificate.as_str()).to_canonical();
    check_refused(
        &with_tls,
        &format!(r#"{{"config":{{"tls":{{"client_cert_pem":{certificate}}}}}}}"#),
        &[("config.tls.client_key_pem", "key_mismatch", "")],
    );
    let patched = patch(&make_subscription(&with_tls), r#"{"config":{"tls":null}}"#).unwrap();
    assert!(matches!(patched.destination, domain::destination::Destination::Kafka(kafka) if kafka.tls.is_none()));
}

#[test]
fn values_valid_earlier_do_not_block_a_patch() {
    let mut current = make_subscription(HTTPS);
    current.selection.events.push(domain::EventType::new("com.example.retired"));
    let kept = r#"{"events":["com.example.retired","com.akeneo.pim.v1.product.updated"]}"#;
    assert_eq!(patch(&current, kept).unwrap().selection.events.len(), 2);
    check_refused(HTTPS, kept, &[("events[0]", "unknown_event_type", "")]);
    // Its type is no longer built in: it can still be changed, but not chosen anew.
    with_rules(|rules| {
        let rules = Rules { destination_types: &[DestinationType::Https], ..*rules };
        let pubsub = make_subscription(PUBSUB);
        assert!(subscription::apply_patch(&pubsub, &json(r#"{"type":"pubsub","config":{}}"#), &rules).is_ok());
        let chosen = subscription::apply_patch(&make_subscription(HTTPS), &json(PUBSUB), &rules);
        check_faults("chosen", chosen, &[("type", "destination_type_unavailable", "")]);
    });
}

const SUBSCRIBER: &str = r#"{"name":"n","contact":{"technical_email":"a@b.example","notification_channels":["webhook"],"notification_webhook_url":"https://example.com/hook","notification_webhook_secret":"0123456789abcdef"}}"#;

#[test]
fn subscribers() {
    let check = |body: &str, expect: &str| {
        let patched = with_rules(|rules| subscriber::apply_patch(&make_subscriber(SUBSCRIBER), &json(body), rules));
        assert_eq!(patched.unwrap(), make_subscriber(expect), "{body}");
    };
    check("{}", SUBSCRIBER);
    check(r#"{"name":"m"}"#, &SUBSCRIBER.replace(r#""n""#, r#""m""#));
    check(r#"{"contact":{"technical_email":"c@d.example"}}"#, &SUBSCRIBER.replace("a@b", "c@d"));
    check(r#"{"contact":{"notification_channels":[]}}"#, &SUBSCRIBER.replace(r#"["webhook"]"#, r#"["email"]"#));
    check(r#"{"contact":{"notification_channels":null}}"#, &SUBSCRIBER.replace(r#"["webhook"]"#, r#"["email"]"#));
    check(r#"{"contact":{"notification_webhook_secret":"***redacted***"}}"#, SUBSCRIBER);
    check(
        r#"{"contact":{"notification_channels":["email"],"notification_webhook_url":null,"notification_webhook_secret":null}}"#,
        r#"{"name":"n","contact":{"technical_email":"a@b.example"}}"#,
    );
    let answer = subscriber::render(&make_subscriber(SUBSCRIBER), SUBJECT);
    check(&answer, SUBSCRIBER);

    let refused = |body: &str, expect: &[(&str, &str, &str)]| {
        let patched = with_rules(|rules| subscriber::apply_patch(&make_subscriber(SUBSCRIBER), &json(body), rules));
        check_faults(body, patched, expect);
    };
    refused(r#"{"name":null}"#, &[("name", "required", "cannot be null")]);
    refused(r#"{"name":""}"#, &[("name", "too_short", "")]);
    refused(r#"{"contact":null}"#, &[("contact", "required", "")]);
    refused(r#"{"contact":{"technical_email":null}}"#, &[("contact.technical_email", "required", "")]);
    refused(
        r#"{"contact":{"notification_webhook_url":null}}"#,
        &[("contact.notification_webhook_url", "required", "")],
    );
    refused(
        r#"{"contact":{"notification_webhook_secret":null}}"#,
        &[("contact.notification_webhook_secret", "required", "")],
    );
    refused(r#"{"status":"deleted"}"#, &[("status", "read_only", "")]);
    refused(r#"{"subject":"https://other.example","id":7}"#, &[("id", "read_only", ""), ("subject", "read_only", "")]);
    refused(r#"{"contact":{"phone":null}}"#, &[("contact.phone", "unknown_field", "")]);
    let plain = make_subscriber(r#"{"name":"n","contact":{"technical_email":"a@b.example"}}"#);
    let masked = json(r#"{"contact":{"notification_webhook_secret":"***redacted***"}}"#);
    let patched = with_rules(|rules| subscriber::apply_patch(&plain, &masked, rules));
    check_faults("mask", patched, &[("contact.notification_webhook_secret", "mask_not_allowed", "")]);
}
