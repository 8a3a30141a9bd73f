//! Remembered attempts, counts of outcomes and the backlog over time: the answer of `GET …/attempts`.

use domain::attempt::{PastAttempt, PastAttempts};
use domain::backlog::Step;
use domain::fate::OutcomeCounts;

use super::answer::object;
use super::query::{Kind, Parameter, Query, parameter};
use crate::fault::Fault;
use crate::json::{Number, Value};

/// Contract page 8, "Attempts and test events".
const MAX_LIMIT: u64 = 100;

/// Parameters of `GET …/attempts`.
pub const ATTEMPTS_QUERY: &[Parameter] = &[parameter(
    "limit",
    Kind::Number(0, MAX_LIMIT),
    "Maximum number of attempts; default 100. 0: only counts and backlog.",
)];

/// Reads the query of `GET …/attempts`: the maximum number of attempts.
pub fn attempts_request(query: &str) -> Result<usize, Vec<Fault>> {
    let mut query = Query::split(query, "this list", ATTEMPTS_QUERY);
    let limit = query.number("limit").unwrap_or(MAX_LIMIT);
    query.finish(limit as usize)
}

/// JSON Schemas of the response.
pub(super) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Attempts",
        r##"{"type": "object", "required": ["items", "since", "counts", "backlog"], "properties": {
          "items": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/Attempt"}, "description": "The latest attempts, newest first. They are kept in memory, so a restart forgets them."},
          "since": {"type": "string", "format": "date-time", "description": "From this time on, `items` is complete."},
          "counts": {"type": "array", "items": {"$ref": "#/components/schemas/OutcomeCounts"}, "description": "Outcomes of the last 24 hours, in steps of 5 minutes, oldest first; steps without any are left out."},
          "backlog": {"type": "array", "items": {"$ref": "#/components/schemas/BacklogStep"}, "description": "The backlog over the last 24 hours, oldest first; steps in which the subscription kept up are left out. It is kept in memory, so a restart forgets it."}}}"##,
    ),
    (
        "Attempt",
        r##"{"type": "object", "required": ["event_id", "event_type", "started_at", "duration_ms", "outcome", "error_reason", "status", "body", "replay_id"], "properties": {
          "event_id": {"type": "string"}, "event_type": {"type": "string"},
          "started_at": {"type": "string", "format": "date-time"},
          "duration_ms": {"type": "integer"},
          "outcome": {"enum": OUTCOMES, "description": "`not_counted`: the platform's own problem, or the destination did not process the event; it counts neither as delivered nor as failed."},
          "error_reason": {"oneOf": [{"$ref": "#/components/schemas/ErrorReason"}, {"type": "null"}]},
          "status": {"type": ["integer", "null"], "description": "HTTP status of the response; `null` without one."},
          "body": {"type": ["string", "null"], "description": "First 256 bytes of the response body, unless the status is 2xx."},
          "replay_id": {"type": ["string", "null"], "format": "uuid", "description": "The replay that made the attempt."}}}"##,
    ),
    (
        "OutcomeCounts",
        r##"{"type": "object", "required": ["from", "delivered", "failed", "throttled"], "properties": {
          "from": {"type": "string", "format": "date-time", "description": "Start of the 5 minutes."},
          "delivered": {"type": "integer"}, "failed": {"type": "integer"}, "throttled": {"type": "integer"}}}"##,
    ),
];

/// The attempts, newest first and at most `limit`, the counts and the backlog, oldest first.
pub fn render(past: &PastAttempts, limit: usize, counts: &[OutcomeCounts], backlog: &[Step]) -> String {
    object([
        ("items", Value::Array(past.attempts.iter().take(limit).map(to_value).collect())),
        ("since", past.since.to_string().into()),
        ("counts", Value::Array(counts.iter().map(counted).collect())),
        ("backlog", Value::Array(backlog.iter().map(super::backlog::to_value).collect())),
    ])
    .to_canonical()
}

/// An attempt in a response.
pub(super) fn to_value(attempt: &PastAttempt) -> Value {
    object([
        ("event_id", attempt.event_id.as_str().into()),
        ("event_type", attempt.event_type.as_str().into()),
        ("started_at", attempt.started_at.to_string().into()),
        ("duration_ms", number(attempt.duration.as_millis() as u64)),
        ("outcome", attempt.outcome.as_str().into()),
        ("error_reason", attempt.error_reason.map_or(Value::Null, |reason| reason.as_str().into())),
        ("status", attempt.status.map_or(Value::Null, |status| number(u64::from(status)))),
        ("body", attempt.body.as_deref().map_or(Value::Null, Value::from)),
        ("replay_id", attempt.replay.map_or(Value::Null, |id| id.to_string().into())),
    ])
}

fn counted(counts: &OutcomeCounts) -> Value {
    object([
        ("from", counts.from.to_string().into()),
        ("delivered", number(counts.delivered)),
        ("failed", number(counts.failed)),
        ("throttled", number(counts.throttled)),
    ])
}

fn number(value: u64) -> Value {
    Value::Number(Number::from(value))
}
