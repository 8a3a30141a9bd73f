//! What became of an event for a subscription: the answer of `GET …/events/{event_id}`.

use domain::LoggedEvent;
use domain::attempt::PastAttempt;
use domain::fate::Fate;
use domain::time::Timestamp;

use super::answer::object;
use super::attempts;
use crate::json::Value;

/// JSON Schema of the response.
pub(super) const SCHEMAS: &[(&str, &str)] = &[(
    "EventFate",
    r##"{"type": "object", "required": ["event_id", "event_type", "accepted_at", "fate", "message", "next_attempt_at", "attempts"], "properties": {
      "event_id": {"type": "string"}, "event_type": {"type": "string"},
      "accepted_at": {"type": "string", "format": "date-time"},
      "fate": {"enum": FATES, "description": "`not_subscribed`: its type was not subscribed to. `filtered_out`: the filter excluded it. `not_active`: accepted before the subscription existed, or during a suspension without `options.hold`. `waiting`: not tried yet. `in_flight`: an attempt is under way. `waiting_for_retry`: tried, to be tried again. `delivered`: the destination has it. `given_up`: tried for the last time. `dropped`: dropped with a backlog."},
      "message": {"type": "string", "description": "The same for humans, with the condition of the filter, the suspension or the failure."},
      "next_attempt_at": {"type": ["string", "null"], "format": "date-time"},
      "attempts": {"type": "array", "items": {"$ref": "#/components/schemas/Attempt"}, "description": "Remembered attempts for this event, newest first."}}}"##,
)];

/// What became of an event.
pub fn render(
    logged: &LoggedEvent,
    fate: Fate,
    message: &str,
    next_attempt_at: Option<Timestamp>,
    attempts: &[PastAttempt],
) -> String {
    object([
        ("event_id", logged.event.id().into()),
        ("event_type", logged.event.event_type().into()),
        ("accepted_at", logged.accepted_at.to_string().into()),
        ("fate", fate.as_str().into()),
        ("message", message.into()),
        ("next_attempt_at", next_attempt_at.map_or(Value::Null, |at| at.to_string().into())),
        ("attempts", Value::Array(attempts.iter().map(attempts::to_value).collect())),
    ])
    .to_canonical()
}
