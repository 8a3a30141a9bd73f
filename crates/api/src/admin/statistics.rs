//! `/api/v1/admin/statistics`: counts and activity. Read-only.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::answer;
use crate::Api;
use crate::description::operation::{Operation, Shown};
use crate::refusal::Refusal;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new("showStatistics", "Show statistics", "Counts and activity.").answers(
        200,
        "The current numbers.",
        Shown::One("Statistics"),
    )
}

/// Schema of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "Statistics",
    r##"{"type": "object", "required": ["pims", "clients", "subscriptions", "events_since_start", "log_head",
        "notifications"], "properties": {
      "pims": {"type": "integer"}, "clients": {"type": "integer"},
      "subscriptions": {"type": "object", "required": ["active", "suspended", "revoked"],
      "properties": {"active": {"type": "integer"}, "suspended": {"type": "integer"}, "revoked": {"type": "integer"}}},
      "events_since_start": {"type": "object", "required": ["accepted", "duplicates", "of_unknown_types",
      "requests_refused"], "properties": {
        "accepted": {"type": "integer"}, "duplicates": {"type": "integer"}, "of_unknown_types": {"type": "integer"},
        "requests_refused": {"type": "integer"}}},
      "log_head": {"type": "integer", "description": "Position of the latest event."},
      "notifications": {"type": "object", "required": ["waiting", "oldest", "tried_in_vain"], "properties": {
        "waiting": {"type": "integer"}, "oldest": {"type": ["string", "null"], "format": "date-time"},
        "tried_in_vain": {"type": "integer"}}}}}"##,
)];

/// The current numbers.
pub(crate) async fn show(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    let store = api.store();
    let subscriptions = store.count_subscriptions().await?;
    let waiting = store.count_waiting().await?;
    let mut log_head = 0;
    for shard in store.spread().shards() {
        log_head += store.head(shard).await?.0;
    }
    let counts = api.counters.counts();
    answer(
        StatusCode::OK,
        &json!({
            "pims": store.count_pims().await?,
            "clients": store.count_clients().await?,
            "subscriptions": {
                "active": subscriptions.active,
                "suspended": subscriptions.suspended,
                "revoked": subscriptions.revoked,
            },
            "events_since_start": {
                "accepted": counts.accepted,
                "duplicates": counts.duplicates,
                "of_unknown_types": counts.unknown_types,
                "requests_refused": counts.refused_ingests,
            },
            "log_head": log_head,
            "notifications": {
                "waiting": waiting.count,
                "oldest": waiting.oldest.map(|at| at.to_string()),
                "tried_in_vain": waiting.tried,
            },
        }),
    )
}
