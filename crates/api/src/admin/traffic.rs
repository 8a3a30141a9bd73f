//! `/api/v1/admin/traffic`: what came in and went out over time. Read-only.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::Timestamp;
use domain::backlog::Of;
use domain::traffic::Traffic;
use http::StatusCode;
use serde_json::{Value, json};
use wire::api::QUERY_FAULTS;
use wire::api::admin as bodies;

use super::{answer, pim_named};
use crate::Api;
use crate::deliveries::Gathered;
use crate::description::operation::{Operation, Shown};
use crate::refusal::{Refusal, because};
use crate::traffic::{shown, shown_backlog};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showTraffic",
        "Show the traffic",
        "Accepted events, outcomes of attempts and the backlog over the last 24 hours. The counts are in steps of 5 \
         minutes, or of an hour for one PIM. All is kept in memory: that of a shard begins when its node took it up.",
    )
    .query(bodies::TRAFFIC_QUERY)
    .answers(200, "The counts and the backlog.", Shown::One("Traffic"))
    .invalid(QUERY_FAULTS)
    .refuses(&[because::NOT_FOUND, because::NODE_UNAVAILABLE])
}

/// Schema of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "Traffic",
    r##"{"type": "object", "required": ["step_seconds", "counts", "backlog", "missing_shards"], "properties": {
      "step_seconds": {"type": "integer", "description": "Length of a step of the counts."},
      "missing_shards": {"type": "array", "items": {"type": "integer"},
      "description": "Shards whose node did not answer: their PIMs are not counted. Empty in normal operation."},
      "counts": {"type": "array", "items": {"$ref": "#/components/schemas/TrafficCounts"},
      "description": "Oldest first; steps without any are left out."},
      "backlog": {"type": "array", "items": {"$ref": "#/components/schemas/BacklogStep"},
      "description": "Of all subscriptions together, oldest first; steps in which all kept up are left out."}}}"##,
)];

/// The traffic of the platform, or of one PIM.
pub(crate) async fn show(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let pim = bodies::parse_traffic_query(query.as_deref().unwrap_or_default()).map_err(Refusal::invalid)?;
    let pim = match pim {
        Some(name) => Some(pim_named(&api, &name).await?.id),
        None => None,
    };
    let Gathered { all: traffic, mut missing } = match pim {
        Some(pim) => Gathered { all: api.deliveries.traffic_of(pim).await?, missing: Vec::new() },
        None => api.deliveries.traffic().await,
    };
    let from = Timestamp::from_micros(api.clock.wall().as_micros() - Traffic::SPAN.as_micros() as i64);
    let counts: Vec<Value> = traffic.since(from).map(shown).collect();
    let backlog = api.deliveries.backlog(pim.map_or(Of::All, Of::Pim)).await;
    missing.extend(&backlog.missing);
    missing.sort_unstable();
    missing.dedup();
    let body = json!({
        "step_seconds": traffic.step().as_secs(),
        "counts": counts,
        "backlog": shown_backlog(&backlog.all),
        "missing_shards": missing,
    });
    answer(StatusCode::OK, &body)
}
