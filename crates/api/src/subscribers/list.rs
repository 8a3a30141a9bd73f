//! `GET /subscribers`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wire::api::subscriber;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::refusal::Refusal;

/// The caller's subscribers, active and revoked ones, as a bare array.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Result<Response, Refusal> {
    let subscribers = api.catalog().subscribers(&caller.owner).await?;
    Ok(json(StatusCode::OK, subscriber::render_list(&subscribers, &caller.pim.url)))
}
