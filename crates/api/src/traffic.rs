//! `GET /api/v1/traffic`: accepted events, outcomes and backlog over time, as far as they concern the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::backlog::{Of, Step};
use domain::traffic::{Traffic, TrafficCounts};
use domain::{SubscriptionId, Timestamp};
use http::StatusCode;
use serde_json::{Value, json};

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json as answer;
use crate::description::operation::{Operation, Shown};
use crate::kept::Sight;
use crate::refusal::{Refusal, because};
use crate::subscriptions::attempts;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showOwnTraffic",
        "Show the traffic of the client",
        "Accepted events of the types that the caller's subscriptions include, whether a filter excluded them or not; \
         the outcomes of attempts for all of these subscriptions together, without replays and test events; and their \
         backlog: over the last 24 hours, in steps of 5 minutes. Accepted events and the backlog are kept in memory: \
         they begin with the start of the process, or when another node took the PIM's deliveries over.",
    )
    .answers(200, "The counts and the backlog.", Shown::One("OwnTraffic"))
    .refuses(&[because::NODE_UNAVAILABLE])
}

/// Schema of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "OwnTraffic",
        r##"{"type": "object", "required": ["step_seconds", "counts", "backlog"], "properties": {
      "step_seconds": {"type": "integer", "description": "Length of a step."},
      "counts": {"type": "array", "items": {"$ref": "#/components/schemas/TrafficCounts"},
      "description": "Oldest first; steps without any are left out."},
      "backlog": {"type": "array", "items": {"$ref": "#/components/schemas/BacklogStep"},
      "description": "Oldest first; steps in which all subscriptions kept up are left out."}}}"##,
    ),
    (
        "TrafficCounts",
        r##"{"type": "object", "required": ["from", "accepted", "delivered", "failed", "throttled"], "properties": {
      "from": {"type": "string", "format": "date-time", "description": "Start of the step."},
      "accepted": {"type": "integer", "description": "Accepted events, without duplicates."},
      "delivered": {"type": "integer", "description": "Delivered events, of all subscriptions together."},
      "failed": {"type": "integer", "description": "Failed attempts."},
      "throttled": {"type": "integer", "description": "Throttled attempts."}}}"##,
    ),
];

/// What came in and went out for the caller.
pub(crate) async fn show(State(api): State<Arc<Api>>, caller: Caller) -> Result<Response, Refusal> {
    let sight = Sight::of(&api, &caller).await?;
    let of: Vec<SubscriptionId> = sight.subscriptions().collect();
    let traffic = api.deliveries.traffic_of(caller.owner.pim).await?;
    let from = Timestamp::from_micros(api.clock.wall().as_micros() - Traffic::SPAN.as_micros() as i64);
    let mut steps: BTreeMap<Timestamp, TrafficCounts> = BTreeMap::new();
    for (at, accepted) in traffic.arrivals(sight.current_types().into_iter(), from) {
        steps.entry(at).or_default().accepted = accepted;
    }
    for one in attempts::counts(&api, &caller.owner, of.clone()).await? {
        let step = steps.entry(one.from).or_default();
        (step.delivered, step.failed, step.throttled) = (one.delivered, one.failed, one.throttled);
    }
    let backlog = api.deliveries.backlog(Of::These(caller.owner.pim, of)).await.complete()?;
    let counts: Vec<Value> = steps.into_iter().map(|(from, counts)| shown(&TrafficCounts { from, ..counts })).collect();
    let body = json!({
        "step_seconds": Traffic::STEP.as_secs(),
        "counts": counts,
        "backlog": shown_backlog(&backlog),
    });
    Ok(answer(StatusCode::OK, body.to_string()))
}

/// Counts in a response.
pub(crate) fn shown(step: &TrafficCounts) -> Value {
    json!({
        "from": step.from.to_string(), "accepted": step.accepted, "delivered": step.delivered, "failed": step.failed,
        "throttled": step.throttled,
    })
}

/// A backlog over time in a response.
pub(crate) fn shown_backlog(steps: &[Step]) -> Value {
    serde_json::from_str(&wire::api::backlog::render(steps)).unwrap_or_default()
}
