//! Replays: the body that starts one, and how they are shown.

use domain::filter::Filter;
use domain::replay::{Only, Replay, ReplayScope};
use domain::time::Timestamp;

use super::answer::object;
use super::kept::ID;
use super::query::INSTANT;
use super::reader::{Reader, read};
use super::shape::{Field, Object, Shape};
use super::subscription::{self, FILTER};
use crate::fault::{Fault, code};
use crate::json::{Number, Value, parse};

/// Maximum number of events of a replay by id (contract page 8, "Replay").
pub const MOST_IDS: usize = 1_000;

const ONLY: [(&str, Undelivered); 2] = [("given_up", Undelivered::GivenUp), ("dropped", Undelivered::Dropped)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Undelivered {
    GivenUp,
    Dropped,
}

/// The fields of a new replay.
pub(super) const FIELDS: Object = Object::new(&[
    Field::optional(
        "from",
        Shape::Text(INSTANT),
        "Start of the time span of acceptance, inclusive. Not before the oldest kept event.",
    ),
    Field::optional(
        "to",
        Shape::Text(INSTANT),
        "End of the time span, exclusive. At most the current time, which is the default.",
    ),
    Field::optional(
        "only",
        Shape::NameOrNames(&[ONLY[0].0, ONLY[1].0]),
        "With a time span: only events that were given up, or dropped with a backlog.",
    ),
    Field::optional(
        "event_ids",
        Shape::TextList(ID.examples(&["b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001"]), MOST_IDS),
        "Instead of a time span: single events. Those that are not kept or not visible count as `gone`.",
    ),
    Field::optional("filter", Shape::Text(FILTER), "A filter in addition to the subscription's own."),
    Field::optional(
        "rate",
        Shape::Number("0.01"),
        "Maximum number of events per second, at most the highest rate of a subscription.",
    ),
])
.one_of(
    r#"[{"title":"A time span","required":["from"],"properties":{"from":{"type":"string"},"event_ids":{"type":"null"}}},
        {"title":"Single events","required":["event_ids"],
         "properties":{"event_ids":{"type":"array"},"from":{"type":"null"},"to":{"type":"null"},"only":{"type":"null"}}}]"#,
);

/// JSON Schema of a replay.
pub(super) const SCHEMAS: &[(&str, &str)] = &[(
    "Replay",
    r##"{"type": "object", "required": ["id", "subscription_id", "from", "to", "only", "filter", "rate", "created_at", "status", "reason", "matched", "delivered", "failed", "skipped", "gone", "at"], "properties": {
      "id": {"type": "string", "format": "uuid", "description": "Deliveries carry it as `X-Postrider-Replay`."},
      "subscription_id": {"type": "string", "format": "uuid"},
      "from": {"type": ["string", "null"], "format": "date-time", "description": "Start of the time span; `null` for single events."},
      "to": {"type": ["string", "null"], "format": "date-time", "description": "End of the time span; `null` for single events."},
      "only": {"oneOf": [{"type": "array", "items": {"enum": ["given_up", "dropped"]}}, {"type": "null"}]},
      "filter": {"type": ["string", "null"]}, "rate": {"type": ["number", "null"]},
      "created_at": {"type": "string", "format": "date-time"},
      "status": {"enum": ["running", "done", "cancelled", "failed"]},
      "reason": {"type": ["string", "null"], "description": "Why it ended, unless it is done."},
      "matched": {"type": "integer", "description": "Events it has come to: `delivered` + `failed` + `skipped` + `gone`, and while it runs those waiting for a retry."},
      "delivered": {"type": "integer"},
      "failed": {"type": "integer", "description": "Events given up after four attempts."},
      "skipped": {"type": "integer", "description": "Events left to the regular delivery, which has not settled them."},
      "gone": {"type": "integer", "description": "Events that are no longer kept, or not visible."},
      "at": {"type": ["string", "null"], "format": "date-time", "description": "Acceptance time of the latest event it has come to."}}}"##,
)];

/// A validated request for a replay.
#[derive(Clone, PartialEq, Debug)]
pub struct NewReplay {
    /// Which events.
    pub which: Which,
    /// A condition beside the subscription's own.
    pub filter: Option<Filter>,
    /// Maximum rate in events per second.
    pub rate: Option<f64>,
}

/// Events to be replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Which {
    /// Events accepted in a time span.
    Span {
        /// Inclusive start.
        from: Timestamp,
        /// Exclusive end.
        to: Timestamp,
        /// Restriction to undelivered ones.
        only: Only,
    },
    /// Events with these ids.
    Events(Vec<String>),
}

/// Reads the body of `POST …/replay`. `highest`: the highest rate of a subscription.
pub fn parse_new(body: &Value, highest: f64, now: Timestamp) -> Result<NewReplay, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", FIELDS.fields, faults)?;
        let ids = fields.text_list("event_ids");
        let by_id = fields.optional("event_ids").is_some();
        if by_id {
            for name in ["from", "to", "only"] {
                if fields.optional(name).is_some() {
                    fields.fault(name, code::INVALID_VALUE, "cannot be combined with event_ids");
                }
            }
        }
        let span = if by_id { None } else { span(&mut fields, now) };
        let filter = subscription::filter(&mut fields);
        let rate = fields.number("rate", highest);
        fields.finish();
        Some(NewReplay { which: ids.map(Which::Events).or(span)?, filter, rate })
    })
}

fn span(fields: &mut Reader<'_, '_>, now: Timestamp) -> Option<Which> {
    if fields.optional("from").is_none() {
        fields.fault("from", code::REQUIRED, "is required, unless event_ids is sent");
    }
    let from = fields.time("from");
    let sent_to = fields.time("to");
    if sent_to.is_some_and(|to| to > now) {
        fields.fault("to", code::INVALID_VALUE, format_args!("is in the future; the current time is {now}"));
    }
    let to = sent_to.unwrap_or(now);
    if from.is_some_and(|from| from >= to) {
        fields.fault("from", code::INVALID_VALUE, format_args!("must be before to, which is {to}"));
    }
    let only = fields.name_or_names("only", &ONLY).unwrap_or_default();
    let only = Only { given_up: only.contains(&Undelivered::GivenUp), dropped: only.contains(&Undelivered::Dropped) };
    Some(Which::Span { from: from?, to, only })
}

/// A replay in a response.
pub fn render(replay: &Replay) -> String {
    to_value(replay).to_canonical()
}

/// Several replays in a response: a bare array.
pub fn render_list(replays: &[Replay]) -> String {
    Value::Array(replays.iter().map(to_value).collect()).to_canonical()
}

fn to_value(replay: &Replay) -> Value {
    let time = |at: Option<Timestamp>| at.map_or(Value::Null, |at| at.to_string().into());
    let (from, to, only) = match &replay.scope {
        ReplayScope::Span { from, to, only, .. } => (Some(*from), Some(*to), *only),
        ReplayScope::Events(_) => (None, None, Only::default()),
    };
    let only: Vec<Value> = ONLY
        .iter()
        .filter(|(_, which)| match which {
            Undelivered::GivenUp => only.given_up,
            Undelivered::Dropped => only.dropped,
        })
        .map(|(name, _)| Value::from(*name))
        .collect();
    let progress = &replay.progress;
    let settled = progress.delivered + progress.failed + progress.skipped + progress.gone;
    let rate = replay.rate.and_then(|rate| parse(rate.to_string().as_bytes()).ok());
    object([
        ("id", replay.id.to_string().into()),
        ("subscription_id", replay.subscription.to_string().into()),
        ("from", time(from)),
        ("to", time(to)),
        ("only", if only.is_empty() { Value::Null } else { Value::Array(only) }),
        ("filter", replay.filter.as_ref().map_or(Value::Null, |filter| filter.as_str().into())),
        ("rate", rate.unwrap_or(Value::Null)),
        ("created_at", replay.created_at.to_string().into()),
        ("status", replay.status.as_str().into()),
        ("reason", replay.reason.as_deref().map_or(Value::Null, Value::from)),
        ("matched", number(settled + progress.open.len() as u64)),
        ("delivered", number(progress.delivered)),
        ("failed", number(progress.failed)),
        ("skipped", number(progress.skipped)),
        ("gone", number(progress.gone)),
        ("at", time(progress.at)),
    ])
}

fn number(value: u64) -> Value {
    Value::Number(Number::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-02T12:00:00Z";

    fn parsed(body: &str) -> Result<NewReplay, Vec<(String, &'static str)>> {
        let body = parse(body.as_bytes()).unwrap();
        let faults = |faults: Vec<Fault>| {
            faults.into_iter().map(|fault| (fault.field.unwrap_or_default(), fault.code)).collect()
        };
        parse_new(&body, 100.0, Timestamp::parse(NOW).unwrap()).map_err(faults)
    }

    #[track_caller]
    fn check_refused(body: &str, expect: &[(&str, &str)]) {
        let expect: Vec<_> = expect.iter().map(|(field, code)| ((*field).to_owned(), *code)).collect();
        let found = parsed(body).expect_err(body);
        let found: Vec<_> = found.iter().map(|(field, code)| (field.clone(), *code)).collect();
        assert_eq!(found, expect, "{body}");
    }

    #[test]
    fn a_span_ends_now_by_default() {
        let read = parsed(r#"{"from":"2026-11-02T10:00:00+02:00","rate":2.5,"filter":" "}"#).unwrap();
        let (from, to) = (Timestamp::parse("2026-11-02T08:00:00Z").unwrap(), Timestamp::parse(NOW).unwrap());
        assert_eq!(read.which, Which::Span { from, to, only: Only::default() });
        assert_eq!((read.rate, read.filter), (Some(2.5), None));
        for (only, expect) in [
            (r#""given_up""#, Only { given_up: true, dropped: false }),
            (r#"["dropped","given_up"]"#, Only { given_up: true, dropped: true }),
            ("null", Only::default()),
        ] {
            let read = parsed(&format!(r#"{{"from":"2026-11-02T08:00:00Z","only":{only}}}"#)).unwrap();
            assert_eq!(read.which, Which::Span { from, to, only: expect });
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        check_refused("{}", &[("from", "required")]);
        check_refused(r#"{"only":"dropped"}"#, &[("from", "required")]);
        check_refused(
            r#"{"event_ids":["a"],"from":"2026-11-02T08:00:00Z","to":"2026-11-02T09:00:00Z","only":"dropped"}"#,
            &[("from", "invalid_value"), ("to", "invalid_value"), ("only", "invalid_value")],
        );
        check_refused(r#"{"event_ids":[]}"#, &[("event_ids", "too_short")]);
        check_refused(
            r#"{"event_ids":["a","","a",1]}"#,
            &[("event_ids[3]", "wrong_type"), ("event_ids[1]", "too_short"), ("event_ids[2]", "duplicate_value")],
        );
        let ids: Vec<String> = (0..1001).map(|id| format!("\"{id}\"")).collect();
        check_refused(&format!(r#"{{"event_ids":[{}]}}"#, ids.join(",")), &[("event_ids", "too_long")]);
        check_refused(r#"{"from":"2026-11-02T12:00:00Z"}"#, &[("from", "invalid_value")]);
        check_refused(r#"{"from":"2026-11-02T08:00:00Z","to":"2026-11-02T08:00:00Z"}"#, &[("from", "invalid_value")]);
        check_refused(r#"{"from":"2026-11-02T08:00:00Z","to":"2026-11-02T12:00:00.1Z"}"#, &[("to", "invalid_value")]);
        check_refused(r#"{"from":"yesterday"}"#, &[("from", "invalid_value")]);
        for rate in ["0", "100.5", "-1", "1e400"] {
            check_refused(&format!(r#"{{"event_ids":["a"],"rate":{rate}}}"#), &[("rate", "invalid_value")]);
        }
        check_refused(r#"{"event_ids":["a"],"rate":"1"}"#, &[("rate", "wrong_type")]);
        let span = r#""from":"2026-11-02T08:00:00Z""#;
        check_refused(&format!(r#"{{{span},"only":[]}}"#), &[("only", "too_short")]);
        check_refused(&format!(r#"{{{span},"only":["lost"]}}"#), &[("only[0]", "invalid_value")]);
        check_refused(&format!(r#"{{{span},"only":["dropped","dropped"]}}"#), &[("only[1]", "duplicate_value")]);
        check_refused(&format!(r#"{{{span},"only":1}}"#), &[("only", "wrong_type")]);
        check_refused(&format!(r#"{{{span},"filter":"x"}}"#), &[("filter", "invalid_filter")]);
        check_refused(&format!(r#"{{{span},"til":1}}"#), &[("til", "unknown_field")]);
    }
}
