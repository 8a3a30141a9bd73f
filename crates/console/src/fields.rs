//! Forms made from the API's own description: each field has the name, the type and the explanation that the API gives
//! it, so a new destination type or option needs nothing here.

mod read;
mod show;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::answer::Look;
use crate::visit::{Problem, Visit};

pub(crate) use read::{changes, created};
pub(crate) use show::{Filled, inputs, rest, summary};

/// The description of the API, read once.
#[derive(Default)]
pub(crate) struct Catalogue(Mutex<Option<Arc<Value>>>);

impl Catalogue {
    /// The description.
    pub(crate) async fn description(&self, visit: &Visit) -> Result<Arc<Value>, Problem> {
        if let Some(known) = self.0.lock().clone() {
            return Ok(known);
        }
        let read = Arc::new(visit.get("/openapi.json").await?);
        Ok(self.0.lock().get_or_insert(read).clone())
    }
}

/// A field of a form.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Field {
    /// Path in the API's bodies, such as `config.url`; also the name of its input.
    pub(crate) path: String,
    /// The last part of the path.
    pub(crate) name: String,
    /// Explanation.
    pub(crate) about: String,
    /// A valid value.
    pub(crate) example: String,
    pub(crate) required: bool,
    pub(crate) kind: Kind,
}

/// What a field holds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Kind {
    /// One line of text.
    Line,
    /// Several lines of text.
    Lines,
    /// A filter for events.
    Filter,
    /// Text that is never shown; `true`: several lines.
    Secret(bool),
    /// A number.
    Number,
    /// Yes or no.
    Truth,
    /// One of several names.
    Choice(Vec<String>),
    /// Some of several names.
    Set(Vec<String>),
    /// Names and values, one pair per line.
    Map,
    /// Fields of an object.
    Group(Vec<Field>),
    /// Anything else, as JSON.
    Json,
}

/// The schema with this name.
pub(crate) fn schema<'d>(description: &'d Value, name: &str) -> &'d Value {
    description.pointer(&format!("/components/schemas/{name}")).unwrap_or(&Value::Null)
}

/// The types of destination, each with the schema of its creation.
pub(crate) fn destination_types(description: &Value) -> Vec<(&str, &Value)> {
    let mapping = schema(description, "NewSubscription").pointer("/discriminator/mapping").and_then(Value::as_object);
    let types = mapping.into_iter().flatten();
    types.map(|(name, at)| (name.as_str(), resolved(description, at.as_str().unwrap_or_default()))).collect()
}

fn resolved<'d>(description: &'d Value, reference: &str) -> &'d Value {
    description.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null)
}

/// The fields of an object's schema, required ones first, except for those named in `without`.
pub(crate) fn fields(description: &Value, schema: &Value, below: &str, without: &[&str]) -> Vec<Field> {
    let required: Vec<&str> = schema.list("/required").iter().filter_map(Value::as_str).collect();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let others = properties.keys().map(String::as_str).filter(|name| !required.contains(name));
    let names = required.iter().copied().filter(|name| properties.contains_key(*name)).chain(others);
    names
        .filter(|name| !without.contains(name))
        .filter_map(|name| {
            let schema = properties.get(name)?;
            let path = if below.is_empty() { name.to_owned() } else { format!("{below}.{name}") };
            let kind = kind(description, schema, &path)?;
            Some(Field {
                name: name.to_owned(),
                about: schema.text("/description").to_owned(),
                example: schema.text("/examples/0").to_owned(),
                required: required.contains(&name),
                kind,
                path,
            })
        })
        .collect()
}

/// What a property holds; `None` if it cannot be set.
fn kind(description: &Value, schema: &Value, path: &str) -> Option<Kind> {
    if schema.flag("/readOnly") || schema.get("const").is_some() {
        return None;
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return kind(description, resolved(description, reference), path);
    }
    let is = |name: &str| schema.text("/type") == name || schema.list("/type").iter().any(|one| one == name);
    let names = |schema: &Value| -> Vec<String> {
        schema.list("/enum").iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let long = schema.text("/format").starts_with("pem");
    Some(match () {
        () if schema.flag("/writeOnly") => Kind::Secret(long),
        () if !names(schema).is_empty() => Kind::Choice(names(schema)),
        () if is("boolean") => Kind::Truth,
        () if is("integer") || is("number") => Kind::Number,
        () if is("array") => {
            let item = schema.get("items").unwrap_or(&Value::Null);
            let item = item.get("$ref").and_then(Value::as_str).map_or(item, |at| resolved(description, at));
            if names(item).is_empty() { Kind::Json } else { Kind::Set(names(item)) }
        }
        () if schema.get("properties").is_some() => Kind::Group(fields(description, schema, path, &[])),
        () if is("object") => Kind::Map,
        () if is("string") && schema.text("/format") == "event-filter" => Kind::Filter,
        () if is("string") && long => Kind::Lines,
        () if is("string") => Kind::Line,
        () => Kind::Json,
    })
}

/// The label of a field: its name with spaces, and the usual spelling of abbreviations.
pub(crate) fn label(name: &str) -> String {
    let words = name.split('_').map(|word| match word {
        "url" | "id" | "tls" | "sasl" | "pem" | "ca" => word.to_uppercase(),
        "oauth2" => "OAuth2".to_owned(),
        "cloudevents" => "CloudEvents".to_owned(),
        word => word.to_owned(),
    });
    let mut text = words.collect::<Vec<_>>().join(" ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// The label of a value of a choice.
fn choice_label(name: &str) -> String {
    name.replace('_', " ")
}

/// Id of a field's input.
pub(crate) fn id(path: &str) -> String {
    format!("f-{}", path.replace('.', "-"))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A small description with every kind of field.
    pub(crate) fn description() -> Value {
        json!({"components": {"schemas": {
            "NewSubscription": {"discriminator": {"mapping": {"web": "#/components/schemas/Web"}}},
            "EventType": {"type": "string", "enum": ["a.created", "a.updated"]},
            "Web": {"required": ["type", "events", "config"], "properties": {
                "type": {"const": "web"},
                "events": {"type": "array", "items": {"$ref": "#/components/schemas/EventType"}},
                "filter": {"type": ["string", "null"], "format": "event-filter"},
                "config": {"type": "object", "required": ["url", "secret"], "properties": {
                    "url": {"type": "string", "description": "Where to.", "examples": ["https://x.example"]},
                    "secret": {"type": "object", "required": ["primary"], "properties": {
                        "primary": {"type": "string", "writeOnly": true}}},
                    "tls": {"type": ["object", "null"], "required": ["ca_pem", "key_pem"], "properties": {
                        "ca_pem": {"type": "string", "format": "pem-certificates"},
                        "key_pem": {"type": "string", "format": "pem-private-key", "writeOnly": true}}},
                    "headers": {"type": ["object", "null"], "additionalProperties": {"type": "string"}}}},
                "options": {"type": ["object", "null"], "properties": {
                    "hold": {"type": ["boolean", "null"]},
                    "wait": {"type": ["integer", "null"]},
                    "ordering": {"type": ["string", "null"], "enum": ["none", "per_entity", null]}}},
                "id": {"type": "string", "readOnly": true}}}}}})
    }

    pub(crate) fn all() -> Vec<Field> {
        let description = description();
        let types = destination_types(&description);
        fields(&description, types[0].1, "", &[])
    }

    fn flat(fields: &[Field]) -> Vec<(String, Kind)> {
        let each = fields.iter().flat_map(|field| match &field.kind {
            Kind::Group(members) => flat(members),
            kind => vec![(field.path.clone(), kind.clone())],
        });
        each.collect()
    }

    #[test]
    fn a_form_has_the_fields_of_the_description() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expect = vec![
            ("events", Kind::Set(names(&["a.created", "a.updated"]))),
            ("config.url", Kind::Line),
            ("config.secret.primary", Kind::Secret(false)),
            ("config.headers", Kind::Map),
            ("config.tls.ca_pem", Kind::Lines),
            ("config.tls.key_pem", Kind::Secret(true)),
            ("filter", Kind::Filter),
            ("options.hold", Kind::Truth),
            ("options.ordering", Kind::Choice(names(&["none", "per_entity"]))),
            ("options.wait", Kind::Number),
        ];
        let expect: Vec<_> = expect.into_iter().map(|(path, kind)| (path.to_owned(), kind)).collect();
        assert_eq!(flat(&all()), expect);
    }

    #[test]
    fn labels_are_words() {
        for (name, expect) in [("url", "URL"), ("sasl_auth", "SASL auth"), ("topic_id", "Topic ID"), ("hold", "Hold")] {
            assert_eq!(label(name), expect);
        }
    }
}
