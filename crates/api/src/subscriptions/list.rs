//! `GET /subscribers/{id}/subscriptions`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wire::api::subscription;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::path::At;
use crate::refusal::Refusal;
use crate::subscribers;

/// The subscriptions of a subscriber, as a bare array.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, At(id): At<String>) -> Result<Response, Refusal> {
    let subscriber = subscribers::find(&api, &caller, &id).await?;
    let subscriptions = api.catalog().subscriptions(subscriber.id).await?;
    Ok(json(StatusCode::OK, subscription::render_list(&subscriptions, &caller.pim.url)))
}
