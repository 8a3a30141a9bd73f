//! The body of a rejected request as shown in its log entry.

use domain::Secret;

use super::shape::Shape;
use super::{replay, subscriber, subscription, test_event};
use crate::json::Value;

/// Maximum size of a rejected body (contract page 7, "Logs": 4 KiB).
const MAX_BYTES: usize = 4096;
/// Placeholder for values shown by name only.
const NOT_SHOWN: &str = "(not shown)";

/// Any body of the API.
const BODY: Shape = Shape::ByType(&[&subscriber::FIELDS, &subscription::FIELDS, &replay::FIELDS, &test_event::FIELDS]);

/// The body as JSON text: secrets masked, unknown fields by name only, cut at 4 KiB. Values of a wrong type are not
/// shown either, because their meaning is unknown.
pub fn redact_for_log(body: &Value) -> String {
    let mut text = redacted(body, &BODY).to_canonical();
    if text.len() > MAX_BYTES {
        let mut end = MAX_BYTES - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

fn redacted(value: &Value, shape: &Shape) -> Value {
    match (shape, value) {
        (_, Value::Null) => Value::Null,
        (Shape::Secret(_), _) => Value::from(Secret::MASK),
        (Shape::Object(_) | Shape::ByType(_), Value::Object(members)) => Value::Object(
            members
                .iter()
                .map(|(name, value)| match shape.member(name) {
                    Some(shape) => (name.clone(), redacted(value, shape)),
                    None => (name.clone(), Value::from(NOT_SHOWN)),
                })
                .collect(),
        ),
        (Shape::Headers, Value::Object(members)) => {
            Value::Object(members.iter().map(|(name, _)| (name.clone(), Value::from(Secret::MASK))).collect())
        }
        (
            Shape::Names(_) | Shape::EventTypes | Shape::Texts | Shape::TextList(..) | Shape::NameOrNames(_),
            Value::Array(elements),
        ) => Value::Array(elements.iter().map(|element| redacted(element, &Shape::Truth)).collect()),
        (Shape::Url(_), Value::String(url)) => Value::from(without_user_info(url)),
        (Shape::Pem(_), Value::String(pem)) if pem.contains("PRIVATE KEY") => Value::from(Secret::MASK),
        (
            Shape::Text(_)
            | Shape::Name(_)
            | Shape::EventType
            | Shape::NameOrNames(_)
            | Shape::Truth
            | Shape::Number(_)
            | Shape::Count(..)
            | Shape::Pem(_),
            Value::String(_) | Value::Number(_) | Value::Bool(_),
        ) => value.clone(),
        _ => Value::from(NOT_SHOWN),
    }
}

/// User info is rejected in URLs, but may contain a password.
fn without_user_info(url: &str) -> String {
    let start = url.find("//").map_or(0, |slashes| slashes + 2);
    let authority_end = url[start..].find(['/', '?', '#']).map_or(url.len(), |end| start + end);
    match url[start..authority_end].rfind('@') {
        Some(at) => format!("{}{}{}", &url[..start], Secret::MASK, &url[start + at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn check(body: &str, expect: &str) {
        assert_eq!(redact_for_log(&parse(body.as_bytes()).unwrap()), expect, "{body}");
    }

    #[test]
    fn shows_faults_and_hides_secrets() {
        check(
            r#"{"type":"https","config":{"url":"https://u:p@h/x","secret":{"primary":"s3cret","secondary":7},"headers":{"X-Key":"k","Host":1}}}"#,
            r#"{"type":"https","config":{"url":"https://***redacted***@h/x","secret":{"primary":"***redacted***","secondary":"***redacted***"},"headers":{"X-Key":"***redacted***","Host":"***redacted***"}}}"#,
        );
        check(
            r#"{"secrt":"s3cret","events":["a",{"b":1}]}"#,
            r#"{"secrt":"(not shown)","events":["a","(not shown)"]}"#,
        );
        check(
            r#"{"config":{"secret":"s3cret","headers":["k"]}}"#,
            r#"{"config":{"secret":"(not shown)","headers":"(not shown)"}}"#,
        );
        check(
            r#"{"config":{"tls":{"ca_pem":"-----BEGIN PRIVATE KEY-----","client_cert_pem":"x","client_key_pem":"y"}}}"#,
            r#"{"config":{"tls":{"ca_pem":"***redacted***","client_cert_pem":"x","client_key_pem":"***redacted***"}}}"#,
        );
        check(
            r#"{"name":null,"contact":{"notification_webhook_secret":null}}"#,
            r#"{"name":null,"contact":{"notification_webhook_secret":null}}"#,
        );
        check(
            r#"{"from":"2026-11-02T08:00:00Z","rate":0.5,"only":["given_up"],"data":{"product":{}}}"#,
            r#"{"from":"2026-11-02T08:00:00Z","rate":0.5,"only":["given_up"],"data":"(not shown)"}"#,
        );
        check(r#""s3cret""#, r#""(not shown)""#);
    }

    #[test]
    fn is_cut_at_4_kib_between_characters() {
        let body = Value::Object(vec![("name".to_owned(), Value::from("é".repeat(4000)))]);
        let text = redact_for_log(&body);
        assert!(text.len() <= 4096 && text.len() > 4090, "{}", text.len());
        assert!(text.ends_with("é…"));
    }
}
