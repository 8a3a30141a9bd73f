//! `/health/live` and `/health/ready`: for load balancers and supervisors.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::Api;
use crate::body::json;
use crate::refusal::{Refusal, because};

/// The process answers.
pub(crate) async fn live() -> Response {
    json(StatusCode::OK, r#"{"status":"live"}"#)
}

/// The store answers and deliveries run.
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> Response {
    let state = match api.catalog().pims().await {
        Ok(_) => api.readiness.ready().await,
        Err(error) => Err(error.to_string()),
    };
    match state {
        Ok(()) => json(StatusCode::OK, r#"{"status":"ready"}"#),
        Err(why) => {
            tracing::warn!(%why, "not ready");
            Refusal::new(because::NOT_READY, "the platform is starting, or does not work: its log says more")
                .into_response()
        }
    }
}
