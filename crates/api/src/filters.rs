//! `POST /api/v1/filters/check`: explains and validates a filter, and tests it on an event, or on recent ones.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::filter::{Facets, Filter};
use http::StatusCode;
use store::KeptQuery;
use wire::Fault;
use wire::api::kept;
use wire::fault::{self, code};
use wire::json::Value;

use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::kept::{Seen, Sight};
use crate::management::Sent;
use crate::refusal::Refusal;
use crate::{Api, auth::caller::Caller};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "checkFilter",
        "Check a filter",
        "Validates and explains a filter, and tests it on an event, or on the kept events that `GET /events` lists. \
         The status is 200 even if the filter is invalid.",
    )
    .sends("FilterQuestion", r#"{"filter":"not user=\"system\"","event":{"type":"com.akeneo.pim.v1.product.created","data":{"author":{"identifier":"erp","type":"api"}}}}"#)
    .answers(200, "The result of the check.", Shown::One("FilterAnswer"))
    .invalid(&[code::REQUIRED, code::WRONG_TYPE, code::UNKNOWN_FIELD, code::INVALID_VALUE])
}

/// Schemas of the body and the response.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "FilterQuestion",
        r##"{"type": "object", "required": ["filter"], "additionalProperties": false, "properties": {
          "filter": {"type": ["string", "null"], "description": "The expression.", "examples": ["not user=\"system\"",
          "user=system", ""]},
          "event": {"type": ["object", "null"],
          "description": "An event as delivered or sent; only its `type` and `data` matter.",
            "required": ["type", "data"], "properties": {"type": {"type": "string"}, "data": {"type": "object"}}},
          "recent": {"type": ["object", "null"], "additionalProperties": false,
          "description": "Tests the filter on the latest kept events as well.", "properties": {
            "events": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "Number of events; by default 100."},
            "types": {"type": "array", "items": {"type": "string"},
            "description": "Only events of these types; by default all that the caller may see.",
            "examples": [["com.akeneo.pim.v1.product.updated"]]}}}}}"##,
    ),
    (
        "FilterAnswer",
        r##"{"type": "object", "required": ["valid", "explanation", "errors"], "properties": {
          "valid": {"type": "boolean"},
          "explanation": {"type": ["string", "null"],
          "description": "Plain-language explanation; `null` if the filter is invalid."},
          "matches": {"type": "boolean",
          "description": "Whether the event passes; only with an event and a valid filter."},
          "recent": {"$ref": "#/components/schemas/FilteredEvents"},
          "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"},
          "description": "Errors in the filter, with their positions."}}}"##,
    ),
    (
        "FilteredEvents",
        r##"{"type": "object", "required": ["tested", "matching", "since", "items"],
          "description": "Only with `recent` and a valid filter.", "properties": {
          "tested": {"type": "integer", "description": "Number of tested events."},
          "matching": {"type": "integer", "description": "Number of those that pass."},
          "since": {"type": ["string", "null"], "format": "date-time",
          "description": "When the oldest tested event was accepted."},
          "items": {"type": "array", "maxItems": 100, "description": "The latest of the tested events, newest first.",
            "items": {"type": "object", "required": ["matches", "event"], "properties": {
              "matches": {"type": "boolean"},
              "event": {"$ref": "#/components/schemas/KeptEventSummary"}}}}}}"##,
    ),
];

/// `{filter, event?}` → `{valid, explanation, matches?, errors}`. An invalid filter is a valid question, so the status
/// is 200.
pub(crate) async fn check(State(api): State<Arc<Api>>, caller: Caller, sent: Sent) -> Result<Response, Refusal> {
    let body = sent.json()?;
    let Question { filter, event, recent } = Question::read(&body)?;
    let mut answer = Vec::new();
    let mut put = |name: &str, value: Value| answer.push((name.to_owned(), value));
    match Filter::parse(filter) {
        Ok(filter) => {
            put("valid", Value::Bool(true));
            let explanation = filter.as_ref().map_or("every event of the subscribed types".to_owned(), Filter::explain);
            put("explanation", explanation.as_str().into());
            if let Some((event_type, data)) = event {
                let data = data.to_canonical();
                let matches = passes(filter.as_ref(), event_type, &data);
                put("matches", Value::Bool(matches));
            }
            if let Some(recent) = recent {
                put("recent", recent.test(&api, &caller, filter.as_ref()).await?);
            }
            put("errors", Value::Array(vec![]));
        }
        Err(error) => {
            put("valid", Value::Bool(false));
            put("explanation", Value::Null);
            put("errors", listed(Fault::filter("filter", error)));
        }
    }
    Ok(json(StatusCode::OK, Value::Object(answer).to_canonical()))
}

fn passes(filter: Option<&Filter>, event_type: &str, data: &str) -> bool {
    filter.is_none_or(|filter| filter.matches(&Facets::of(event_type, data)))
}

/// Recent events to test the filter on.
struct Recent<'a> {
    events: usize,
    types: Option<Vec<&'a str>>,
}

/// Maximum number of tested events that are listed.
const MOST_LISTED: usize = 100;

impl<'a> Recent<'a> {
    fn read(recent: &'a Value, faults: &mut Vec<Fault>) -> Option<Recent<'a>> {
        let Some(fields) = recent.as_object() else {
            let message = format!("`recent` must be an object, not {}", recent.type_name());
            faults.push(Fault::at("recent", code::WRONG_TYPE, message));
            return None;
        };
        for (name, _) in fields.iter().filter(|(name, _)| name != "events" && name != "types") {
            let message = format!("unknown field {name:?}; the fields are `events` and `types`");
            faults.push(Fault::at(format!("recent.{name}"), code::UNKNOWN_FIELD, message));
        }
        let events = match recent.get("events") {
            None => 100,
            Some(Value::Number(number)) if number.as_u64().is_some_and(|count| (1..=1000).contains(&count)) => {
                number.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
            }
            Some(_) => {
                let message = "`recent.events` must be a number from 1 to 1000";
                faults.push(Fault::at("recent.events", code::INVALID_VALUE, message.to_owned()));
                return None;
            }
        };
        let types = match recent.get("types") {
            None => None,
            Some(Value::Array(list)) if list.iter().all(|one| one.as_str().is_some()) => {
                Some(list.iter().filter_map(Value::as_str).collect())
            }
            Some(_) => {
                let message = "`recent.types` must be a list of event types";
                faults.push(Fault::at("recent.types", code::WRONG_TYPE, message.to_owned()));
                return None;
            }
        };
        Some(Recent { events, types })
    }

    /// Tests the filter on the latest of the events that the caller may see.
    async fn test(&self, api: &Api, caller: &Caller, filter: Option<&Filter>) -> Result<Value, Refusal> {
        let sight = Sight::of(api, caller).await?;
        let query = KeptQuery { limit: self.events, ..KeptQuery::default() };
        let found = sight.find(api, self.types.as_deref(), query).await?.events;
        let test = |seen: Seen| {
            let matches = passes(filter, seen.logged.event.event_type(), seen.logged.event.data());
            (seen.logged, matches)
        };
        let tested: Vec<_> = found.into_iter().map(test).collect();
        Ok(kept::tested(&tested, MOST_LISTED))
    }
}

/// The fault in the format of error responses.
fn listed(fault: Fault) -> Value {
    let body = fault::Refusal::invalid(vec![fault]).body();
    let envelope = wire::json::parse(body.as_bytes()).ok();
    envelope.as_ref().and_then(|envelope| envelope.get("errors")).cloned().unwrap_or(Value::Array(vec![]))
}

struct Question<'a> {
    filter: &'a str,
    /// Type and data.
    event: Option<(&'a str, &'a Value)>,
    recent: Option<Recent<'a>>,
}

impl<'a> Question<'a> {
    fn read(body: &'a Value) -> Result<Question<'a>, Refusal> {
        let Some(fields) = body.as_object() else {
            let message = format!("expected an object with `filter`, not {}", body.type_name());
            return Err(Refusal::invalid(vec![Fault::new(code::WRONG_TYPE, message)]));
        };
        let mut faults = Vec::new();
        for (name, _) in fields.iter().filter(|(name, _)| !["filter", "event", "recent"].contains(&name.as_str())) {
            let message = format!("unknown field {name:?}; the fields are `filter`, `event` and `recent`");
            faults.push(Fault::at(name, code::UNKNOWN_FIELD, message));
        }
        let filter = match body.get("filter") {
            None => {
                faults.push(Fault::at("filter", code::REQUIRED, "`filter` is missing: the expression to check"));
                ""
            }
            Some(Value::Null) => "",
            Some(Value::String(text)) => text,
            Some(other) => {
                let message = format!("`filter` must be a string, not {}", other.type_name());
                faults.push(Fault::at("filter", code::WRONG_TYPE, message));
                ""
            }
        };
        let event = match body.get("event") {
            None | Some(Value::Null) => None,
            Some(event) => read_event(event, &mut faults),
        };
        let recent = match body.get("recent") {
            None | Some(Value::Null) => None,
            Some(recent) => Recent::read(recent, &mut faults),
        };
        if faults.is_empty() { Ok(Question { filter, event, recent }) } else { Err(Refusal::invalid(faults)) }
    }
}

/// An event as delivered or sent; only its `type` and `data` matter, other members are ignored.
fn read_event<'a>(event: &'a Value, faults: &mut Vec<Fault>) -> Option<(&'a str, &'a Value)> {
    if event.as_object().is_none() {
        let message = format!("`event` must be an object with `type` and `data`, not {}", event.type_name());
        faults.push(Fault::at("event", code::WRONG_TYPE, message));
        return None;
    }
    let event_type = event.get("type").and_then(Value::as_str);
    if event_type.is_none() {
        faults.push(Fault::at("event.type", code::REQUIRED, "the event's `type`, a string, is missing"));
    }
    let data = event.get("data").filter(|data| data.as_object().is_some());
    if data.is_none() {
        faults.push(Fault::at("event.data", code::REQUIRED, "the event's `data`, an object, is missing"));
    }
    event_type.zip(data)
}
