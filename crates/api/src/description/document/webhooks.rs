//! What the platform itself sends: events and notifications.

use wire::json::Value;
use wire::signature;

use super::{object, reference};

/// What the platform itself sends.
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
    let primary = "Lower-case hex HMAC-SHA256 of the exact body with the primary secret.";
    let delivered = hook(
        "receiveEvent",
        "An event is delivered",
        "To the `url` of an HTTPS subscription, one event a request. Verify the signature over the raw body, answer within 5 seconds, \
         work later. At least once: drop duplicates by `id`.",
        vec![
            header(signature::PRIMARY, primary),
            header(signature::SECONDARY, "The same with the secondary secret, where there is one."),
            header(signature::ALGORITHM, "`HmacSHA256`."),
            header(signature::WEBHOOK_ID, "Standard Webhooks: the event's id."),
            header(signature::WEBHOOK_TIMESTAMP, "Standard Webhooks: when the attempt was made, in Unix seconds."),
            header(signature::WEBHOOK_SIGNATURE, "Standard Webhooks: `v1,<base64>` for each secret."),
        ],
        "DeliveredEvent",
        object([
            ("2XX", said("It is delivered.")),
            ("3XX", said("The subscription is suspended at once: redirects are not followed.")),
            ("404", said("The subscription is suspended at once.")),
            ("429", said("Sent again when its turn comes, and everything slower.")),
            ("4XX", said("A failure; it is not sent again.")),
            ("5XX", said("A failure; sent again after 5, 10 and 20 minutes.")),
        ]),
    );
    let notified = hook(
        "receiveNotification",
        "A notification is sent",
        "To the `notification_webhook_url` of a subscriber, when a subscription is suspended, resumed or revoked. Three attempts.",
        vec![
            header(signature::PRIMARY, "Lower-case hex HMAC-SHA256 of the exact body with the notification secret."),
            header(signature::ALGORITHM, "`HmacSHA256`."),
        ],
        "Notification",
        object([
            ("2XX", said("It is told.")),
            ("default", said("5xx and 429 are tried again; the rest is final, and an email goes out.")),
        ]),
    );
    object([("event", delivered), ("notification", notified)])
}
