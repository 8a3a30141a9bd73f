//! The catalogue of event types: those of source `pim`, with the fields of their data and an example, and those
//! registered by the operator. `catalogue.json` is the only list of them in the product: adding a type there needs no
//! other change.

use std::sync::LazyLock;

use super::{EventType, PIM_PREFIX};
use crate::nearest::nearest;
use crate::scan::Scan;

/// The built-in types, in the contract's order.
static KNOWN: LazyLock<Vec<KnownType>> = LazyLock::new(|| read(include_str!("known.json")));

struct KnownType {
    name: EventType,
    fields: Vec<DataField>,
    example: &'static str,
    about: Option<About>,
}

/// The entity of a type's events according to its fields: an object of their data, and the field that identifies it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The object, such as `task`.
    pub object: String,
    /// The identifying field, such as `uuid`.
    pub field: &'static str,
}

/// Fields that identify an entity, best first.
const NAMING: [&str; 5] = ["uuid", "code", "client_id", "execution_id", "identifier"];

impl About {
    /// The first object other than the author with an identifying field.
    fn of(fields: &[DataField]) -> Option<About> {
        let has = |path: &str| fields.iter().any(|field| field.path == path);
        fields.iter().find_map(|field| {
            let object = field.path.strip_prefix("data.").filter(|name| !name.contains('.') && *name != "author")?;
            let field = NAMING.into_iter().find(|name| has(&format!("data.{object}.{name}")))?;
            Some(About { object: object.to_owned(), field })
        })
    }
}

/// An entry of a type's field list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataField {
    /// Path, such as `data.product.uuid`; in lists and maps, the path of an item's content.
    pub path: String,
    /// JSON type, such as `string`, `string | null`, `array<object>` or `any`.
    pub json_type: String,
}

/// A type registered by the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisteredType {
    /// Name of the type.
    pub name: EventType,
    /// The source that sends it, if only one does.
    pub source: Option<String>,
}

/// The types available to subscriptions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventTypes {
    /// By name, without known types.
    registered: Vec<RegisteredType>,
}

impl EventTypes {
    /// Only the known types.
    pub fn new() -> EventTypes {
        EventTypes::default()
    }

    /// The known types and further ones, without duplicates.
    pub fn with_registered(types: impl IntoIterator<Item = RegisteredType>) -> EventTypes {
        let mut registered: Vec<_> = types.into_iter().filter(|one| known(one.name.as_str()).is_none()).collect();
        registered.sort_by(|a, b| a.name.cmp(&b.name));
        registered.dedup_by(|a, b| a.name == b.name);
        EventTypes { registered }
    }

    /// Whether the type is available to subscriptions.
    pub fn contains(&self, name: &str) -> bool {
        known(name).is_some() || self.registered(name).is_some()
    }

    /// The most likely intended name for an unknown one. Known types match without `com.akeneo.pim.v1.` as well.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        // A shared prefix would make all names near.
        let short = |name| str::strip_prefix(name, PIM_PREFIX).unwrap_or(name);
        let found = nearest(short(name), self.iter().map(|name| short(name.as_str())))
            .or_else(|| nearest(last_words(name), self.iter().map(|name| short(name.as_str()))))?;
        self.iter().map(EventType::as_str).find(|name| short(name) == found)
    }

    /// All types: the known ones in the contract's order, then the registered ones by name.
    pub fn iter(&self) -> impl Iterator<Item = &EventType> {
        KNOWN.iter().map(|one| &one.name).chain(self.registered.iter().map(|one| &one.name))
    }

    /// Types registered by the operator, by name.
    pub fn registered_types(&self) -> &[RegisteredType] {
        &self.registered
    }

    fn registered(&self, name: &str) -> Option<&RegisteredType> {
        let at = self.registered.binary_search_by(|one| one.name.as_str().cmp(name)).ok()?;
        self.registered.get(at)
    }
}

/// The fields of a known type's data, parents before their members. Registered types have none.
pub fn fields(event_type: &str) -> Option<&'static [DataField]> {
    known(event_type).map(|one| one.fields.as_slice())
}

/// An example of a known type's `data`, as compact JSON. Registered types have none.
pub fn example(event_type: &str) -> Option<&'static str> {
    known(event_type).map(|one| one.example)
}

/// The entity of a known type's events, according to its fields.
pub fn about(event_type: &str) -> Option<&'static About> {
    known(event_type)?.about.as_ref()
}

fn known(name: &str) -> Option<&'static KnownType> {
    KNOWN.iter().find(|one| one.name.as_str() == name)
}

/// The name without its first four words, so that a mistyped prefix (`com.akneo.pim.v2.`) does not hide the rest.
fn last_words(name: &str) -> &str {
    name.splitn(5, '.').nth(4).unwrap_or(name)
}

fn read(json: &'static str) -> Vec<KnownType> {
    let mut types = Vec::new();
    Scan::new(json).items(|scan| {
        let (mut name, mut fields, mut example) = (None, Vec::new(), "");
        scan.members(|scan, key| match &*key {
            "type" => name = scan.string(),
            "fields" => scan.items(|scan| {
                let mut pair = Vec::new();
                scan.items(|scan| pair.extend(scan.string()));
                if let [path, json_type] = pair.as_slice() {
                    fields.push(DataField { path: path.to_string(), json_type: json_type.to_string() });
                }
            }),
            "example" => example = scan.raw(),
            _ => scan.skip(),
        });
        let about = About::of(&fields);
        types.extend(name.map(|name| KnownType { name: EventType::new(&name), fields, example, about }));
    });
    types
}

#[cfg(test)]
mod tests {
    use super::super::{
        APP_DELETED, CONNECTION_DELETED, DELTA_TYPES, PRODUCT_IDENTIFIER_TYPES, PRODUCT_UPDATED_DELTA,
        takes_product_identifier,
    };
    use super::*;

    #[test]
    fn every_type_of_the_file_is_known_with_fields_and_an_example() {
        let catalogue = EventTypes::new();
        let file: Vec<serde_json::Value> = serde_json::from_str(include_str!("known.json")).expect("JSON");
        let names: Vec<&str> = file.iter().filter_map(|one| one["type"].as_str()).collect();
        assert_eq!(catalogue.iter().map(EventType::as_str).collect::<Vec<_>>(), names);
        for name in catalogue.iter().map(EventType::as_str) {
            assert!(name.starts_with(PIM_PREFIX) && catalogue.contains(name), "{name}");
            assert!(fields(name).expect("known").iter().all(|field| field.path.starts_with("data.")), "{name}");
            assert!(!fields(name).expect("known").is_empty(), "{name}");
            let example: serde_json::Value = serde_json::from_str(example(name).expect("known")).expect("JSON");
            assert!(example.is_object(), "{name}");
        }
    }

    #[test]
    fn a_type_that_is_added_to_the_file_needs_no_other_change() {
        let line = r#"{"type":"com.akeneo.pim.v1.price-list.published","fields":[["data.author","object"],
            ["data.price_list","object"],["data.price_list.valid","boolean"],["data.price_list.code","string"]],
            "example":{"price_list":{"valid":true,"code":"autumn"},"author":{}}}"#;
        let file = include_str!("known.json").replacen('[', &format!("[{line},"), 1);
        let types = read(file.leak());
        assert_eq!(types.len(), KNOWN.len() + 1);
        let added = types.first().expect("the added type");
        assert_eq!((added.name.as_str(), added.fields.len()), ("com.akeneo.pim.v1.price-list.published", 4));
        let example: serde_json::Value = serde_json::from_str(added.example).expect("JSON");
        assert_eq!(example["price_list"]["code"], "autumn");
        // Schemas, samples, Kafka keys and entities are derived from it.
        assert_eq!(added.about, Some(About { object: "price_list".to_owned(), field: "code" }));
    }

    #[test]
    fn the_list_of_types_is_the_contracts() {
        let contract = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/contract/events.json");
        let Ok(contract) = std::fs::read_to_string(contract) else {
            println!("left out: ../shared/contract/events.json is missing");
            return;
        };
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert!(read(&contract) == read(include_str!("known.json")), "the contract's list is another one");
    }

    #[test]
    fn the_special_types_are_known() {
        let catalogue = EventTypes::new();
        for name in DELTA_TYPES.iter().chain(&PRODUCT_IDENTIFIER_TYPES).chain([&APP_DELETED, &CONNECTION_DELETED]) {
            assert!(catalogue.contains(name), "{name}");
        }
        assert!(takes_product_identifier(PRODUCT_UPDATED_DELTA));
        assert!(!takes_product_identifier("com.akeneo.pim.v1.product-model.updated.delta"));
    }

    #[test]
    fn registered_types_stand_beside_the_known_ones() {
        let register = |name: &str| RegisteredType { name: EventType::new(name), source: None };
        let names = ["org.shop.order.paid", "com.akeneo.pim.v1.product.created", "org.shop.order.paid", "a"];
        let catalogue = EventTypes::with_registered(names.map(register));
        assert_eq!(catalogue.iter().count(), KNOWN.len() + 2);
        assert!(catalogue.contains("org.shop.order.paid") && catalogue.contains("a"));
        assert!(!EventTypes::new().contains("a"));
        assert_eq!(catalogue.nearest("org.shop.order.payed"), Some("org.shop.order.paid"));
        assert_eq!((fields("a"), example("a")), (None, None));
    }

    #[test]
    fn says_which_name_was_meant() {
        let catalogue = EventTypes::new();
        let check = |name: &str, expect: Option<&str>| {
            let expect = expect.map(|short| format!("{PIM_PREFIX}{short}"));
            assert_eq!(catalogue.nearest(name), expect.as_deref(), "{name}");
        };
        check("com.akeneo.pim.v1.product.update", Some("product.updated"));
        check("com.akeneo.pim.v1.product.updated.Delta", Some("product.updated.delta"));
        check("product.updated.delta", Some("product.updated.delta"));
        check("com.akeneo.pim.v1.product_model.created", Some("product-model.created"));
        check("com.akneo.pim.v2.family.deleted", Some("family.deleted"));
        check("com.akeneo.pim.v1.asset.removed", Some("asset.created"));
        check("com.akeneo.pim.v1.invoice.paid", None);
        check("", None);
    }
}
