//! `GET /api/v1/event-types`: the available event types.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wire::json::Value;

use crate::Api;
use crate::body::json;
use crate::description::operation::{Operation, Shown};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "listEventTypes",
        "List event types",
        "The available event types as a bare array, each with the URL of its JSON Schema.",
    )
    .answers(200, "The types.", Shown::List("KnownEventType"))
}

/// Schema of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "KnownEventType",
    r##"{"type": "object", "required": ["type", "dataschema"], "properties": {
      "type": {"$ref": "#/components/schemas/EventType"},
      "dataschema": {"type": "string", "format": "uri", "description": "`dataschema` of its events."}}}"##,
)];

/// The known types with the URLs of their schemas.
pub(crate) async fn list(State(api): State<Arc<Api>>) -> Response {
    let types = api.event_types.iter().map(|known| {
        let schema = format!("{}/spec/{known}.schema.json", api.settings.public_url);
        Value::Object(vec![
            ("type".to_owned(), known.as_str().into()),
            ("dataschema".to_owned(), schema.as_str().into()),
        ])
    });
    json(StatusCode::OK, Value::Array(types.collect()).to_canonical())
}
