//! `/health/live` and `/health/ready`: for load balancers and supervisors.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::Api;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::refusal::{Refusal, because};

/// What it is for those who call it.
pub(crate) fn about_live() -> Operation {
    Operation::new("live", "Whether the process answers", "For supervisors: if it does not answer, start it again.")
        .answers(200, "It does.", Shown::One("Health"))
}

/// What it is for those who call it.
pub(crate) fn about_ready() -> Operation {
    Operation::new(
        "ready",
        "Whether the platform does its work",
        "For load balancers: the store answers and deliveries run.",
    )
    .answers(200, "It does.", Shown::One("Health"))
    .refuses(&[because::NOT_READY])
}

/// The answer, for those who read it.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "Health",
    r##"{"type": "object", "required": ["status"], "properties": {"status": {"enum": ["live", "ready"]}}}"##,
)];

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
