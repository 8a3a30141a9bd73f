//! The shape of events, from the field lists of the catalogue: the JSON Schemas served at `dataschema`, and the check
//! of producers' events against the same lists.
//!
//! Interpretation of the lists: they are not exhaustive, so further members are allowed everywhere. The contract's own
//! examples have `null` where a list says `string` (`end_time` of a running job), so `null` is allowed for every text,
//! number and boolean, except for those that identify the entity of an event, which are required.

mod check;
mod shape;

use domain::event_type::{EventTypes, known};

pub use check::{MOST_FAULTS, check};
use shape::{Kind, Shape};

use crate::json::{Value, parse};

/// URL of a type's schema: `dataschema` of its events.
pub fn address(public_base_url: &str, event_type: &str) -> String {
    format!("{}/spec/{event_type}.schema.json", public_base_url.trim_end_matches('/'))
}

/// The JSON Schema (2020-12) of delivered events of a type. None for a type outside the catalogue.
pub fn schema(event_types: &EventTypes, event_type: &str, public_base_url: &str) -> Option<String> {
    if !event_types.contains(event_type) {
        return None;
    }
    let address = address(public_base_url, event_type);
    let mut data = match shape::of(event_type) {
        Some(shape) => describe(shape),
        None => typed("object"),
    };
    if let Some(example) = known::example(event_type).and_then(|text| parse(text.as_bytes()).ok()) {
        data.push(member("examples", Value::Array(vec![example])));
    }
    let constant = |value: &str| object(vec![member("const", value)]);
    let text = |format: &str| object(vec![member("type", "string"), member("format", format)]);
    // In the order of contract page 2.
    let properties = vec![
        member("specversion", constant("1.0")),
        member("id", object(typed("string"))),
        member("source", object(typed("string"))),
        member("type", constant(event_type)),
        member("subject", text("uuid")),
        member("datacontenttype", constant("application/json")),
        member("dataschema", constant(&address)),
        member("time", text("date-time")),
        member("data", object(data)),
    ];
    let required = properties.iter().map(|(name, _)| Value::from(name.as_str())).collect();
    // Extension attributes (contract page 7).
    let extensions = ["string", "boolean", "integer"].map(Value::from).to_vec();
    let document = vec![
        member("$schema", "https://json-schema.org/draft/2020-12/schema"),
        member("$id", address),
        member("title", event_type),
        member("type", "object"),
        member("required", Value::Array(required)),
        member("properties", object(properties)),
        member("additionalProperties", object(vec![member("type", Value::Array(extensions))])),
    ];
    Some(object(document).to_canonical())
}

type Members = Vec<(String, Value)>;

fn member(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
}

fn object(members: Members) -> Value {
    Value::Object(members)
}

fn typed(name: &str) -> Members {
    vec![member("type", name)]
}

fn describe(shape: &Shape) -> Members {
    let mut members = match &shape.kind {
        Kind::Any => return Vec::new(),
        Kind::String => typed("string"),
        Kind::Integer => typed("integer"),
        Kind::Number => typed("number"),
        Kind::Boolean => typed("boolean"),
        Kind::Object(fields) => {
            let mut members = typed("object");
            let named = |field: &shape::Field| Value::from(field.name.as_str());
            let required: Vec<Value> = fields.iter().filter(|field| field.required).map(named).collect();
            if !required.is_empty() {
                members.push(member("required", Value::Array(required)));
            }
            let properties = fields.iter().map(|field| member(&field.name, object(describe(&field.shape)))).collect();
            members.push(member("properties", object(properties)));
            members
        }
        Kind::Map(value) => {
            let mut members = typed("object");
            members.push(member("additionalProperties", object(describe(value))));
            members
        }
        Kind::List(item) => {
            let mut members = typed("array");
            members.push(member("items", object(describe(item))));
            members
        }
    };
    if shape.nullable
        && let Some((_, name)) = members.first_mut()
    {
        *name = Value::Array(vec![name.clone(), Value::from("null")]);
    }
    members
}

#[cfg(test)]
mod tests;
