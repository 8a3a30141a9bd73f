//! The shape of the API's bodies: which fields hold secrets, so that a patch can keep them and a log never shows them.

use domain::Secret;
use domain::destination::CustomHeaders;

use crate::json::Value;

/// What stands at a place of a body.
pub(super) enum Shape {
    /// Text, number, truth or null.
    Plain,
    /// A list of plain values.
    List,
    /// A URL: what stands before an `@` in it is hidden.
    Url,
    /// PEM that may be shown as long as no private key was put there by mistake.
    Pem,
    /// A secret text.
    Secret,
    /// Custom headers: names are shown, values are secrets.
    Headers,
    /// Named fields.
    Object(&'static [(&'static str, Shape)]),
}

/// `contact` of a subscriber.
pub(super) const CONTACT: Shape = Shape::Object(&[
    ("technical_email", Shape::Plain),
    ("notification_channels", Shape::List),
    ("notification_webhook_url", Shape::Url),
    ("notification_webhook_secret", Shape::Secret),
]);

/// `config` of a subscription, of all types together.
pub(super) const CONFIG: Shape = Shape::Object(&[
    ("url", Shape::Url),
    ("secret", Shape::Object(&[("primary", Shape::Secret), ("secondary", Shape::Secret)])),
    ("project_id", Shape::Plain),
    ("topic_id", Shape::Plain),
    ("broker", Shape::Plain),
    ("topic", Shape::Plain),
    (
        "sasl_auth",
        Shape::Object(&[
            ("mechanism", Shape::Plain),
            ("scram_variant", Shape::Plain),
            ("username", Shape::Plain),
            ("password", Shape::Secret),
        ]),
    ),
    (
        "tls",
        Shape::Object(&[
            ("server_name", Shape::Plain),
            ("ca_pem", Shape::Pem),
            ("client_cert_pem", Shape::Pem),
            ("client_key_pem", Shape::Secret),
        ]),
    ),
    ("headers", Shape::Headers),
]);

/// `options` of a subscription.
pub(super) const OPTIONS: Shape = Shape::Object(&[
    ("hold", Shape::Plain),
    ("ordering", Shape::Plain),
    ("respect_retry_after", Shape::Plain),
    ("cloudevents_content_type", Shape::Plain),
]);

/// Any body of the API.
pub(super) const BODY: Shape = Shape::Object(&[
    ("id", Shape::Plain),
    ("subscriber_id", Shape::Plain),
    ("name", Shape::Plain),
    ("contact", CONTACT),
    ("source", Shape::Plain),
    ("subject", Shape::Plain),
    ("type", Shape::Plain),
    ("events", Shape::List),
    ("config", CONFIG),
    ("filter", Shape::Plain),
    ("send_product_identifier", Shape::Plain),
    ("options", OPTIONS),
    ("status", Shape::Plain),
    ("created_at", Shape::Plain),
    ("updated_at", Shape::Plain),
    ("warnings", Shape::List),
]);

/// More headers than this in one patch cannot be meant: every comparison has a price.
const MOST_PATCHED: usize = 10 * CustomHeaders::MAX;

/// A JSON merge patch (RFC 7396) of `stored`, with three things of our own: a secret's mask leaves the secret as it is,
/// header names are the same whatever their case, and a `null` stays in the result for the reading to judge, because
/// most fields cannot be removed.
pub(super) fn merged(stored: &Value, patch: &Value, shape: &Shape) -> Value {
    match (shape, stored, patch) {
        (Shape::Object(fields), Value::Object(stored), Value::Object(patch)) => {
            let mut result = stored.clone();
            for (name, sent) in patch {
                let shape = fields.iter().find(|(field, _)| field == name).map_or(&Shape::Plain, |(_, shape)| shape);
                // Names are unique within the patch: only what is stored can have the same one.
                match result.iter_mut().take(stored.len()).find(|(field, _)| field == name) {
                    Some((_, value)) => *value = merged(value, sent, shape),
                    None => result.push((name.clone(), sent.clone())),
                }
            }
            Value::Object(result)
        }
        (Shape::Headers, Value::Object(stored), Value::Object(patch)) => Value::Object(merged_headers(stored, patch)),
        (Shape::Secret, Value::String(secret), Value::String(sent)) if sent == Secret::MASK && !secret.is_empty() => {
            stored.clone()
        }
        _ => patch.clone(),
    }
}

fn merged_headers(stored: &[(String, Value)], patch: &[(String, Value)]) -> Vec<(String, Value)> {
    let too_many = patch.len() > MOST_PATCHED;
    let twice = !too_many
        && patch
            .iter()
            .enumerate()
            .any(|(index, (name, _))| patch.iter().skip(index + 1).any(|(other, _)| other.eq_ignore_ascii_case(name)));
    if too_many || twice {
        // Whatever is meant, it will be refused; the reading says why.
        return patch.to_vec();
    }
    let mut result = stored.to_vec();
    for (name, sent) in patch {
        let place = result.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        match (place, sent) {
            (Some(place), Value::Null) => {
                result.remove(place);
            }
            (None, Value::Null) => {}
            (Some(place), sent) => {
                if let Some((known, value)) = result.get_mut(place) {
                    known.clone_from(name);
                    if sent.as_str() != Some(Secret::MASK) {
                        *value = sent.clone();
                    }
                }
            }
            (None, sent) => result.push((name.clone(), sent.clone())),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn check(shape: &Shape, stored: &str, patch: &str, expect: &str) {
        let value = |text: &str| parse(text.as_bytes()).unwrap();
        assert_eq!(merged(&value(stored), &value(patch), shape).to_canonical(), expect, "{stored} + {patch}");
    }

    #[test]
    fn what_is_left_out_stays_at_every_depth() {
        let stored = r#"{"url":"u","secret":{"primary":"p","secondary":"s"}}"#;
        check(&CONFIG, stored, "{}", stored);
        check(
            &CONFIG,
            stored,
            r#"{"secret":{"secondary":"t"}}"#,
            r#"{"url":"u","secret":{"primary":"p","secondary":"t"}}"#,
        );
        check(&CONFIG, stored, r#"{"url":null}"#, r#"{"url":null,"secret":{"primary":"p","secondary":"s"}}"#);
        check(&CONFIG, stored, r#"{"secret":"x"}"#, r#"{"url":"u","secret":"x"}"#);
    }

    #[test]
    fn a_mask_keeps_a_secret_and_only_a_secret() {
        let secret = |primary: &str| format!(r#"{{"url":"u","secret":{{"primary":"{primary}"}}}}"#);
        check(&CONFIG, &secret("p"), r#"{"secret":{"primary":"***redacted***"}}"#, &secret("p"));
        check(&CONFIG, &secret(""), r#"{"secret":{"primary":"***redacted***"}}"#, &secret("***redacted***"));
        check(&CONFIG, r#"{"url":"u"}"#, r#"{"url":"***redacted***"}"#, r#"{"url":"***redacted***"}"#);
    }

    #[test]
    fn headers_are_the_same_whatever_their_case() {
        let stored = r#"{"X-A":"1","X-B":""}"#;
        check(&Shape::Headers, stored, r#"{"x-a":"2"}"#, r#"{"x-a":"2","X-B":""}"#);
        check(&Shape::Headers, stored, r#"{"x-b":"***redacted***"}"#, r#"{"X-A":"1","x-b":""}"#);
        check(&Shape::Headers, stored, r#"{"x-a":null,"x-c":null}"#, r#"{"X-B":""}"#);
        check(&Shape::Headers, stored, r#"{"X-C":"***redacted***"}"#, r#"{"X-A":"1","X-B":"","X-C":"***redacted***"}"#);
        check(&Shape::Headers, stored, r#"{"x-a":"1","X-A":"2"}"#, r#"{"x-a":"1","X-A":"2"}"#);
    }
}
