//! The entity of an event: a product or a product model, as known to receivers and snapshots.

use store::{SnapshotKey, SnapshotKind};
use uuid::{Uuid, uuid};
use wire::json::Value;

use crate::field::code_of;

/// Namespace of all UUIDv5 of this bridge: stand-ins for missing uuids, and for event ids that are not UUIDs.
/// Documented for operators; it never changes.
pub const NAMESPACE: Uuid = uuid!("4afe434a-d98d-4408-8bce-f96db8bd058f");

/// Maximum length of codes and identifiers in bytes: no PIM has longer ones (their maximum is 255 characters), and an
/// event is bounded.
const LONGEST_CODE: usize = 64 * 1024;

/// Stand-in uuid of a product without one, as in PIMs before 7.0: a UUIDv5 of `{source}/{identifier}`.
pub fn stand_in(source: &str, identifier: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{source}/{identifier}").as_bytes())
}

/// Only the hyphenated form, so that receivers get the PIM's own spelling.
pub fn hyphenated(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// A product or a product model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PimEntity {
    /// A product.
    Product {
        /// Its own uuid, or the stand-in.
        uuid: Uuid,
        /// Its identifier, if any.
        identifier: Option<String>,
    },
    /// A product model.
    ProductModel {
        /// Its code.
        code: String,
    },
}

impl PimEntity {
    /// The product of a `resource` of the PIM registered as `source`. An invalid uuid is ignored beside an identifier,
    /// and vice versa.
    pub fn product(source: &str, resource: &Value) -> Result<PimEntity, String> {
        let uuid = resource.get("uuid").and_then(Value::as_str).and_then(hyphenated);
        let identifier = code(resource, "identifier");
        let uuid = match (uuid, &identifier) {
            (Some(uuid), _) => uuid,
            (None, Some(identifier)) => stand_in(source, identifier),
            (None, None) => return Err(format!("the product has {}", neither(resource))),
        };
        Ok(PimEntity::Product { uuid, identifier: identifier.filter(|identifier| identifier.len() <= LONGEST_CODE) })
    }

    /// The product model of a `resource`.
    pub fn product_model(resource: &Value) -> Result<PimEntity, String> {
        let code = code(resource, "code").ok_or("the product model has no `code`")?;
        if code.len() > LONGEST_CODE {
            return Err(format!(
                "the product model's `code` has {} bytes, at most {LONGEST_CODE} are supported",
                code.len()
            ));
        }
        Ok(PimEntity::ProductModel { code })
    }

    /// Key of its snapshot.
    pub fn snapshot(&self) -> SnapshotKey {
        match self {
            PimEntity::Product { uuid, .. } => {
                SnapshotKey { kind: SnapshotKind::Product, key: uuid.hyphenated().to_string() }
            }
            PimEntity::ProductModel { code } => SnapshotKey { kind: SnapshotKind::ProductModel, key: code.clone() },
        }
    }

    /// Kind of the entity.
    pub fn kind(&self) -> SnapshotKind {
        match self {
            PimEntity::Product { .. } => SnapshotKind::Product,
            PimEntity::ProductModel { .. } => SnapshotKind::ProductModel,
        }
    }
}

/// A member with a code: a non-empty text, or a number.
fn code(resource: &Value, name: &str) -> Option<String> {
    resource.get(name).and_then(code_of).filter(|code| !code.is_empty())
}

/// Description of missing product names.
fn neither(resource: &Value) -> String {
    let found = |name: &str| resource.get(name).map_or("missing", Value::type_name);
    format!("neither a `uuid` nor an `identifier` (they are {} and {})", found("uuid"), found("identifier"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(resource: &str, expect: Result<(&str, Option<&str>), &str>) {
        let resource = wire::json::parse(resource.as_bytes()).unwrap();
        let found = PimEntity::product("main", &resource).map(|entity| match entity {
            PimEntity::Product { uuid, identifier } => (uuid.to_string(), identifier),
            PimEntity::ProductModel { code } => panic!("{code}"),
        });
        let expect = expect.map(|(uuid, id)| (uuid.to_owned(), id.map(str::to_owned)));
        assert_eq!(found, expect.map_err(str::to_owned));
    }

    #[test]
    fn products_of_all_versions_are_named() {
        const OWN: &str = "a51e56dd-560f-5fb4-81d1-af2588c9ab23";
        // 7.0
        check(&format!(r#"{{"uuid":"{OWN}","identifier":"x"}}"#), Ok((OWN, Some("x"))));
        check(&format!(r#"{{"uuid":"{OWN}","identifier":null}}"#), Ok((OWN, None)));
        check(&format!(r#"{{"uuid":"{}"}}"#, OWN.to_uppercase()), Ok((OWN, None)));
        // 5.0 and 6.0: fixed forever, because receivers store it.
        check(r#"{"identifier":"x"}"#, Ok(("3fdbac2a-def1-5843-a745-000e64030f66", Some("x"))));
        let neither = "the product has neither a `uuid` nor an `identifier` (they are missing and null)";
        check(r#"{"identifier":null}"#, Err(neither));
        let malformed = "the product has neither a `uuid` nor an `identifier` (they are a string and missing)";
        check(r#"{"uuid":"x"}"#, Err(malformed));
        // A malformed value does not matter beside the other one.
        let plain = stand_in("main", "7").to_string();
        check(r#"{"uuid":"x","identifier":7}"#, Ok((&plain, Some("7"))));
        check(&format!(r#"{{"uuid":"{OWN}","identifier":{{}}}}"#), Ok((OWN, None)));
        // It identifies the product anyway.
        let long = "i".repeat(LONGEST_CODE + 1);
        let uuid = stand_in("main", &long).to_string();
        check(&format!(r#"{{"identifier":"{long}"}}"#), Ok((&uuid, None)));
    }

    #[test]
    fn a_stand_in_depends_on_the_source() {
        assert_ne!(stand_in("main", "x"), stand_in("other", "x"));
        assert_eq!(stand_in("main", "x"), Uuid::new_v5(&NAMESPACE, b"main/x"));
    }
}
