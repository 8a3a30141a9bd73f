//! `GET /api/v1/events/{event_id}`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wire::api::kept;
use wire::envelope;

use super::Sight;
use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::path::At;
use crate::refusal::{Refusal, because};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showEvent",
        "Show a kept event",
        "The event as it is delivered, without `subject`. Events of different sources may share an id: this is the \
         newest one, `GET /api/v1/events?id=` lists all of them.",
    )
    .answers(200, "The event.", Shown::One("KeptEvent"))
    .refuses(&[because::NOT_FOUND])
}

/// Shows an event that the caller may see.
pub(crate) async fn show(State(api): State<Arc<Api>>, caller: Caller, At(id): At<String>) -> Result<Response, Refusal> {
    let seen = Sight::of(&api, &caller).await?.newest(&api, &id).await?;
    let envelope = envelope::without_subject(&api.envelope, &seen.logged.event, seen.with_identifier);
    Ok(json(StatusCode::OK, kept::event(seen.logged.accepted_at, &envelope)))
}
