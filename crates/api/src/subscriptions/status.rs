//! `GET /subscribers/{id}/subscriptions/{sid}/status`: diagnosis of missing events.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::lane_status::{LaneStatus, SlowedBy};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{SubscriptionId, Timestamp};
use http::StatusCode;
use serde::Serialize;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::{Ids, find};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "showStatus",
        "Show the delivery status",
        "Rate, backlog, retries and the last failure, to find out why an event did not arrive.",
    )
    .answers(200, "The current delivery status.", Shown::One("DeliveryStatus"))
    .refuses(&[because::NOT_FOUND, because::NODE_UNAVAILABLE])
}

/// Schema of the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "DeliveryStatus",
        r##"{"type": "object", "required": ["subscription_id", "status", "reason", "delivery", "lacks"], "properties": {
          "subscription_id": {"type": "string", "format": "uuid"},
          "status": {"enum": ["active", "suspended", "revoked"]},
          "reason": {"type": ["string", "null"], "description": "Reason why nothing is delivered."},
          "delivery": {"description": "`null` while nothing is delivered.", "oneOf": [{"type": "null"},
          {"$ref": "#/components/schemas/Delivery"}]},
          "lacks": {"$ref": "#/components/schemas/Lacks"}}}"##,
    ),
    (
        "Lacks",
        r##"{"type": "array",
          "description": "Resources that the platform itself lacks for this subscription's deliveries: meanwhile no retry is used up, and nothing counts against the destination.", "items": {"enum": ["name_servers", "file_descriptors", "local_ports", "memory", "proxy", "credentials", "clock", "silence", "disk", "store", "standby"]}}"##,
    ),
    (
        "Delivery",
        r##"{"type": "object", "required": ["events_per_second", "delivered_per_second", "in_flight", "backlog",
            "backlog_is_at_least", "oldest_accepted_at", "waiting_for_retry", "throttled", "next_due_at", "last_hour",
            "last_success_at", "last_failure", "matched", "filtered_out", "taking_nothing_since", "slowed_by"], "properties": {
          "events_per_second": {"type": ["number", "null"],
          "description": "Current rate limit; `null` for topics, which have none."},
          "delivered_per_second": {"type": "number", "description": "Deliveries per second in the last full minute."},
          "in_flight": {"type": "integer", "description": "Attempts in flight."},
          "backlog": {"type": "integer", "description": "Accepted events that are not settled."},
          "backlog_is_at_least": {"type": "boolean", "description": "Whether the actual backlog may be larger."},
          "oldest_accepted_at": {"type": ["string", "null"], "format": "date-time",
          "description": "Acceptance time of the oldest event in the backlog."},
          "waiting_for_retry": {"type": "integer"},
          "throttled": {"type": "integer", "description": "Events waiting after a 429."},
          "next_due_at": {"type": ["string", "null"], "format": "date-time",
          "description": "Due time of the next attempt."},
          "last_hour": {"type": "object", "required": ["delivered", "failed", "success_rate"], "properties": {
            "delivered": {"type": "integer"}, "failed": {"type": "integer"},
            "success_rate": {"type": ["number", "null"], "minimum": 0, "maximum": 1,
            "description": "`null` without outcomes; below 0.9 the subscription is suspended."}}},
          "last_success_at": {"type": ["string", "null"], "format": "date-time"},
          "last_failure": {"oneOf": [{"type": "null"}, {"type": "object", "required": ["timestamp", "error_reason",
          "error_code", "error_message"], "properties": {
            "timestamp": {"type": "string", "format": "date-time"},
            "error_reason": {"$ref": "#/components/schemas/ErrorReason"},
            "error_code": {"type": "integer"}, "error_message": {"type": "string"}}}]},
          "matched": {"type": "integer", "description": "Events that match the subscription's types and filter."},
          "filtered_out": {"type": "integer", "description": "Events of its types rejected by the filter."},
          "taking_nothing_since": {"type": ["string", "null"], "format": "date-time",
          "description": "Since when a topic has accepted nothing despite attempts; `null` for endpoints, and while it accepts events."},
          "slowed_by": {"enum": ["host_rate", "share", null],
          "description": "What slows deliveries down besides their own rate: the host's rate limit for all subscriptions of the PIM, or the fair share of resources."}}}"##,
    ),
];

/// The current delivery status of a subscription.
pub(crate) async fn status(State(api): State<Arc<Api>>, caller: Caller, At(ids): Ids) -> Result<Response, Refusal> {
    let subscription = find(&api, &caller, &ids).await?;
    let lane = api.lanes.status(&subscription).await?;
    let answer = Answer {
        subscription_id: subscription.id,
        status: subscription.status.to_string(),
        reason: reason(&subscription),
        lacks: lane.iter().flat_map(|lane| &lane.lacks).map(|lack| lack.as_str()).collect(),
        delivery: lane.map(Delivery::from),
    };
    let text = serde_json::to_string(&answer).map_err(|error| {
        tracing::error!(%error, "could not serialise the status of a lane");
        Refusal::new(because::INTERNAL_ERROR, "could not show the status")
    })?;
    Ok(json(StatusCode::OK, text))
}

/// Reason why nothing is delivered.
pub(crate) fn reason(of: &Subscription) -> Option<String> {
    match of.status {
        SubscriptionStatus::Suspended(reason) => Some(reason.to_string()),
        SubscriptionStatus::Revoked => Some(crate::changing::CLIENT_REMOVED.to_owned()),
        SubscriptionStatus::Active | SubscriptionStatus::Deleted => None,
    }
}

#[derive(Serialize)]
struct Answer {
    subscription_id: SubscriptionId,
    status: String,
    /// Reason why nothing is delivered.
    reason: Option<String>,
    /// `null` while nothing is delivered.
    delivery: Option<Delivery>,
    /// Resources that the platform lacks.
    lacks: Vec<&'static str>,
}

/// Delivery of a lane, as shown.
#[derive(Serialize)]
pub(crate) struct Delivery {
    /// `null` for topics, which have no rate limit.
    events_per_second: Option<f64>,
    delivered_per_second: f64,
    in_flight: u64,
    backlog: u64,
    backlog_is_at_least: bool,
    oldest_accepted_at: Option<String>,
    waiting_for_retry: u64,
    throttled: u64,
    next_due_at: Option<String>,
    last_hour: LastHour,
    last_success_at: Option<String>,
    last_failure: Option<LastFailure>,
    matched: u64,
    filtered_out: u64,
    /// `null` for endpoints.
    taking_nothing_since: Option<String>,
    slowed_by: Option<&'static str>,
}

#[derive(Serialize)]
struct LastHour {
    delivered: u64,
    failed: u64,
    /// `null` without outcomes.
    success_rate: Option<f64>,
}

#[derive(Serialize)]
struct LastFailure {
    timestamp: String,
    error_reason: &'static str,
    error_code: u16,
    error_message: String,
}

impl From<LaneStatus> for Delivery {
    fn from(lane: LaneStatus) -> Delivery {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let (delivered, failed) = (lane.delivered_in_window, lane.failed_in_window);
        let outcomes = delivered + failed;
        Delivery {
            events_per_second: lane.rate,
            // Two decimals: one event in a minute is visible.
            delivered_per_second: (lane.delivered_last_minute as f64 / 60.0 * 100.0).round() / 100.0,
            in_flight: lane.in_flight,
            backlog: lane.backlog,
            backlog_is_at_least: lane.backlog_at_least,
            oldest_accepted_at: text(lane.oldest_accepted_at),
            waiting_for_retry: lane.waiting_retries,
            throttled: lane.throttled,
            next_due_at: text(lane.next_due_at),
            last_hour: LastHour {
                delivered,
                failed,
                success_rate: (outcomes > 0).then(|| delivered as f64 / outcomes as f64),
            },
            last_success_at: text(lane.last_success_at),
            last_failure: lane.last_failure.map(|(at, failure)| LastFailure {
                timestamp: at.to_string(),
                error_reason: failure.reason.as_str(),
                error_code: failure.code,
                error_message: failure.message,
            }),
            matched: lane.matched,
            filtered_out: lane.filtered_out,
            taking_nothing_since: text(lane.taking_nothing_since),
            slowed_by: lane.slowed_by.map(SlowedBy::as_str),
        }
    }
}
