//! Requests made by the platform itself: events and notifications.

use wire::json::Value;
use wire::signature;

use super::{object, reference};

/// Requests made by the platform itself.
pub(super) fn webhooks() -> Value {
    let header = |name: &str, about: &str| {
        object([
            ("name", name.into()),
            ("in", "header".into()),
            ("description", about.into()),
            ("schema", object([("type", "string".into())])),
        ])
    };
    let hook = |id: &str, summary: &str, text: &str, headers: Vec<Value>, schema: &str, answers: Value| {
        object([(
            "post",
            object([
                ("operationId", id.into()),
                ("summary", summary.into()),
                ("description", text.into()),
                ("parameters", Value::Array(headers)),
                (
                    "requestBody",
                    object([
                        ("required", true.into()),
                        ("content", object([("application/json", object([("schema", reference("schemas", schema))]))])),
                    ]),
                ),
                ("responses", answers),
            ]),
        )])
    };
    let said = |about: &str| object([("description", about.into())]);
    let primary = "HMAC-SHA256 of the raw body with the primary secret, in lower-case hex.";
    let delivered = hook(
        "receiveEvent",
        "An event is delivered",
        "To the `url` of an HTTPS subscription, one event per request. Verify the signature over the raw body, answer \
         within 5 seconds, process later. At least once: drop duplicates by `id`.",
        vec![
            header(signature::PRIMARY, primary),
            header(signature::SECONDARY, "The same with the secondary secret, if set."),
            header(signature::ALGORITHM, "`HmacSHA256`."),
            header(signature::WEBHOOK_ID, "Standard Webhooks: the event's id."),
            header(signature::WEBHOOK_TIMESTAMP, "Standard Webhooks: time of the attempt in Unix seconds."),
            header(signature::WEBHOOK_SIGNATURE, "Standard Webhooks: `v1,<base64>` for each secret."),
        ],
        "DeliveredEvent",
        object([
            ("2XX", said("Delivered.")),
            ("3XX", said("The subscription is suspended immediately; redirects are not followed.")),
            ("404", said("The subscription is suspended immediately.")),
            ("429", said("Retried later, at a lower rate.")),
            ("4XX", said("Failed, not retried.")),
            ("5XX", said("Failed, retried after 5, 10 and 20 minutes.")),
        ]),
    );
    let notified = hook(
        "receiveNotification",
        "A notification is sent",
        "To the `notification_webhook_url` of a subscriber, when a subscription is suspended, resumed or revoked, or \
         is failing (`notify_failing`). Three attempts.",
        vec![
            header(signature::PRIMARY, "HMAC-SHA256 of the raw body with the notification secret, in lower-case hex."),
            header(signature::ALGORITHM, "`HmacSHA256`."),
        ],
        "Notification",
        object([
            ("2XX", said("Accepted.")),
            ("default", said("5xx and 429 are retried; all others are final, and an email is sent.")),
        ]),
    );
    object([("event", delivered), ("notification", notified)])
}
