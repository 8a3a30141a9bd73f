//! Backlogs over time in responses.

use domain::backlog::Step;

use super::answer::object;
use crate::json::{Number, Value};

/// JSON Schemas of the response.
pub(super) const SCHEMAS: &[(&str, &str)] = &[(
    "BacklogStep",
    r##"{"type": "object", "description": "The highest values of a step. Each minute, the subscriptions are sampled whose oldest undelivered event is at least 10 seconds old; steps without such samples are left out, and suspended subscriptions have none.",
      "required": ["from", "seconds", "oldest_seconds", "waiting", "waiting_is_at_least"], "properties": {
      "from": {"type": "string", "format": "date-time", "description": "Start of the step."},
      "seconds": {"type": "integer", "description": "Its length: 300 in this hour and the one before, 3600 earlier."},
      "oldest_seconds": {"type": "integer", "description": "Age of the oldest undelivered event; of one that waits for a retry, since its first attempt. Of several subscriptions, the greatest."},
      "waiting": {"type": "integer", "description": "Undelivered events in memory. Of several subscriptions, the sum of their highest values."},
      "waiting_is_at_least": {"type": "boolean", "description": "Whether there were more: a subscription that is far behind reads its events from the log when their turn comes."}}}"##,
)];

/// A step in a response.
pub(super) fn to_value(step: &Step) -> Value {
    let number = |value: u64| Value::Number(Number::from(value));
    object([
        ("from", step.from.to_string().into()),
        ("seconds", number(step.length.as_secs())),
        ("oldest_seconds", number(step.peak.oldest.as_secs())),
        ("waiting", number(step.peak.waiting)),
        ("waiting_is_at_least", step.peak.at_least.into()),
    ])
}

/// The steps as an array.
pub fn render(steps: &[Step]) -> String {
    Value::Array(steps.iter().map(to_value).collect()).to_canonical()
}
