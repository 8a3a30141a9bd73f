//! Test events: the body that asks for one, and its outcome.

use domain::attempt::PastAttempt;
use domain::event_type::{EventType, known};
use domain::time::Timestamp;
use domain::{Event, event::PIM_SOURCE};

use super::Rules;
use super::answer::object;
use super::reader::{Reader, read, shortened};
use super::shape::{Field, Object, Shape};
use crate::cloudevents::{self, Request};
use crate::fault::{Fault, Refusal, code};
use crate::json::{Number, Value};

/// The fields of a test event.
pub(super) const FIELDS: Object = Object::new(&[
    Field::optional("type", Shape::EventType, "A known event type; default: the first one of the subscription."),
    Field::optional("data", Shape::Data, "The event's `data`; default: the example of its type."),
]);

/// JSON Schema of the outcome.
pub const SCHEMAS: &[(&str, &str)] = &[(
    "TestOutcome",
    r##"{"type": "object", "required": ["event_id", "event_type", "started_at", "duration_ms", "outcome", "error_reason", "message", "status", "body"], "properties": {
      "event_id": {"type": "string", "description": "Begins with `test-`."}, "event_type": {"type": "string"},
      "started_at": {"type": "string", "format": "date-time"}, "duration_ms": {"type": "integer"},
      "outcome": {"enum": ["delivered", "failed", "throttled", "not_counted"], "description": "`not_counted`: the platform's own problem, or the destination did not process the event."},
      "error_reason": {"oneOf": [{"$ref": "#/components/schemas/ErrorReason"}, {"type": "null"}]},
      "message": {"type": ["string", "null"], "description": "Why it was not delivered, for humans."},
      "status": {"type": ["integer", "null"], "description": "HTTP status of the response; `null` without one."},
      "body": {"type": ["string", "null"], "description": "First 256 bytes of the response body, unless the status is 2xx."}}}"##,
)];

/// A validated request for a test event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TestEvent {
    /// The type.
    pub event_type: EventType,
    data: String,
}

impl TestEvent {
    /// Reads the body of `POST …/test`, if there is one. `first`: the subscription's first type.
    pub fn parse(body: Option<&Value>, first: &EventType, rules: &Rules<'_>) -> Result<TestEvent, Vec<Fault>> {
        let nothing = Value::Object(vec![]);
        read(|faults| {
            let mut fields = Reader::new(body.unwrap_or(&nothing), "", FIELDS.fields, faults)?;
            let event_type = match fields.string("type") {
                None => first.clone(),
                Some(name) if rules.event_types.contains(name) || name == first.as_str() => EventType::new(name),
                Some(name) => {
                    let name = shortened(name);
                    let hint = rules.event_types.nearest(&name).map(|near| format!("; did you mean `{near}`?"));
                    let message = format!("is an unknown event type: `{name}`{}", hint.unwrap_or_default());
                    fields.fault("type", code::UNKNOWN_EVENT_TYPE, message);
                    first.clone()
                }
            };
            let data = match fields.optional("data") {
                Some(data @ Value::Object(_)) => data.to_canonical(),
                Some(other) => {
                    let message = format!("must be an object, not {}", other.type_name());
                    fields.fault("data", code::WRONG_TYPE, message);
                    String::new()
                }
                None => known::example(event_type.as_str()).unwrap_or("{}").to_owned(),
            };
            fields.finish();
            Some(TestEvent { event_type, data })
        })
    }

    /// The event, as if a PIM had sent it.
    pub fn event(&self, id: &str, now: Timestamp) -> Result<Event, Refusal> {
        let head = object([
            ("specversion", "1.0".into()),
            ("id", id.into()),
            ("source", PIM_SOURCE.into()),
            ("type", self.event_type.as_str().into()),
            ("time", now.to_string().into()),
        ])
        .to_canonical();
        let body = format!(r#"{},"data":{}}}"#, head.trim_end_matches('}'), self.data);
        let request = Request {
            content_type: Some(&b"application/cloudevents+json"[..]),
            content_encoding: None,
            headers: [],
            body: body.as_bytes(),
            received_at: now,
        };
        let refused = |refusal: cloudevents::Refusal| Refusal { status: 422, faults: refusal.faults };
        let events = cloudevents::parse::<[(&str, &[u8]); 0]>(request).map_err(refused)?;
        let unread = || Refusal::invalid(vec![Fault::at("data", code::INVALID_VALUE, "data cannot be sent")]);
        events.into_iter().next().ok_or_else(unread)
    }
}

/// The attempt in a response. `message`: why the event was not delivered.
pub fn render(attempt: &PastAttempt, message: Option<&str>) -> String {
    let number = |value: u64| Value::Number(Number::from(value));
    object([
        ("event_id", attempt.event_id.as_str().into()),
        ("event_type", attempt.event_type.as_str().into()),
        ("started_at", attempt.started_at.to_string().into()),
        ("duration_ms", number(attempt.duration.as_millis() as u64)),
        ("outcome", attempt.outcome.as_str().into()),
        ("error_reason", attempt.error_reason.map_or(Value::Null, |reason| reason.as_str().into())),
        ("message", message.map_or(Value::Null, Value::from)),
        ("status", attempt.status.map_or(Value::Null, |status| number(u64::from(status)))),
        ("body", attempt.body.as_deref().map_or(Value::Null, Value::from)),
    ])
    .to_canonical()
}

#[cfg(test)]
mod tests {
    use domain::address::AddressPolicy;
    use domain::event_type::EventTypes;

    use super::*;
    use crate::json::parse;

    const FIRST: &str = "com.akeneo.pim.v1.product.updated";

    fn parsed(body: Option<&str>) -> Result<TestEvent, Vec<Fault>> {
        let rules = Rules {
            event_types: &EventTypes::new(),
            addresses: &AddressPolicy::default(),
            allow_http: false,
            destination_types: &[],
            subject: "",
        };
        let body = body.map(|body| parse(body.as_bytes()).unwrap());
        TestEvent::parse(body.as_ref(), &EventType::new(FIRST), &rules)
    }

    #[test]
    fn a_test_event_is_the_example_unless_told_otherwise() {
        let now = Timestamp::parse("2026-11-02T08:00:00Z").unwrap();
        let event = |body| parsed(body).unwrap().event("test-1", now).unwrap();
        let plain = event(None);
        assert_eq!((plain.id(), plain.event_type()), ("test-1", FIRST));
        assert_eq!(plain.data(), known::example(FIRST).unwrap());
        assert!(plain.product_identifier().is_none() || plain.data().contains("identifier"));
        let other = event(Some(r#"{"type":"com.akeneo.pim.v1.family.updated"}"#));
        assert_eq!(other.data(), known::example("com.akeneo.pim.v1.family.updated").unwrap());
        assert_eq!(event(Some(r#"{"data":{"a":1.0}}"#)).data(), r#"{"a":1}"#);
    }

    #[test]
    fn faults_are_listed_together() {
        let faults = parsed(Some(r#"{"type":"product.updated","data":[],"x":1}"#)).unwrap_err();
        let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, ["unknown_event_type", "wrong_type", "unknown_field"]);
    }
}
