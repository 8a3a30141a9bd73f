//! `GET /subscribers/{id}/subscriptions/{sid}/events/{event_id}`: what became of an event.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use store::fate::judge;
use wire::api::fate;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::kept::Sight;
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::find;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showEventFate",
        "Show what became of an event",
        "Whether a kept event was delivered for this subscription, and if not, why. Known for as long as the event is \
         kept, whatever happened to the subscription.",
    )
    .answers(200, "The fate of the event.", Shown::One("EventFate"))
    .refuses(&[because::NOT_FOUND, because::NODE_UNAVAILABLE])
}

/// What became of an event for a subscription.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At((id, sid, event_id)): At<(String, String, String)>,
) -> Result<Response, Refusal> {
    let subscription = find(&api, &caller, &(id, sid)).await?;
    let unknown = || Refusal::not_found("event");
    let logged = Sight::of(&api, &caller).await?.newest(&api, &event_id).await?.logged;
    let history = api.store().history(subscription.id).await?.ok_or_else(unknown)?;
    // The lane first: what it saves after its answer is then found in the store.
    let whereabouts = api.deliveries.whereabouts(&subscription, logged.position).await?;
    let recorded = api.store().recorded(subscription.id, logged.position).await?;
    let judged = judge(&logged, &history, whereabouts, &recorded, api.clock.wall()).ok_or_else(unknown)?;
    let mut past = api.deliveries.attempts(&subscription).await?.attempts;
    past.retain(|attempt| attempt.event_id == event_id);
    let message = judged.why.to_string();
    Ok(json(StatusCode::OK, fate::render(&logged, judged.fate, &message, judged.next_attempt_at, &past)))
}
