//! `GET /subscribers/{id}/subscriptions/{sid}`

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
use crate::subscriptions::{Ids, find};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new("showSubscription", "Show a subscription", "Secrets are masked.")
        .answers(200, "The subscription.", Shown::One("Subscription"))
        .refuses(&[because::NOT_FOUND])
}

/// Shows a subscription with masked secrets.
pub(crate) async fn show(State(api): State<Arc<Api>>, caller: Caller, At(ids): Ids) -> Result<Response, Refusal> {
    let subscription = find(&api, &caller, &ids).await?;
    Ok(json(StatusCode::OK, subscription::render(&subscription, &caller.pim.url)))
}
