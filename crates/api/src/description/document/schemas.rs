//! The schemas of all bodies.

use domain::destination::DestinationType;
use domain::event_type::{EventTypes, known};
use wire::api::{Rules, schemas, test_event};
use wire::cloudevents;
use wire::json::{Value, parse};

use super::object;
use super::refusals::all_codes;
use crate::{
    Settings, admin, console_links, description, event_types, events, filters, health, ingest_akeneo, schemas as spec,
    subscriptions, traffic,
};

pub(super) fn all(settings: &Settings, event_types: &EventTypes) -> Vec<(String, Value)> {
    let rules = Rules {
        event_types,
        addresses: &settings.addresses,
        allow_http: settings.allow_http,
        destination_types: &settings.destination_types,
        subject: "",
    };
    let mut all = schemas(&rules);
    all.extend(cloudevents::description::schemas(&sample_event()));
    let written = [
        SCHEMAS,
        subscriptions::status::SCHEMAS,
        subscriptions::all::SCHEMAS,
        test_event::SCHEMAS,
        filters::SCHEMAS,
        traffic::SCHEMAS,
        console_links::SCHEMAS,
        event_types::SCHEMAS,
        spec::SCHEMAS,
        health::SCHEMAS,
        events::SCHEMAS,
        ingest_akeneo::SCHEMAS,
        admin::keys::SCHEMAS,
        admin::tokens::SCHEMAS,
        admin::clients::SCHEMAS,
        admin::subscriptions::SCHEMAS,
        admin::cluster::SCHEMAS,
        admin::statistics::SCHEMAS,
        admin::traffic::SCHEMAS,
        description::SCHEMAS,
    ]
    .concat();
    let types = Value::Array(DestinationType::NAMES.map(Value::from).to_vec()).to_canonical();
    let written = written.into_iter().map(|(name, text)| (name, text.replace("DESTINATION_TYPES", &types)));
    let written = written.chain(admin::pims::schemas());
    all.extend(written.filter_map(|(name, text)| Some((name.to_owned(), parse(text.as_bytes()).ok()?))));
    let codes = all_codes().into_iter().map(Value::from).collect();
    let codes = object([
        ("type", "string".into()),
        ("description", "Stable, for programs. `/docs/errors/{code}` explains it.".into()),
        ("enum", Value::Array(codes)),
    ]);
    all.push(("ErrorCode".to_owned(), codes));
    all
}

const SCHEMAS: &[(&str, &str)] = &[
    (
        "Errors",
        r##"{"type": "object", "required": ["errors"], "properties": {"errors": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Error"}}}}"##,
    ),
    (
        "Error",
        r##"{"type": "object", "required": ["message", "code"], "properties": {
          "message": {"type": "string", "description": "For humans."},
          "code": {"$ref": "#/components/schemas/ErrorCode"},
          "field": {"type": "string", "description": "Path of the field at fault, such as `config.url`, `events[2]`, `[7].time` or the name of a header or parameter."},
          "column": {"type": "integer", "minimum": 1, "description": "Invalid filters: position of the error."},
          "found": {"type": "string", "description": "Invalid filters: text found there."},
          "expected": {"type": "string", "description": "Invalid filters: valid text there."},
          "hint": {"type": "string", "description": "Invalid filters: advice, to be printed unchanged."}}}"##,
    ),
    (
        "DeliveredEvent",
        r##"{"type": "object", "description": "A CloudEvent 1.0 in structured mode, as every destination gets it. `/spec/{type}.schema.json` describes each type.",
          "required": ["specversion", "id", "source", "type", "subject", "datacontenttype", "dataschema", "time", "data"], "properties": {
          "specversion": {"const": "1.0"},
          "id": {"type": "string", "description": "Identical on every attempt; use it to drop duplicates."},
          "source": {"type": "string"}, "type": {"type": "string"},
          "subject": {"type": "string", "format": "uuid", "description": "Id of the subscription."},
          "datacontenttype": {"const": "application/json"}, "dataschema": {"type": "string", "format": "uri"},
          "time": {"type": "string", "format": "date-time"}, "data": {"type": "object"}},
          "additionalProperties": {"type": ["string", "boolean", "integer"], "description": "Extension attributes."}}"##,
    ),
    (
        "Notification",
        r##"{"type": "object", "required": ["notification_type", "timestamp", "subscription_id", "subscriber_id", "destination", "events", "subject"], "properties": {
          "notification_type": {"enum": ["subscription.suspended.system", "subscription.suspended.user", "subscription.revoked", "subscription.resumed", "subscription.failing"]},
          "timestamp": {"type": "string", "format": "date-time"}, "subscription_id": {"type": "string", "format": "uuid"},
          "subscriber_id": {"type": "string", "format": "uuid"}, "destination": {"type": "string"},
          "events": {"type": "array", "items": {"type": "string"}}, "reason": {"type": "string"}, "subject": {"type": "string"}}}"##,
    ),
];

/// A producer's event, with the catalogue's example.
fn sample_event() -> Value {
    const TYPE: &str = "com.akeneo.pim.v1.product.created";
    let data = known::example(TYPE).and_then(|text| parse(text.as_bytes()).ok());
    object([
        ("specversion", "1.0".into()),
        ("id", "b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001".into()),
        ("source", "pim".into()),
        ("type", TYPE.into()),
        ("time", "2026-11-02T08:00:00.5Z".into()),
        ("data", data.unwrap_or(Value::Object(vec![]))),
    ])
}
