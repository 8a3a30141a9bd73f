//! `POST /api/v1/filters/check`: explains and validates a filter, and tests it on an event.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::filter::{Facets, Filter};
use http::StatusCode;
use wire::Fault;
use wire::fault::{self, code};
use wire::json::Value;

use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::refusal::Refusal;
use crate::{Api, auth::caller::Caller};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "checkFilter",
        "Check a filter",
        "Validates and explains a filter, and tests it on an event. The status is 200 even if the filter is invalid.",
    )
    .sends("FilterQuestion", r#"{"filter":"not user=\"system\"","event":{"type":"com.akeneo.pim.v1.product.created","data":{"author":{"identifier":"erp","type":"api"}}}}"#)
    .answers(200, "The result of the check.", Shown::One("FilterAnswer"))
    .invalid(&[code::REQUIRED, code::WRONG_TYPE, code::UNKNOWN_FIELD])
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
            "required": ["type", "data"], "properties": {"type": {"type": "string"}, "data": {"type": "object"}}}}}"##,
    ),
    (
        "FilterAnswer",
        r##"{"type": "object", "required": ["valid", "explanation", "errors"], "properties": {
          "valid": {"type": "boolean"},
          "explanation": {"type": ["string", "null"],
          "description": "Plain-language explanation; `null` if the filter is invalid."},
          "matches": {"type": "boolean",
          "description": "Whether the event passes; only with an event and a valid filter."},
          "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"},
          "description": "Errors in the filter, with their positions."}}}"##,
    ),
];

/// `{filter, event?}` → `{valid, explanation, matches?, errors}`. An invalid filter is a valid question, so the status
/// is 200.
pub(crate) async fn check(State(_): State<Arc<Api>>, _: Caller, sent: Sent) -> Result<Response, Refusal> {
    let body = sent.json()?;
    let Question { filter, event } = Question::read(&body)?;
    let mut answer = Vec::new();
    let mut put = |name: &str, value: Value| answer.push((name.to_owned(), value));
    match Filter::parse(filter) {
        Ok(filter) => {
            put("valid", Value::Bool(true));
            let explanation = filter.as_ref().map_or("every event of the subscribed types".to_owned(), Filter::explain);
            put("explanation", explanation.as_str().into());
            if let Some((event_type, data)) = event {
                let data = data.to_canonical();
                let matches = filter.is_none_or(|filter| filter.matches(&Facets::of(event_type, &data)));
                put("matches", Value::Bool(matches));
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
}

impl<'a> Question<'a> {
    fn read(body: &'a Value) -> Result<Question<'a>, Refusal> {
        let Some(fields) = body.as_object() else {
            let message = format!("expected an object with `filter`, not {}", body.type_name());
            return Err(Refusal::invalid(vec![Fault::new(code::WRONG_TYPE, message)]));
        };
        let mut faults = Vec::new();
        for (name, _) in fields.iter().filter(|(name, _)| name != "filter" && name != "event") {
            let message = format!("unknown field {name:?}; the fields are `filter` and `event`");
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
        if faults.is_empty() { Ok(Question { filter, event }) } else { Err(Refusal::invalid(faults)) }
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
