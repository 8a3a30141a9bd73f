//! `GET /subscribers/{id}`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wire::api::subscriber;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::path::At;
use crate::refusal::Refusal;
use crate::refusal::because;
use crate::subscribers::find;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new("showSubscriber", "Show a subscriber", "Another client's subscriber is 404.")
        .answers(200, "The subscriber.", Shown::One("Subscriber"))
        .refuses(&[because::NOT_FOUND])
}

/// Shows a subscriber.
pub(crate) async fn show(State(api): State<Arc<Api>>, caller: Caller, At(id): At<String>) -> Result<Response, Refusal> {
    let subscriber = find(&api, &caller, &id).await?;
    Ok(json(StatusCode::OK, subscriber::render(&subscriber, &caller.pim.url)))
}
