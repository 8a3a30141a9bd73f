//! `GET /subscribers/{id}/subscriptions`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wire::api::subscription;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::path::At;
use crate::refusal::Refusal;
use crate::refusal::because;
use crate::subscribers;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new("listSubscriptions", "List subscriptions", "The subscriptions of a subscriber as a bare array.")
        .answers(200, "The subscriptions.", Shown::List("Subscription"))
        .refuses(&[because::NOT_FOUND])
}

/// The subscriptions of a subscriber as a bare array.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, At(id): At<String>) -> Result<Response, Refusal> {
    let subscriber = subscribers::find(&api, &caller, &id).await?;
    let subscriptions = api.store().subscriptions(subscriber.id).await?;
    Ok(json(StatusCode::OK, subscription::render_list(&subscriptions, &caller.pim.url)))
}
