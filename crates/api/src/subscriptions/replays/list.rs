//! `GET /subscribers/{id}/subscriptions/{sid}/replays`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wire::api::replay;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::{Ids, find};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new("listReplays", "List replays", "The latest 20 of the subscription, newest first.")
        .answers(200, "The replays.", Shown::List("Replay"))
        .refuses(&[because::NOT_FOUND])
}

/// The latest replays of a subscription.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, At(ids): Ids) -> Result<Response, Refusal> {
    let subscription = find(&api, &caller, &ids).await?;
    let replays = api.store().replays(subscription.id).await?;
    Ok(json(StatusCode::OK, replay::render_list(&replays)))
}
