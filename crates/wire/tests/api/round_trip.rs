//! "Read, edit, send back": the response for any accepted body, sent back as a PATCH, changes nothing and destroys no
//! secret.

use proptest::prelude::*;
use wire::api::{subscriber, subscription};
use wire::json::Value;

use crate::platform::{
    SUBJECT, json, kafka_with_tls, pairs, subscriber as make_subscriber, subscription as make_subscription, with_rules,
};

fn quoted(text: &str) -> String {
    Value::from(text).to_canonical()
}

/// Any text except the mask.
fn text(min: usize, max: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), min..=max).prop_map(|characters| characters.into_iter().collect())
}

fn headers() -> impl Strategy<Value = String> {
    let header = ("[A-Za-z]-[A-Za-z0-9-]{1,20}", "([!-~]([ -~]{0,20}[!-~])?)?");
    prop::collection::vec(header, 0..=5).prop_map(|headers| {
        let mut seen: Vec<String> = Vec::new();
        let mut members = Vec::new();
        for (name, value) in headers {
            if !seen.contains(&name.to_lowercase()) {
                seen.push(name.to_lowercase());
                members.push(format!("{}:{}", quoted(&name), quoted(&value)));
            }
        }
        format!("{{{}}}", members.join(","))
    })
}

fn https() -> impl Strategy<Value = String> {
    (
        "https://[a-z]{1,10}\\.example(:[1-9][0-9]{0,3})?(/[a-zA-Z0-9._~-]{0,8}){0,3}(\\?[a-z]=(%2[0-9A-F]){0,3})?",
        text(1, 20),
        text(0, 20),
        headers(),
    )
        .prop_map(|(url, primary, secondary, headers)| {
            format!(
                r#""type":"https","config":{{"url":{},"secret":{{"primary":{},"secondary":{}}},"headers":{headers}}}"#,
                quoted(&url),
                quoted(&primary),
                quoted(&secondary)
            )
        })
}

fn pubsub() -> impl Strategy<Value = String> {
    ("[a-z][a-z0-9-]{4,28}[a-z0-9]", "t[A-Za-z0-9._~+%-]{2,40}").prop_map(|(project, topic)| {
        format!(r#""type":"pubsub","config":{{"project_id":"{project}","topic_id":"{topic}"}}"#)
    })
}

fn kafka() -> impl Strategy<Value = String> {
    let mechanism = prop::sample::select(vec![
        r#""mechanism":"plain""#,
        r#""mechanism":"scram","scram_variant":"sha-256""#,
        r#""mechanism":"scram","scram_variant":"sha-512""#,
    ]);
    (
        "([a-z]{1,10}\\.example:[1-9][0-9]{0,3}, ?){0,2}[a-z]{1,9}:9092",
        "[A-Za-z0-9_-]{1,40}",
        mechanism,
        "[^\0]{1,20}",
        "[^\0]{1,20}",
        headers(),
    )
        .prop_map(|(broker, topic, mechanism, username, password, headers)| {
            format!(
                r#""type":"kafka","config":{{"broker":"{broker}","topic":"{topic}","sasl_auth":{{{mechanism},"username":{},"password":{}}},"headers":{headers}}}"#,
                quoted(&username),
                quoted(&password)
            )
        })
}

fn subscription_body() -> impl Strategy<Value = String> {
    let events = prop::sample::subsequence(
        vec![
            "product.created",
            "product.updated",
            "product.updated.delta",
            "product-model.deleted",
            "attribute.updated",
        ],
        1..=5,
    );
    let filter = prop::sample::select(vec!["null", r#""""#, r#""user=\"a\"""#, r#""locale in [\"fr_FR\"]""#]);
    let destination = prop_oneof![https(), pubsub(), kafka()];
    (events, filter, destination, any::<[bool; 5]>()).prop_map(|(events, filter, destination, [a, b, c, d, ordered])| {
        let events: Vec<String> = events.iter().map(|name| format!(r#""com.akeneo.pim.v1.{name}""#)).collect();
        let ordering = if ordered { r#""per_entity""# } else { "null" };
        format!(
            r#"{{"events":[{}],"filter":{filter},{destination},"send_product_identifier":{a},"options":{{"hold":{b},"respect_retry_after":{c},"cloudevents_content_type":{d},"ordering":{ordering}}}}}"#,
            events.join(",")
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_subscription_sent_back_as_it_was_read_stays_as_it_is(body in subscription_body()) {
        let current = make_subscription(&body);
        let answer = subscription::render(&current, SUBJECT);
        let patched = with_rules(|rules| subscription::apply_patch(&current, &json(&answer), rules));
        prop_assert_eq!(patched, Ok(current));
    }

    #[test]
    fn a_subscriber_sent_back_as_it_was_read_stays_as_it_is(
        name in text(1, 30),
        channels in prop::sample::select(vec!["[]", r#"["email"]"#, r#"["webhook"]"#, r#"["webhook","email"]"#]),
        secret in text(16, 40),
    ) {
        let current = make_subscriber(&format!(
            r#"{{"name":{},"contact":{{"technical_email":"a@b.example","notification_channels":{channels},"notification_webhook_url":"https://example.com/x?y","notification_webhook_secret":{}}}}}"#,
            quoted(&name),
            quoted(&secret)
        ));
        let answer = subscriber::render(&current, SUBJECT);
        let patched = with_rules(|rules| subscriber::apply_patch(&current, &json(&answer), rules));
        prop_assert_eq!(patched, Ok(current));
    }

    #[test]
    fn no_answer_shows_a_secret(primary in "[a-z]{24}", header in "[a-z]{24}") {
        let body = format!(
            r#"{{"type":"https","events":["com.akeneo.pim.v1.product.updated"],"config":{{"url":"https://example.com","secret":{{"primary":"{primary}","secondary":"{primary}"}},"headers":{{"X-Key":"{header}"}}}}}}"#
        );
        let answer = subscription::render(&make_subscription(&body), SUBJECT);
        let logged = wire::api::redact_for_log(&json(&body));
        for text in [answer, logged, format!("{:?}", make_subscription(&body))] {
            prop_assert!(!text.contains(&primary) && !text.contains(&header), "{}", text);
        }
    }
}

#[test]
fn certificates_stay_as_they_are() {
    for pair in pairs() {
        let current =
            make_subscription(&kafka_with_tls("b.example.com", &pair.certificate, &pair.certificate, &pair.key));
        let answer = subscription::render(&current, SUBJECT);
        assert!(!answer.contains("PRIVATE KEY"));
        let patched = with_rules(|rules| subscription::apply_patch(&current, &json(&answer), rules));
        assert_eq!(patched, Ok(current));
    }
}
