//! `GET /subscribers/{id}/subscriptions/{sid}/replays/{rid}`

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
use crate::subscriptions;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new("showReplay", "Show a replay", "Its status and progress.")
        .answers(200, "The replay.", Shown::One("Replay"))
        .refuses(&[because::NOT_FOUND])
}

/// Shows a replay with its progress.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At((id, sid, rid)): At<(String, String, String)>,
) -> Result<Response, Refusal> {
    let subscription = subscriptions::find(&api, &caller, &(id, sid)).await?;
    let replay = super::find(&api, subscription.id, &rid).await?;
    Ok(json(StatusCode::OK, replay::render(&replay)))
}
