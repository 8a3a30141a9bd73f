//! `GET /api/v1/events`

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::LoggedEvent;
use http::StatusCode;
use store::KeptQuery;
use wire::api::kept::{self, EVENTS_QUERY, EventsRequest};

use super::{Found, Sight};
use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::refusal::Refusal;
use wire::api::QUERY_FAULTS;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "listEvents",
        "List kept events",
        "Events stay readable after their delivery, by default for 24 hours. Listed are those of the types that the \
         caller's subscriptions included when the event was accepted, whether a filter excluded it or not; newest \
         first.",
    )
    .query(EVENTS_QUERY)
    .answers(200, "A page of events.", Shown::One("EventPage"))
    .invalid(QUERY_FAULTS)
}

/// A page of the events that the caller may see.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let request =
        EventsRequest::parse(query.as_deref().unwrap_or_default(), &caller.owner).map_err(Refusal::invalid)?;
    let sight = Sight::of(&api, &caller).await?;
    let query = KeptQuery {
        types: Vec::new(),
        entity: request.entity,
        ids: request.id.into_iter().collect(),
        author: request.author,
        since: request.since,
        until: request.until,
        before: request.page.before,
        limit: request.page.limit,
    };
    let of_type = request.event_type.as_deref();
    let Found { events, next } = sight.find(&api, of_type.as_ref().map(std::slice::from_ref), query).await?;
    let events: Vec<Arc<LoggedEvent>> = events.into_iter().map(|seen| seen.logged).collect();
    Ok(json(StatusCode::OK, kept::events(&events, next, &caller.owner)))
}
