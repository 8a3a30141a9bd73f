//! `GET /subscribers`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wire::api::subscriber;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::refusal::Refusal;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "listSubscribers",
        "List subscribers",
        "The caller's active and revoked subscribers as a bare array.",
    )
    .answers(200, "The subscribers.", Shown::List("Subscriber"))
}

/// The caller's active and revoked subscribers as a bare array.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Result<Response, Refusal> {
    let subscribers = api.store().subscribers(&caller.owner).await?;
    Ok(json(StatusCode::OK, subscriber::render_list(&subscribers, &caller.pim.url)))
}
