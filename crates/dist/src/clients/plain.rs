//! The document without what OpenAPI Generator cannot express in PHP, or would make too strict.
//!
//! - A union of objects becomes one object with the members of all: PHP has no union of classes, and the generator's
//!   discriminators need classes that are named like the values.
//! - Webhooks are removed: the generator makes calls of them.
//! - Rules for values are removed: the platform checks requests, and a client that checked responses would fail at the
//!   first value that a newer platform adds.

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::document::prune;

/// Rules for values of any type.
const RULES: [&str; 16] = [
    "enum",
    "not",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "examples",
];

/// The plain document.
pub(super) fn document(document: &Value) -> anyhow::Result<Value> {
    let mut plain = document.clone();
    let schemas = schemas(&mut plain)?;
    let unions: Vec<_> =
        schemas.iter().filter(|(_, schema)| members(schema).is_some()).map(|(name, _)| name.clone()).collect();
    for name in unions {
        let merged = merged(&schemas[&name], schemas)?;
        schemas.insert(name, merged);
    }
    for schema in schemas.values_mut() {
        loosen(schema);
    }
    if let Some(document) = plain.as_object_mut() {
        document.remove("webhooks");
    }
    prune(&mut plain)?;
    Ok(plain)
}

fn schemas(document: &mut Value) -> anyhow::Result<&mut Map<String, Value>> {
    document["components"]["schemas"].as_object_mut().context("the OpenAPI document has no schemas")
}

/// The references that a schema is a union of; `null` is not a union.
fn members(schema: &Value) -> Option<&Vec<Value>> {
    schema["oneOf"].as_array().filter(|members| members.iter().all(|member| member.get("$ref").is_some()))
}

/// One object with the members of all objects of a union. A member that differs between them has the type that its
/// variants have in common; only the members that all require are required.
fn merged(union: &Value, schemas: &Map<String, Value>) -> anyhow::Result<Value> {
    let mut properties: Map<String, Value> = Map::new();
    let mut required: Option<Vec<Value>> = None;
    for member in members(union).into_iter().flatten() {
        let name = member["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/schemas/"));
        let schema = name.and_then(|name| schemas.get(name)).with_context(|| format!("unknown schema {member}"))?;
        let Some(own) = schema["properties"].as_object() else { bail!("{member} is not an object") };
        for (name, property) in own {
            let known = properties.entry(name.clone()).or_insert_with(|| property.clone());
            if known != property {
                *known =
                    json!({"type": common_type(known, property, schemas)?, "description": property["description"]});
            }
        }
        let own = schema["required"].as_array().cloned().unwrap_or_default();
        required =
            Some(required.map_or(own.clone(), |all| all.into_iter().filter(|name| own.contains(name)).collect()));
    }
    Ok(json!({"type": "object", "properties": properties, "required": required.unwrap_or_default()}))
}

fn common_type(one: &Value, other: &Value, schemas: &Map<String, Value>) -> anyhow::Result<&'static str> {
    let (one, other) = (type_of(one, schemas)?, type_of(other, schemas)?);
    if one != other {
        bail!("a member of a union is {one} or {other}; a class in PHP can have only one type");
    }
    Ok(one)
}

/// Type of a schema, apart from `null`.
fn type_of(schema: &Value, schemas: &Map<String, Value>) -> anyhow::Result<&'static str> {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/schemas/")) {
        return type_of(&schemas[name], schemas);
    }
    let of_variants = |kind: &str| schema[kind].as_array().into_iter().flatten();
    let mut variants = of_variants("oneOf").chain(of_variants("allOf")).filter(|variant| variant["type"] != "null");
    if let Some(variant) = variants.next() {
        return type_of(variant, schemas);
    }
    let names = [&schema["type"]].into_iter().chain(schema["type"].as_array().into_iter().flatten());
    let known = ["object", "string", "array", "integer", "number", "boolean"];
    let mut found = names.filter_map(|name| known.into_iter().find(|known| name == known));
    // Constants and enumerations have no type.
    let text = schema["const"].is_string() || schema["enum"][0].is_string();
    found.next().or_else(|| text.then_some("string")).with_context(|| format!("a schema without type: {schema}"))
}

/// Removes rules for values from a schema and from those within it.
fn loosen(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.get("const").is_some_and(Value::is_string) || members.contains_key("enum") {
        members.entry("type").or_insert("string".into());
        members.remove("const");
    }
    if members.contains_key("properties") {
        // Conditions on the members, not variants.
        members.remove("anyOf");
    }
    for rule in RULES {
        members.remove(rule);
    }
    for (name, value) in members {
        match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(loosen),
            ("items" | "additionalProperties", value) => loosen(value),
            ("oneOf" | "anyOf" | "allOf", Value::Array(variants)) => variants.iter_mut().for_each(loosen),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(schemas: &Value) -> Value {
        let all: Vec<_> = schemas.as_object().unwrap().keys().collect();
        let refs: Vec<_> = all.iter().map(|name| json!({"$ref": format!("#/components/schemas/{name}")})).collect();
        document(&json!({"paths": refs, "components": {"schemas": schemas}})).unwrap()["components"]["schemas"].clone()
    }

    #[test]
    fn a_union_becomes_one_object() {
        let variant = |name: &str, config: Value| {
            json!({"required": ["type", "config"], "properties": {
                "type": {"const": name}, "config": {"type": "object", "properties": config}, "id": {"type": "string"},
            }})
        };
        let mut other = variant("b", json!({"topic": {"type": "string"}}));
        other["properties"]["extra"] = json!({"type": ["integer", "null"]});
        other["required"] = json!(["type"]);
        let union = json!({"oneOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}]});
        let schemas = plain(&json!({"A": variant("a", json!({})), "B": other, "Union": union}));
        let union = &schemas["Union"];
        assert_eq!(union["required"], json!(["type"]));
        assert_eq!(union["properties"]["type"]["type"], "string");
        // As any object: the variants have different members.
        assert_eq!(union["properties"]["config"], json!({"type": "object", "description": null}));
        assert_eq!(union["properties"]["id"], json!({"type": "string"}));
        assert_eq!(union["properties"]["extra"], json!({"type": ["integer", "null"]}));
    }

    #[test]
    fn variants_of_different_types_are_an_error() {
        let variant = |of: &str| json!({"type": "object", "properties": {"value": {"type": of}}});
        let union = json!({"oneOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}]});
        let schemas = json!({"A": variant("string"), "B": variant("integer"), "Union": union});
        let error = document(&json!({"paths": {}, "components": {"schemas": schemas}})).unwrap_err();
        assert!(error.to_string().contains("string or integer"), "{error}");
    }

    #[test]
    fn rules_for_values_go_and_members_with_their_names_stay() {
        let schemas = plain(&json!({"A": {"type": "object", "anyOf": [{"required": ["not"]}], "properties": {
            "not": {"enum": ["x"]},
            "pattern": {"type": "array", "minItems": 1, "items": {"type": "string", "maxLength": 3}},
        }}}));
        let expected = json!({"type": "object", "properties": {
            "not": {"type": "string"}, "pattern": {"type": "array", "items": {"type": "string"}},
        }});
        assert_eq!(schemas["A"], expected);
    }
}
