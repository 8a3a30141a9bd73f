//! `/api/v1/admin/statistics`: how much there is, and how much is going on. Read-only.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::subscription::SubscriptionStatus;
use http::StatusCode;
use serde_json::json;

use super::answer;
use crate::Api;
use crate::description::operation::{Operation, Shown};
use crate::refusal::Refusal;

/// Notifications are counted up to this number.
const COUNTED: usize = 10_000;

/// What it is for those who call it.
pub(crate) fn about() -> Operation {
    Operation::new("showStatistics", "Show statistics", "How much there is, and how much is going on.").answers(
        200,
        "The numbers now.",
        Shown::One("Statistics"),
    )
}

/// The answer, for those who read it.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "Statistics",
    r##"{"type": "object", "required": ["pims", "clients", "subscriptions", "events_since_start", "log_head", "notifications"], "properties": {
      "pims": {"type": "integer"}, "clients": {"type": "integer"},
      "subscriptions": {"type": "object", "required": ["active", "suspended", "revoked"], "properties": {"active": {"type": "integer"}, "suspended": {"type": "integer"}, "revoked": {"type": "integer"}}},
      "events_since_start": {"type": "object", "required": ["accepted", "duplicates", "of_unknown_types", "requests_refused"], "properties": {
        "accepted": {"type": "integer"}, "duplicates": {"type": "integer"}, "of_unknown_types": {"type": "integer"}, "requests_refused": {"type": "integer"}}},
      "log_head": {"type": "integer", "description": "The position of the latest event."},
      "notifications": {"type": "object", "required": ["waiting", "oldest", "tried_in_vain"], "properties": {
        "waiting": {"type": "integer"}, "oldest": {"type": ["string", "null"], "format": "date-time"}, "tried_in_vain": {"type": "integer"}}}}}"##,
)];

/// The numbers now.
pub(crate) async fn show(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    let catalog = api.store();
    let pims = catalog.pims().await?;
    let mut clients = 0;
    for pim in &pims {
        clients += catalog.clients(pim.id).await?.len();
    }
    let (_, subscriptions) = catalog.changed_since(0).await?;
    let count = |wanted: &dyn Fn(SubscriptionStatus) -> bool| {
        subscriptions.iter().filter(|subscription| wanted(subscription.status)).count()
    };
    let mut waiting = catalog.notifications(0, COUNTED).await?;
    // Emails are kept for an hour after they were sent.
    waiting.retain(|one| one.sent_at.is_none());
    let counts = api.counters.counts();
    answer(
        StatusCode::OK,
        &json!({
            "pims": pims.len(),
            "clients": clients,
            "subscriptions": {
                "active": count(&|status| status.is_active()),
                "suspended": count(&|status| matches!(status, SubscriptionStatus::Suspended(_))),
                "revoked": count(&|status| status == SubscriptionStatus::Revoked),
            },
            "events_since_start": {
                "accepted": counts.accepted,
                "duplicates": counts.duplicates,
                "of_unknown_types": counts.unknown_types,
                "requests_refused": counts.refused_ingests,
            },
            "log_head": api.store.tail().head().0,
            "notifications": {
                "waiting": waiting.len(),
                "oldest": waiting.iter().map(|one| one.notification.timestamp).min().map(|at| at.to_string()),
                "tried_in_vain": waiting.iter().filter(|one| one.attempts > 0).count(),
            },
        }),
    )
}
