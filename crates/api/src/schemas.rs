//! `GET /spec/{type}.schema.json`: where `dataschema` of every event points.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use wire::schema;

use crate::Api;
use crate::path::At;
use crate::refusal::Refusal;

/// The JSON Schema of an event type.
pub(crate) async fn show(State(api): State<Arc<Api>>, At(file): At<String>) -> Result<Response, Refusal> {
    let document = file
        .strip_suffix(".schema.json")
        .and_then(|event_type| schema::schema(&api.catalogue, event_type, &api.settings.public_url))
        .ok_or_else(|| Refusal::not_found("schema: the address is /spec/{event type}.schema.json"))?;
    let headers = [(CONTENT_TYPE, "application/schema+json"), (CACHE_CONTROL, "public, max-age=3600")];
    Ok((StatusCode::OK, headers, document).into_response())
}
