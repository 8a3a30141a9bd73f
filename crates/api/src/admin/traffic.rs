//! `/api/v1/admin/traffic`: what came in and went out over time. Read-only.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::Timestamp;
use domain::traffic::Traffic;
use http::StatusCode;
use serde_json::{Value, json};
use wire::api::QUERY_FAULTS;
use wire::api::admin as bodies;

use super::{answer, pim_named};
use crate::Api;
use crate::description::operation::{Operation, Shown};
use crate::refusal::{Refusal, because};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showTraffic",
        "Show the traffic",
        "Accepted events and outcomes of attempts over the last 24 hours, in steps of 5 minutes, or of an hour for one \
         PIM. The counts are kept in memory: they begin with the start of the process.",
    )
    .query(bodies::TRAFFIC_QUERY)
    .answers(200, "The counts.", Shown::One("Traffic"))
    .invalid(QUERY_FAULTS)
    .refuses(&[because::NOT_FOUND, because::INTERNAL_ERROR])
}

/// Schema of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "Traffic",
    r##"{"type": "object", "required": ["step_seconds", "counts"], "properties": {
      "step_seconds": {"type": "integer", "description": "Length of a step."},
      "counts": {"type": "array", "description": "Oldest first; steps without any are left out.",
        "items": {"type": "object", "required": ["from", "accepted", "delivered", "failed", "throttled"],
        "properties": {
          "from": {"type": "string", "format": "date-time", "description": "Start of the step."},
          "accepted": {"type": "integer", "description": "Accepted events, without duplicates."},
          "delivered": {"type": "integer", "description": "Delivered events, of all subscriptions together."},
          "failed": {"type": "integer", "description": "Failed attempts."},
          "throttled": {"type": "integer", "description": "Throttled attempts."}}}}}}"##,
)];

/// The traffic of the platform, or of one PIM.
pub(crate) async fn show(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let pim = bodies::parse_traffic_query(query.as_deref().unwrap_or_default()).map_err(Refusal::invalid)?;
    let pim = match pim {
        Some(name) => Some(pim_named(&api, &name).await?.id),
        None => None,
    };
    let stopped = || Refusal::new(because::INTERNAL_ERROR, "deliveries have stopped; see the platform's log");
    let traffic = api.deliveries.traffic(pim).await.ok_or_else(stopped)?;
    let from = Timestamp::from_micros(api.clock.wall().as_micros() - Traffic::SPAN.as_micros() as i64);
    let counts: Vec<Value> = traffic
        .since(from)
        .map(|step| {
            json!({
                "from": step.from.to_string(), "accepted": step.accepted, "delivered": step.delivered,
                "failed": step.failed, "throttled": step.throttled,
            })
        })
        .collect();
    answer(StatusCode::OK, &json!({"step_seconds": traffic.step().as_secs(), "counts": counts}))
}
