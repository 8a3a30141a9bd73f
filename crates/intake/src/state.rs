//! The state of an entity, as far as deltas cover it: parsed from a `resource`, and stored as a snapshot.
//!
//! A snapshot is `version u8 | length u32 LE | LZ4 block`; the block contains the state as JSON in the format of a
//! `resource`. LZ4, because every update reads and writes one: a few microseconds for a product of 1 to 4 KB, which
//! shrinks to about half.

use domain::Timestamp;
use uuid::Uuid;
use wire::json::{Number, Value};

use crate::entity::{hyphenated, stand_in};
use crate::field::{Read, code, code_of, codes, items_of, list, map, members_of, unlike};

/// The only format so far.
const VERSION: u8 = 1;
/// Maximum size of a state, that of a request.
const LARGEST: usize = 64 << 20;

/// The state of a product or product model. A model has no `enabled` and no groups.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct State {
    /// Time of change, as given by the PIM.
    pub updated: Option<String>,
    /// Whether it is enabled.
    pub enabled: Option<bool>,
    /// Family.
    pub family: Option<String>,
    /// Product model of a product, or parent of a product model.
    pub parent: Option<String>,
    /// Categories.
    pub categories: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Associations by type.
    pub associations: Vec<(String, Links)>,
    /// Quantified associations by type.
    pub quantified: Vec<(String, Quantities)>,
    /// Values by attribute.
    pub values: Vec<(String, Vec<Entry>)>,
}

/// Associations of one type.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Links {
    /// Products, named as in the PIM.
    pub products: Vec<String>,
    /// Codes of product models.
    pub product_models: Vec<String>,
    /// Codes of groups.
    pub groups: Vec<String>,
}

/// Quantified associations of one type.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Quantities {
    /// Uuids of products.
    pub products: Vec<(String, Number)>,
    /// Codes of product models.
    pub product_models: Vec<(String, Number)>,
}

/// A value of an attribute.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Locale, if the attribute has values by locale.
    pub locale: Option<String>,
    /// Channel, if the attribute has values by channel.
    pub scope: Option<String>,
    /// Type of the attribute, if sent by the PIM.
    pub attribute_type: Option<String>,
    /// The value, never null, which means no value.
    pub data: Value,
}

impl Entry {
    /// Identifies the value within its attribute.
    pub(crate) fn place(&self) -> (Option<&str>, Option<&str>) {
        (self.locale.as_deref(), self.scope.as_deref())
    }
}

impl State {
    /// Parses a `resource` of the PIM registered as `source`, or says why it cannot be compared: a delta from a
    /// half-understood state would be wrong.
    ///
    /// PHP has one kind of array, and converts keys that look like whole numbers. So empty maps may be `{}` or `[]`, a
    /// list may be an object with integer keys, and a code may be a number. `null` and absent fields are empty. An
    /// invalid time of change doesn't prevent a comparison.
    pub fn read(source: &str, resource: &Value) -> Read<State> {
        Ok(State {
            updated: resource.get("updated").and_then(Value::as_str).map(str::to_owned),
            enabled: match resource.get("enabled") {
                None | Some(Value::Null) => None,
                Some(Value::Bool(truth)) => Some(*truth),
                Some(other) => return Err(format!("`enabled` is {}, expected a boolean", other.type_name())),
            },
            family: code(resource, "family")?,
            parent: code(resource, "parent")?,
            categories: codes(resource, "categories")?,
            groups: codes(resource, "groups")?,
            associations: map(resource, "associations", |links| {
                members_of(links)?;
                Ok(Links {
                    products: codes(links, "products")?,
                    product_models: codes(links, "product_models")?,
                    groups: codes(links, "groups")?,
                })
            })?,
            quantified: map(resource, "quantified_associations", |sides| {
                members_of(sides)?;
                Ok(Quantities {
                    products: list(sides, "products", |link| {
                        Ok((product_uuid(source, link)?.hyphenated().to_string(), quantity(link)?))
                    })?,
                    product_models: list(sides, "product_models", |link| {
                        let name = match code(link, "identifier")? {
                            Some(name) => Some(name),
                            None => code(link, "code")?,
                        };
                        Ok((name.ok_or("it has no `identifier`")?, quantity(link)?))
                    })?,
                })
            })?,
            values: map(resource, "values", entries)?,
        })
    }

    /// Time of the change, if the PIM gives it in a known format.
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.updated.as_deref().and_then(Timestamp::parse)
    }

    /// Whether this state is older than another one (contract page 7: equal or unknown is not older).
    pub fn is_older_than(&self, other: &State) -> bool {
        matches!((self.updated_at(), other.updated_at()), (Some(mine), Some(others)) if mine < others)
    }

    /// Serialises a snapshot.
    pub fn to_snapshot(&self) -> Vec<u8> {
        let text = self.to_value().to_canonical();
        let mut body = Vec::with_capacity(text.len() / 2 + 16);
        body.push(VERSION);
        body.extend_from_slice(&lz4_flex::block::compress_prepend_size(text.as_bytes()));
        body
    }

    /// Parses a snapshot. The error describes the problem.
    pub fn from_snapshot(body: &[u8]) -> Read<State> {
        let Some((&VERSION, block)) = body.split_first() else {
            return Err(format!("its format is not {VERSION}, the only known one"));
        };
        let length = block.first_chunk::<4>().map_or(usize::MAX, |length| u32::from_le_bytes(*length) as usize);
        if length > LARGEST {
            return Err(format!("it claims to have {length} bytes"));
        }
        let text = lz4_flex::block::decompress_size_prepended(block).map_err(|error| error.to_string())?;
        let value = wire::json::parse(&text).map_err(|error| error.to_string())?;
        State::read("", &value)
    }

    /// In the format of a `resource`.
    pub(crate) fn to_value(&self) -> Value {
        let optional = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        let links = |links: &Links| {
            object([
                ("products", strings(&links.products)),
                ("product_models", strings(&links.product_models)),
                ("groups", strings(&links.groups)),
            ])
        };
        let quantified = |name: &'static str, links: &[(String, Number)]| {
            let one = |(of, quantity): &(String, Number)| {
                object([(name, Value::from(of.as_str())), ("quantity", Value::Number(quantity.clone()))])
            };
            Value::Array(links.iter().map(one).collect())
        };
        let entry = |entry: &Entry| {
            let mut members = vec![("locale", optional(&entry.locale)), ("scope", optional(&entry.scope))];
            if let Some(name) = &entry.attribute_type {
                members.push(("attribute_type", Value::from(name.as_str())));
            }
            members.push(("data", entry.data.clone()));
            object(members)
        };
        object([
            ("updated", optional(&self.updated)),
            ("enabled", self.enabled.map_or(Value::Null, Value::Bool)),
            ("family", optional(&self.family)),
            ("parent", optional(&self.parent)),
            ("categories", strings(&self.categories)),
            ("groups", strings(&self.groups)),
            ("associations", members(&self.associations, links)),
            (
                "quantified_associations",
                members(&self.quantified, |sides| {
                    object([
                        ("products", quantified("uuid", &sides.products)),
                        ("product_models", quantified("identifier", &sides.product_models)),
                    ])
                }),
            ),
            ("values", members(&self.values, |entries| Value::Array(entries.iter().map(entry).collect()))),
        ])
    }
}

/// An object of these members.
pub(crate) fn object<'n>(members: impl IntoIterator<Item = (&'n str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// An array of strings.
pub(crate) fn strings<'t>(texts: impl IntoIterator<Item = &'t String>) -> Value {
    Value::Array(texts.into_iter().map(|text| Value::from(text.as_str())).collect())
}

fn members<T>(map: &[(String, T)], write: impl Fn(&T) -> Value) -> Value {
    Value::Object(map.iter().map(|(name, value)| (name.clone(), write(value))).collect())
}

fn entries(of: &Value) -> Read<Vec<Entry>> {
    let items = items_of(of).ok_or_else(|| format!("it is {}, expected an array", of.type_name()))?;
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        if item.as_object().is_none() {
            return Err(format!("an entry is {}, expected an object", item.type_name()));
        }
        let data = match item.get("data") {
            None | Some(Value::Null) => continue,
            Some(data) => data.clone(),
        };
        let attribute_type = code(item, "attribute_type")?;
        entries.push(Entry { locale: code(item, "locale")?, scope: code(item, "scope")?, attribute_type, data });
    }
    Ok(entries)
}

/// A malformed uuid is ignored beside a valid identifier.
fn product_uuid(source: &str, link: &Value) -> Read<Uuid> {
    let uuid = link.get("uuid").and_then(Value::as_str).and_then(hyphenated);
    let identifier = link.get("identifier").and_then(code_of).filter(|identifier| !identifier.is_empty());
    match (uuid, identifier) {
        (Some(uuid), _) => Ok(uuid),
        (None, Some(identifier)) => Ok(stand_in(source, &identifier)),
        (None, None) => Err("it has neither a `uuid` nor an `identifier`".to_owned()),
    }
}

fn quantity(link: &Value) -> Read<Number> {
    match link.get("quantity") {
        Some(Value::Number(number)) => Ok(number.clone()),
        Some(other) => Err(unlike("quantity", "a number", other)),
        None => Err("it has no `quantity`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(resource: &str) -> Read<State> {
        State::read("main", &wire::json::parse(resource.as_bytes()).unwrap())
    }

    #[test]
    fn empty_maps_come_in_two_ways_or_not_at_all() {
        let empty = State::default();
        for resource in [
            "{}",
            r#"{"values":{},"associations":{},"quantified_associations":{},"categories":[],"parent":null}"#,
            r#"{"values":[],"associations":[],"quantified_associations":[],"groups":null}"#,
            r#"{"values":null}"#,
        ] {
            assert_eq!(read(resource).as_ref(), Ok(&empty), "{resource}");
        }
        let sides = read(r#"{"associations":{"UP":[]},"quantified_associations":{"Q":[]}}"#).unwrap();
        assert_eq!(sides.associations, [("UP".to_owned(), Links::default())]);
        assert_eq!(sides.quantified, [("Q".to_owned(), Quantities::default())]);
    }

    #[test]
    fn phps_forms_of_codes_and_lists_are_understood() {
        let same = |odd: &str, plain: &str| assert_eq!(read(odd), read(plain), "{odd}");
        same(
            r#"{"categories":[123,"b"],"family":7,"parent":-1}"#,
            r#"{"categories":["123","b"],"family":"7","parent":"-1"}"#,
        );
        same(r#"{"groups":{"1":"a","5":"b"}}"#, r#"{"groups":["a","b"]}"#);
        same(
            r#"{"values":{"name":{"1":{"locale":7,"scope":8,"data":1}}}}"#,
            r#"{"values":{"name":[{"locale":"7","scope":"8","data":1}]}}"#,
        );
        same(r#"{"associations":{"UP":{"products":[4711]}}}"#, r#"{"associations":{"UP":{"products":["4711"]}}}"#);
        same(r#"{"associations":{"UP":null},"values":{"a":null}}"#, r#"{"associations":{"UP":{}},"values":{"a":[]}}"#);
        same(
            r#"{"quantified_associations":{"Q":{"products":[{"uuid":"no","identifier":"p","quantity":1}]}}}"#,
            r#"{"quantified_associations":{"Q":{"products":[{"identifier":"p","quantity":1}]}}}"#,
        );
        same(r#"{"updated":7}"#, "{}");
    }

    #[test]
    fn malformed_fields_are_named() {
        let check = |resource: &str, why: &str| assert_eq!(read(resource).unwrap_err(), why);
        check(r#"{"values":[1]}"#, "`values` is an array, expected an object");
        check(r#"{"values":{"a":{"b":1}}}"#, "`values.a`: it is an object, expected an array");
        check(r#"{"values":{"a":[{"locale":true,"data":1}]}}"#, "`values.a`: `locale` is a boolean, expected a string");
        check(r#"{"categories":["a",null]}"#, "`categories[1]`: it is null, expected a string");
        check(
            r#"{"associations":{"X":{"products":{"sku":"sku"}}}}"#,
            "`associations.X`: `products` is an object, expected an array",
        );
        check(r#"{"associations":{"X":7}}"#, "`associations.X`: it is a number, expected an object");
        check(r#"{"enabled":"yes"}"#, "`enabled` is a string, expected a boolean");
        check(
            r#"{"quantified_associations":{"Q":{"products":[{"quantity":1}]}}}"#,
            "`quantified_associations.Q`: `products[0]`: it has neither a `uuid` nor an `identifier`",
        );
    }

    #[test]
    fn a_snapshot_comes_back_as_it_was() {
        let state = read(
            r#"{"updated":"2026-11-03T09:00:13+01:00","enabled":true,"family":"scanners","parent":null,
                "categories":["b","a"],"groups":["g"],
                "associations":{"X_SELL":{"products":["p"],"product_models":[],"groups":["g"]}},
                "quantified_associations":{"PACK":{"products":[{"identifier":"p","quantity":2}],
                    "product_models":[{"identifier":"m","quantity":1.50}]}},
                "values":{"0":[{"locale":"en_US","scope":null,"data":12.0}],"weight":[{"locale":null,"scope":"print",
                    "attribute_type":"pim_catalog_metric","data":{"amount":"1.0000","unit":"GRAM"}}]}}"#,
        )
        .unwrap();
        assert_eq!(state.quantified[0].1.products[0].0, stand_in("main", "p").to_string());
        let back = State::from_snapshot(&state.to_snapshot()).unwrap();
        // Numbers come back in canonical form, with the same meaning.
        let number = |text: &str| wire::json::parse(text.as_bytes()).unwrap();
        let mut expect = state.clone();
        expect.values[0].1[0].data = number("12");
        expect.quantified[0].1.product_models[0].1 = number("1.5").as_number().unwrap().clone();
        assert_eq!(back, expect);
        assert_eq!(back.updated_at(), Timestamp::parse("2026-11-03T08:00:13Z"));
    }

    #[test]
    fn damage_is_found() {
        let body = State { family: Some("x".repeat(500)), ..State::default() }.to_snapshot();
        assert!(body.len() < 200, "it is compressed");
        for damaged in [&[][..], &[2], &[1], &[1, 255, 255, 255, 255], &body[..body.len() - 9]] {
            assert!(State::from_snapshot(damaged).is_err());
        }
    }
}
