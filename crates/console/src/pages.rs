//! The pages, one file each.

pub(crate) mod actions;
mod again;
pub(crate) mod edit;
pub(crate) mod event;
pub(crate) mod events;
pub(crate) mod failures;
pub(crate) mod fate;
pub(crate) mod filter;
pub(crate) mod link;
pub(crate) mod live;
pub(crate) mod log;
pub(crate) mod operated;
pub(crate) mod overview;
pub(crate) mod owned;
pub(crate) mod pim;
pub(crate) mod pims;
pub(crate) mod replays;
pub(crate) mod sign_in;
mod stopped;
pub(crate) mod subscriber;
pub(crate) mod subscribers;
pub(crate) mod subscription;
pub(crate) mod subscriptions;
pub(crate) mod suspension;
pub(crate) mod try_it;

use serde_json::Value;

use crate::answer::Look;
use crate::query::encoded;

/// Ids in the path of a subscription: subscriber and subscription.
pub(crate) type Ids = axum::extract::Path<(String, String)>;

/// Path of a subscription, below `/console` or `/api/v1`.
pub(crate) fn path_of(subscriber: &str, subscription: &str) -> String {
    format!("/subscribers/{}/subscriptions/{}", encoded(subscriber), encoded(subscription))
}

/// Path of a subscription's page.
pub(crate) fn page_of(subscription: &Value) -> String {
    format!("/console{}", path_of(subscription.text("/subscriber_id"), subscription.text("/id")))
}

/// A destination in one line: the texts of its configuration that are neither secret nor nested.
pub(crate) fn destination(subscription: &Value) -> String {
    if let Some(text) = subscription.get("destination").and_then(Value::as_str) {
        return text.to_owned();
    }
    let config = subscription.get("config").and_then(Value::as_object);
    let texts = config.into_iter().flat_map(|config| config.values().filter_map(Value::as_str));
    texts.collect::<Vec<_>>().join(" · ")
}

/// The moment of a `datetime-local` input, which stands for UTC here; other texts as they are, for the API to refuse.
pub(crate) fn utc(input: &str) -> String {
    match input.len() {
        16 if input.contains('T') => format!("{input}:00Z"),
        19 if input.contains('T') => format!("{input}Z"),
        _ => input.to_owned(),
    }
}

/// The value of a `datetime-local` input: only what it can show.
pub(crate) fn local_input(sent: &str) -> &str {
    let known = domain::Timestamp::parse(&utc(sent)).is_some();
    let text = sent.strip_suffix('Z').unwrap_or(sent);
    if known { text.split('.').next().unwrap_or_default() } else { "" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_destination_is_one_line_of_any_type() {
        let check = |subscription: Value, expect: &str| assert_eq!(destination(&subscription), expect);
        check(json!({"config": {"url": "https://x", "secret": {"primary": "***"}}}), "https://x");
        check(json!({"config": {"broker": "b:1", "topic": "t", "headers": {}}}), "b:1 · t");
        check(json!({"destination": "projects/p/topics/t"}), "projects/p/topics/t");
        check(json!({}), "");
    }

    #[test]
    fn inputs_are_in_utc() {
        assert_eq!(utc("2026-11-29T12:00"), "2026-11-29T12:00:00Z");
        assert_eq!(utc("2026-11-29T12:00:05"), "2026-11-29T12:00:05Z");
        assert_eq!(utc("2026-11-29T12:00:05Z"), "2026-11-29T12:00:05Z");
        assert_eq!(utc("yesterday"), "yesterday");
    }

    #[test]
    fn an_input_shows_moments_only() {
        assert_eq!(local_input("2026-11-29T12:00"), "2026-11-29T12:00");
        assert_eq!(local_input("2026-11-29T12:00:05.123Z"), "2026-11-29T12:00:05");
        assert_eq!(local_input("yesterday"), "");
    }

    #[test]
    fn ids_are_encoded() {
        assert_eq!(path_of("a/../b", "c?d"), "/subscribers/a%2F..%2Fb/subscriptions/c%3Fd");
    }
}
