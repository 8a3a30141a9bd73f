//! Producers' requests as JSON Schemas, derived from the limits that events are checked against.

use domain::event::PRODUCER_SOURCE;

use super::BATCH_LIMIT;
use super::draft::{LONGEST_NAME, MOST_EXTENSIONS};
use crate::json::{Number, Value, parse};

/// Attributes of an event in binary mode, each a header `ce-…`, with their meanings.
pub const BINARY_HEADERS: [(&str, &str, &str); 5] = [
    ("ce-specversion", "1.0", "The version of CloudEvents."),
    ("ce-id", "b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001", "The event's id."),
    (
        "ce-source",
        "pim",
        "Source of the event; identifies it together with `ce-id`. Delivered as `producersource` unless it is `pim`.",
    ),
    ("ce-type", "com.akeneo.pim.v1.product.created", "The event's type."),
    ("ce-time", "2026-11-02T08:00:00.5Z", "Time of the event; default: now."),
];

/// The known attributes of an event, as properties of a JSON Schema.
const PROPERTIES: &str = r#"{
  "specversion": {"const": "1.0"},
  "id": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
    "description": "Unique within its `source`; an event that is sent twice within 24 hours is delivered once."},
  "source": {"type": "string", "minLength": 1,
    "description": "The producer: `source` and `id` together identify the event. Delivered as the extension attribute `producersource` unless it is `pim`; the key determines the PIM, and the delivered `source` is a setting of the platform."},
  "type": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
    "description": "The event's type. Unknown types are accepted and listed in the response, unless the operator rejects them."},
  "time": {"type": ["string", "null"], "format": "date-time",
    "description": "Time of the event; default: now. Delivered in UTC, with the fraction as sent."},
  "subject": {"type": ["string", "null"], "description": "Ignored: replaced by the subscription's id."},
  "dataschema": {"type": ["string", "null"], "description": "Ignored: replaced by the URL of the platform's schema."},
  "datacontenttype": {"enum": ["application/json", null], "description": "JSON, or absent."},
  "data": {"type": "object", "description": "The payload."}
}"#;

/// The schemas `SentEvent` and `SentBatch`; `example` is a valid event.
pub fn schemas(example: &Value) -> Vec<(String, Value)> {
    let properties = PROPERTIES.replace("LONGEST", &LONGEST_NAME.to_string());
    let properties = parse(properties.as_bytes()).unwrap_or(Value::Null);
    let known = properties.as_object().map_or(0, <[_]>::len);
    let number = |value: usize| Value::Number(Number::from(value as u64));
    let texts = |texts: &[&str]| Value::Array(texts.iter().map(|text| Value::from(*text)).collect());
    let object = |members: Vec<(&str, Value)>| {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let event = object(vec![
        ("type", "object".into()),
        (
            "description",
            "A CloudEvent 1.0 in JSON. Additional members are extension attributes, delivered unchanged: at most 20, \
            and 4 KiB in total, with names of lower-case letters and digits."
                .into(),
        ),
        ("required", texts(&["specversion", "id", "source", "type", "data"])),
        ("properties", properties),
        ("propertyNames", object(vec![("pattern", format!("^(?!{PRODUCER_SOURCE}$)[a-z][a-z0-9]*$").into())])),
        (
            "additionalProperties",
            object(vec![
                ("type", texts(&["string", "boolean", "integer", "null"])),
                ("minimum", Value::Number(Number::from(i64::from(i32::MIN)))),
                ("maximum", Value::Number(Number::from(i64::from(i32::MAX)))),
            ]),
        ),
        ("maxProperties", number(known + MOST_EXTENSIONS)),
        ("examples", Value::Array(vec![example.clone()])),
    ]);
    let batch = object(vec![
        ("type", "array".into()),
        ("items", object(vec![("$ref", "#/components/schemas/SentEvent".into())])),
        ("minItems", number(1)),
        ("maxItems", number(BATCH_LIMIT)),
    ]);
    vec![("SentEvent".to_owned(), event), ("SentBatch".to_owned(), batch)]
}
