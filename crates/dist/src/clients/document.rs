//! The part of the OpenAPI document that integrators use.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use serde_json::Value;

/// The tag of their operations, and the shorter name that generated classes get.
const TAG: (&str, &str) = ("Subscribers and subscriptions", "Subscriptions");

/// Members of a path that are not operations.
const NO_OPERATIONS: [&str; 4] = ["parameters", "summary", "description", "servers"];

/// Removes all other operations, and the components that only they use.
pub(super) fn for_integrators(mut document: Value) -> anyhow::Result<Value> {
    let paths = document["paths"].as_object_mut().context("the OpenAPI document has no paths")?;
    for path in paths.values_mut().filter_map(Value::as_object_mut) {
        path.retain(|name, value| {
            NO_OPERATIONS.contains(&name.as_str())
                || value["tags"].as_array().is_some_and(|tags| tags.contains(&TAG.0.into()))
        });
        for operation in path.values_mut().filter_map(Value::as_object_mut) {
            if operation.contains_key("tags") {
                operation.insert("tags".to_owned(), [TAG.1].into());
            }
        }
    }
    paths.retain(|_, path| path.as_object().is_some_and(|path| path.values().any(|value| value.get("tags").is_some())));
    if paths.is_empty() {
        bail!("no operation of the OpenAPI document has the tag {:?}", TAG.0);
    }
    document["tags"] = serde_json::json!([{ "name": TAG.1 }]);
    prune(&mut document)?;
    Ok(document)
}

/// Removes components that no operation refers to, directly or indirectly.
pub(super) fn prune(document: &mut Value) -> anyhow::Result<()> {
    let mut used = BTreeSet::new();
    for operations in ["paths", "webhooks"] {
        collect(&document[operations], document, &mut used)?;
    }
    let components = document["components"].as_object_mut().context("the OpenAPI document has no components")?;
    for (kind, components) in components.iter_mut().filter(|(kind, _)| *kind != "securitySchemes") {
        if let Some(components) = components.as_object_mut() {
            components.retain(|name, _| used.contains(&format!("/components/{kind}/{name}")));
        }
    }
    Ok(())
}

/// Adds the JSON pointers of everything that `value` refers to.
fn collect(value: &Value, document: &Value, used: &mut BTreeSet<String>) -> anyhow::Result<()> {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str().and_then(|value| value.strip_prefix('#')) {
                    Some(pointer) if name == "$ref" => {
                        if used.insert(pointer.to_owned()) {
                            let target = document.pointer(pointer);
                            collect(target.with_context(|| format!("nothing at {pointer}"))?, document, used)?;
                        }
                    }
                    _ => collect(value, document, used)?,
                }
            }
        }
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, document, used))?,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn other_operations_go_with_the_components_that_only_they_use() {
        let operation = |tag: &str, schema: &str| {
            let schema = format!("#/components/schemas/{schema}");
            json!({"tags": [tag], "schema": {"$ref": schema}})
        };
        let document = json!({
            "paths": {
                "/both": {"get": operation(TAG.0, "Own"), "post": operation("Operator", "Other"), "parameters": []},
                "/other": {"get": operation("Operator", "Other")},
            },
            "components": {
                "schemas": {"Own": {"$ref": "#/components/schemas/Inner"}, "Inner": {}, "Other": {}},
                "securitySchemes": {"key": {}},
            },
        });
        let reduced = for_integrators(document).unwrap();
        let own = json!({"tags": [TAG.1], "schema": {"$ref": "#/components/schemas/Own"}});
        assert_eq!(reduced["paths"], json!({"/both": {"get": own, "parameters": []}}));
        let schemas: Vec<_> = reduced["components"]["schemas"].as_object().unwrap().keys().collect();
        assert_eq!(schemas, ["Inner", "Own"]);
        assert!(for_integrators(json!({"paths": {}, "components": {}})).is_err());
    }
}
