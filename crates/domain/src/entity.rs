//! The entity of an event: the product, the attribute, the job run. Its key is the key of Kafka records and determines
//! which events stay in order.

use std::fmt;

use crate::event_type::{PIM_PREFIX, known};
use crate::scan::{self, Scan};

/// The entity of an event, as a stable text such as `product 6a9f8486-2c36-4680-b87f-6f5f8f01b6cf` or `asset
/// packshots/front`. All events of one entity share this text; different entities never do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Entity(Box<str>);

impl Entity {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The uuid or code, without the kind: `6a9f8486-2c36-4680-b87f-6f5f8f01b6cf`, `packshots/front`. Entities of
    /// different kinds may share it.
    pub fn key(&self) -> &str {
        let key = self.0.split_once(' ').map_or(&*self.0, |(_, key)| key);
        if self.0.starts_with(BY_IDENTIFIER) { key.strip_prefix("identifier/").unwrap_or(key) } else { key }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path of a value within `data`.
type Path = &'static [&'static str];

/// A kind of entity.
struct Kind {
    /// Remainder of the type names after `com.akeneo.pim.v1.`.
    types: &'static str,
    name: &'static str,
    /// Path components that identify an entity, outermost first.
    key: &'static [Path],
}

/// Kinds with a key of several fields or a text that must stay stable. Entities of other known types are identified by
/// their fields in the catalogue ([`known::about`]).
const KINDS: &[Kind] = &[
    Kind { types: "product.", name: "product", key: &[&["product", "uuid"]] },
    Kind { types: "product-model.", name: "product_model", key: &[&["product_model", "code"]] },
    Kind { types: "asset.", name: "asset", key: &[&["asset", "asset_family", "code"], &["asset", "code"]] },
    Kind { types: "attribute.", name: "attribute", key: &[&["attribute", "code"]] },
    Kind { types: "attribute-group.", name: "attribute_group", key: &[&["attribute_group", "code"]] },
    Kind {
        types: "attribute-option.",
        name: "attribute_option",
        key: &[&["attribute_option", "attribute", "code"], &["attribute_option", "code"]],
    },
    Kind { types: "category.", name: "category", key: &[&["category", "code"]] },
    Kind { types: "family.", name: "family", key: &[&["family", "code"]] },
    Kind {
        types: "reference-entity-record.",
        name: "reference_entity_record",
        key: &[&["reference_entity_record", "reference_entity", "code"], &["reference_entity_record", "code"]],
    },
    Kind { types: "job.", name: "job", key: &[&["job", "execution_id"]] },
    Kind { types: "workflow.task.", name: "task", key: &[&["task", "uuid"]] },
    Kind { types: "app.", name: "app", key: &[&["app", "client_id"]] },
    Kind { types: "connection.", name: "connection", key: &[&["connection", "client_id"]] },
];

/// Versions before 7.0 have no uuids; their products are identified by identifier.
const PRODUCT_IDENTIFIER: Path = &["product", "identifier"];
/// Start of the text of such a product.
const BY_IDENTIFIER: &str = "product identifier/";

/// The entity of an event. None for types of no known family, and if the data lacks it.
pub fn entity_of(event_type: &str, data: &str) -> Option<Entity> {
    let Some(kind) = kind_of(event_type) else { return by_fields(event_type, data) };
    let mut text = String::with_capacity(48);
    text.push_str(kind.name);
    for (index, path) in kind.key.iter().enumerate() {
        text.push(if index == 0 { ' ' } else { '/' });
        if !push_code(&mut text, data, path, index + 1 < kind.key.len()) {
            return if kind.name == "product" { product_by_identifier(data) } else { None };
        }
    }
    Some(Entity(text.into_boxed_str()))
}

/// The values within `data` required for events of the type, because they identify the entity.
pub fn key_paths(event_type: &str) -> &'static [&'static [&'static str]] {
    kind_of(event_type).map_or(&[], |kind| kind.key)
}

fn kind_of(event_type: &str) -> Option<&'static Kind> {
    let name = event_type.strip_prefix(PIM_PREFIX)?;
    KINDS.iter().find(|kind| name.starts_with(kind.types))
}

/// The entity of an event of a known type without a kind.
fn by_fields(event_type: &str, data: &str) -> Option<Entity> {
    let about = known::about(event_type)?;
    let mut text = format!("{} ", about.object);
    push_code(&mut text, data, &[&about.object, about.field], false).then(|| Entity(text.into_boxed_str()))
}

fn product_by_identifier(data: &str) -> Option<Entity> {
    let mut text = String::from(BY_IDENTIFIER);
    push_code(&mut text, data, PRODUCT_IDENTIFIER, false).then(|| Entity(text.into_boxed_str()))
}

/// Appends the string or number at a path; false if there is none. A `/` in a code followed by another one is escaped,
/// so that `a/b` in `c` and `b` in `a/c` stay distinct.
fn push_code(text: &mut String, data: &str, path: &[&str], escape: bool) -> bool {
    let Some(raw) = scan::find(data, path) else { return false };
    let mut value = Scan::new(raw);
    match value.kind() {
        Some(scan::Kind::Number) => text.push_str(raw),
        Some(scan::Kind::String) => match value.string() {
            Some(code) if code.is_empty() => return false,
            Some(code) if escape && code.contains(['/', '%']) => {
                text.push_str(&code.replace('%', "%25").replace('/', "%2F"));
            }
            Some(code) => text.push_str(&code),
            None => return false,
        },
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_type::{EventType, EventTypes};

    fn check(short_type: &str, data: &str, expect: Option<&str>) {
        let entity = entity_of(&format!("{PIM_PREFIX}{short_type}"), data);
        assert_eq!(entity.as_ref().map(Entity::as_str), expect, "{short_type} {data}");
    }

    #[test]
    fn names_the_entity_of_an_event() {
        check("product.created", r#"{"product":{"uuid":"6a9f","identifier":"x"},"author":{}}"#, Some("product 6a9f"));
        check("product.updated.delta", r#"{"author":{},"product":{"changes":{},"uuid":"6a9f"}}"#, Some("product 6a9f"));
        check("product.deleted", r#"{"product":{"identifier":"A 1"}}"#, Some("product identifier/A 1"));
        check("product.deleted", r#"{"product":{"uuid":null,"identifier":"A"}}"#, Some("product identifier/A"));
        check("product.deleted", r#"{"product":{}}"#, None);
        check("product-model.updated", r#"{"product_model":{"code":"tee"}}"#, Some("product_model tee"));
        check("product-model.updated", r#"{"product":{"uuid":"6a9f"}}"#, None);
        check("asset.updated", r#"{"asset":{"asset_family":{"code":"f"},"code":"a"}}"#, Some("asset f/a"));
        check("asset.updated", r#"{"asset":{"code":"a"}}"#, None);
        check("job.import.status-changed", r#"{"job":{"execution_id":233,"code":"c"}}"#, Some("job 233"));
        check("workflow.task.created", r#"{"task":{"uuid":"7"},"product":{"uuid":"6"}}"#, Some("task 7"));
        check("invoice.paid", r#"{"invoice":{"code":"a"}}"#, None);
        assert_eq!(entity_of("org.shop.product.created", r#"{"product":{"uuid":"6a9f"}}"#), None);
    }

    #[test]
    fn different_entities_have_different_keys() {
        let key = |family: &str, code: &str| {
            let data = format!(r#"{{"asset":{{"asset_family":{{"code":"{family}"}},"code":"{code}"}}}}"#);
            entity_of("com.akeneo.pim.v1.asset.created", &data).expect("an asset")
        };
        assert_ne!(key("a/b", "c"), key("a", "b/c"));
        assert_ne!(key("a%2Fb", "c"), key("a/b", "c"));
    }

    #[test]
    fn an_entity_is_found_by_its_uuid_or_code() {
        let check = |short_type: &str, data: &str, expect: &str| {
            let entity = entity_of(&format!("{PIM_PREFIX}{short_type}"), data).expect("an entity");
            assert_eq!(entity.key(), expect, "{entity}");
        };
        check("product.created", r#"{"product":{"uuid":"6a9f"}}"#, "6a9f");
        check("product.deleted", r#"{"product":{"identifier":"A 1"}}"#, "A 1");
        check("product-model.updated", r#"{"product_model":{"code":"identifier/tee"}}"#, "identifier/tee");
        check("asset.updated", r#"{"asset":{"asset_family":{"code":"f"},"code":"a b"}}"#, "f/a b");
    }

    #[test]
    fn every_known_type_is_about_something() {
        for name in EventTypes::new().iter().map(EventType::as_str) {
            let example = known::example(name).expect("known");
            assert!(entity_of(name, example).is_some(), "{name} {example}");
            assert!(by_fields(name, example).is_some(), "{name}: its fields alone tell, too");
            for path in key_paths(name) {
                let path = format!("data.{}", path.join("."));
                assert!(known::fields(name).expect("known").iter().any(|field| field.path == path), "{name} {path}");
            }
        }
    }
}
