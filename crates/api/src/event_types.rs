//! `GET /api/v1/event-types`: what can be subscribed to.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wire::json::Value;

use crate::Api;
use crate::body::json;

/// The known types with the address of their schema.
pub(crate) async fn list(State(api): State<Arc<Api>>) -> Response {
    let types = api.catalogue.iter().map(|known| {
        let schema = format!("{}/spec/{known}.schema.json", api.settings.public_url);
        Value::Object(vec![
            ("type".to_owned(), known.as_str().into()),
            ("dataschema".to_owned(), schema.as_str().into()),
        ])
    });
    json(StatusCode::OK, Value::Array(types.collect()).to_canonical())
}
