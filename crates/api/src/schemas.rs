//! `GET /spec/{type}.schema.json`: the target of every event's `dataschema`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use wire::schema;

use crate::Api;
use crate::description::operation::{Operation, Shown};
use crate::path::At;
use crate::refusal::Refusal;
use crate::refusal::because;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showSchema",
        "Show the schema of an event type",
        "The JSON Schema (2020-12) to which the `dataschema` of an event refers: `{event type}.schema.json`.",
    )
    .answers_with(200, "The schema.", Some(("application/schema+json", Shown::One("JsonSchema"))))
    .refuses(&[because::NOT_FOUND])
}

/// Schema of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "JsonSchema",
    r##"{"type": "object", "description": "A JSON Schema (2020-12).", "required": ["$schema", "$id", "title", "type",
        "required", "properties", "additionalProperties"], "properties": {
      "$schema": {"const": "https://json-schema.org/draft/2020-12/schema"}, "$id": {"type": "string", "format": "uri"},
      "title": {"type": "string"}, "type": {"const": "object"}, "required": {"type": "array",
      "items": {"type": "string"}},
      "properties": {"type": "object"}, "additionalProperties": {"type": "object"}}}"##,
)];

/// The JSON Schema of an event type.
pub(crate) async fn show(State(api): State<Arc<Api>>, At(file): At<String>) -> Result<Response, Refusal> {
    let document = file
        .strip_suffix(".schema.json")
        .and_then(|event_type| schema::schema(&api.event_types, event_type, &api.settings.public_url))
        .ok_or_else(|| Refusal::not_found("schema; the path is /spec/{event type}.schema.json"))?;
    let headers = [(CONTENT_TYPE, "application/schema+json"), (CACHE_CONTROL, "public, max-age=3600")];
    Ok((StatusCode::OK, headers, document).into_response())
}
