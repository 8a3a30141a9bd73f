//! The difference of two states, as `changes` of a delta event (contract pages 6 and 7). Members are in the order of
//! the examples in the catalogue of event types.

use store::SnapshotKind;
use wire::json::{Number, Value};

use crate::attributes::{Types, guess};
use crate::index::{Index, beyond};
use crate::sameness::same;
use crate::state::{Entry, Links, Quantities, State, object, strings};

/// Changes between two states of an entity; `None` without changes.
pub fn changes(kind: SnapshotKind, old: &State, new: &State, types: &Types) -> Option<Value> {
    let mut changes: Vec<(String, Value)> = Vec::new();
    let mut add = |name: &str, change: Option<Value>| changes.extend(change.map(|change| (name.to_owned(), change)));
    // Product models have no `enabled`, no groups, and a constant family.
    if kind == SnapshotKind::Product {
        add("enabled", enabled(old.enabled, new.enabled));
    }
    add("categories", set(&old.categories, &new.categories));
    if kind == SnapshotKind::Product {
        add("family", text(old.family.as_deref(), new.family.as_deref()));
        add("groups", set(&old.groups, &new.groups));
    }
    add("parent", text(old.parent.as_deref(), new.parent.as_deref()));
    add("values", values(&old.values, &new.values, types));
    add("associations", by_type(&old.associations, &new.associations, links));
    add("quantified_associations", by_type(&old.quantified, &new.quantified, |old, new| quantities(kind, old, new)));
    (!changes.is_empty()).then_some(Value::Object(changes))
}

fn enabled(old: Option<bool>, new: Option<bool>) -> Option<Value> {
    // An absent field says nothing.
    let (old, new) = (old?, new?);
    (old != new).then(|| object([("previous", Value::Bool(old)), ("new", Value::Bool(new))]))
}

fn text(old: Option<&str>, new: Option<&str>) -> Option<Value> {
    let value = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    (old != new).then(|| object([("previous", value(old)), ("new", value(new))]))
}

fn set(old: &[String], new: &[String]) -> Option<Value> {
    let (added, removed) = (beyond(new, old), beyond(old, new));
    let changed = !added.is_empty() || !removed.is_empty();
    changed.then(|| object([("added", strings(added)), ("removed", strings(removed))]))
}

/// Compares the maps of two states under each association type: first those of the new one in order, then removed ones.
fn by_type<T: Default>(
    old: &[(String, T)],
    new: &[(String, T)],
    compare: impl Fn(&T, &T) -> Option<Value>,
) -> Option<Value> {
    let nothing = T::default();
    let (before, after) = (by_name(old), by_name(new));
    let mut changed: Vec<(String, Value)> = Vec::new();
    for (name, now) in new {
        let change = compare(before.get(&name.as_str()).unwrap_or(&nothing), now);
        changed.extend(change.map(|change| (name.clone(), change)));
    }
    for (name, before) in old.iter().filter(|(name, _)| !after.has(&name.as_str())) {
        changed.extend(compare(before, &nothing).map(|change| (name.clone(), change)));
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

fn by_name<T>(map: &[(String, T)]) -> Index<&str, &T> {
    map.iter().map(|(name, value)| (name.as_str(), value)).collect()
}

fn links(old: &Links, new: &Links) -> Option<Value> {
    let side = |these: &Links, those: &Links| {
        let lists = [
            ("products", beyond(&these.products, &those.products)),
            ("product_models", beyond(&these.product_models, &those.product_models)),
            ("groups", beyond(&these.groups, &those.groups)),
        ];
        let changed = lists.iter().any(|(_, list)| !list.is_empty());
        (changed, object(lists.map(|(name, list)| (name, strings(list)))))
    };
    let ((any_added, added), (any_removed, removed)) = (side(new, old), side(old, new));
    (any_added || any_removed).then(|| object([("added", added), ("removed", removed)]))
}

/// Changes of one list of links.
#[derive(Default)]
struct Moves {
    updated: Vec<Value>,
    added: Vec<Value>,
    removed: Vec<String>,
}

impl Moves {
    /// The catalogue lists `updated` for products only: a changed quantity of a product model is removed and added.
    fn of(name: &str, tells_updates: bool, old: &[(String, Number)], new: &[(String, Number)]) -> Moves {
        let number = |number: &Number| Value::Number(number.clone());
        let (earlier, later) = (by_name(old), by_name(new));
        let mut moves = Moves::default();
        for (of, now) in new {
            let now = number(now);
            let before = earlier.get(&of.as_str()).map(number);
            if before.as_ref().is_some_and(|before| same(None, before, &now)) {
                continue;
            }
            let mut link = vec![(name, Value::from(of.as_str())), ("quantity", now)];
            match before {
                Some(before) if tells_updates => {
                    link.push(("previous_quantity", before));
                    moves.updated.push(object(link));
                }
                Some(_) => {
                    moves.removed.push(of.clone());
                    moves.added.push(object(link));
                }
                None => moves.added.push(object(link)),
            }
        }
        moves.removed.extend(old.iter().map(|(of, _)| of).filter(|of| !later.has(&of.as_str())).cloned());
        moves
    }

    fn is_empty(&self) -> bool {
        self.updated.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

fn quantities(kind: SnapshotKind, old: &Quantities, new: &Quantities) -> Option<Value> {
    let tells_updates = kind == SnapshotKind::Product;
    let products = Moves::of("uuid", tells_updates, &old.products, &new.products);
    let models = Moves::of("code", tells_updates, &old.product_models, &new.product_models);
    if products.is_empty() && models.is_empty() {
        return None;
    }
    let side = |products, models| object([("products", products), ("product_models", models)]);
    let mut sides = Vec::new();
    if !products.updated.is_empty() || !models.updated.is_empty() {
        sides.push(("updated", side(Value::Array(products.updated), Value::Array(models.updated))));
    }
    sides.push(("added", side(Value::Array(products.added), Value::Array(models.added))));
    sides.push(("removed", side(strings(&products.removed), strings(&models.removed))));
    Some(object(sides))
}

type Entries = [Entry];

fn values(old: &[(String, Vec<Entry>)], new: &[(String, Vec<Entry>)], types: &Types) -> Option<Value> {
    let (before, after) = (by_name(old), by_name(new));
    let mut changed: Vec<(String, Value)> = Vec::new();
    for (code, entries) in new {
        let previous = before.get(&code.as_str()).map_or(&[][..], |entries| entries.as_slice());
        changed.extend(attribute(code, previous, entries, types));
    }
    for (code, entries) in old.iter().filter(|(code, _)| !after.has(&code.as_str())) {
        changed.extend(attribute(code, entries, &[], types));
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

/// Values of an attribute by locale and scope.
fn by_place(entries: &Entries) -> Index<(Option<&str>, Option<&str>), &Entry> {
    entries.iter().map(|entry| (entry.place(), entry)).collect()
}

/// Changed values of one attribute: first the existing ones in order, then removed ones.
fn attribute(code: &str, old: &Entries, new: &Entries, types: &Types) -> Option<(String, Value)> {
    let (before, after) = (by_place(old), by_place(new));
    let known = types.get(code);
    let mut changed = Vec::new();
    let mut add = |previous: Option<&Entry>, now: Option<&Entry>| {
        let Some(entry) = now.or(previous) else { return };
        let said = entry.attribute_type.as_deref().or(known.as_deref());
        if let (Some(previous), Some(now)) = (previous, now)
            && same(said, &previous.data, &now.data)
        {
            return;
        }
        let data = |entry: Option<&Entry>| entry.map_or(Value::Null, |entry| entry.data.clone());
        let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
        changed.push(object([
            ("previous", data(previous)),
            ("new", data(now)),
            ("type", text(said.or_else(|| guess(&entry.data)))),
            ("locale", text(entry.locale.as_deref())),
            ("scope", text(entry.scope.as_deref())),
        ]));
    };
    for entry in new {
        add(before.get(&entry.place()), Some(entry));
    }
    for entry in old.iter().filter(|entry| !after.has(&entry.place())) {
        add(Some(entry), None);
    }
    (!changed.is_empty()).then(|| (code.to_owned(), Value::Array(changed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: SnapshotKind, old: &str, new: &str, expect: &str) {
        let state = |text: &str| State::read("main", &wire::json::parse(text.as_bytes()).unwrap()).unwrap();
        let types = Types::of([("size", "pim_catalog_text")]);
        let found = changes(kind, &state(old), &state(new), &types);
        assert_eq!(found.map_or("null".to_owned(), |changes| changes.to_canonical()), expect);
    }

    const PRODUCT: SnapshotKind = SnapshotKind::Product;
    const MODEL: SnapshotKind = SnapshotKind::ProductModel;

    #[test]
    fn fields() {
        check(PRODUCT, r#"{"enabled":true}"#, r#"{"enabled":false}"#, r#"{"enabled":{"previous":true,"new":false}}"#);
        check(PRODUCT, "{}", r#"{"enabled":false}"#, "null");
        check(MODEL, r#"{"enabled":true,"family":"a","groups":["g"]}"#, "{}", "null");
        check(
            PRODUCT,
            r#"{"family":"a","parent":null}"#,
            r#"{"family":null,"parent":"p"}"#,
            r#"{"family":{"previous":"a","new":null},"parent":{"previous":null,"new":"p"}}"#,
        );
        check(MODEL, r#"{"parent":"p"}"#, "{}", r#"{"parent":{"previous":"p","new":null}}"#);
        check(
            PRODUCT,
            r#"{"categories":["a","b","c"],"groups":["g"]}"#,
            r#"{"groups":["g","h","h"],"categories":["c","d","a"]}"#,
            r#"{"categories":{"added":["d"],"removed":["b"]},"groups":{"added":["h"],"removed":[]}}"#,
        );
        check(MODEL, r#"{"categories":["a","b"]}"#, r#"{"categories":["b","a"]}"#, "null");
    }

    #[test]
    fn values_by_attribute_locale_and_scope() {
        check(
            PRODUCT,
            r#"{"values":{"gone":[{"locale":null,"scope":null,"data":"x"}],
                "name":[{"locale":"en_US","scope":null,"data":"a"},{"locale":"de_DE","scope":null,"data":"b"},
                    {"locale":"fr_FR","scope":null,"data":"c"}],
                "weight":[{"locale":null,"scope":null,"data":{"amount":"12.0000","unit":"GRAM"}}]}}"#,
            r#"{"values":{"name":[{"locale":"it_IT","scope":null,"data":"d"},{"locale":"de_DE","scope":null,"data":"B"},
                    {"locale":"en_US","scope":null,"data":"a"},{"locale":"fr_FR","scope":null,"data":null}],
                "weight":[{"locale":null,"scope":null,"data":{"amount":12,"unit":"GRAM"}}],
                "on":[{"locale":null,"scope":"print","data":true}]}}"#,
            concat!(
                r#"{"values":{"name":["#,
                r#"{"previous":null,"new":"d","type":null,"locale":"it_IT","scope":null},"#,
                r#"{"previous":"b","new":"B","type":null,"locale":"de_DE","scope":null},"#,
                r#"{"previous":"c","new":null,"type":null,"locale":"fr_FR","scope":null}],"#,
                r#""on":[{"previous":null,"new":true,"type":"pim_catalog_boolean","locale":null,"scope":"print"}],"#,
                r#""gone":[{"previous":"x","new":null,"type":null,"locale":null,"scope":null}]}}"#
            ),
        );
    }

    #[test]
    fn equality_depends_on_the_type() {
        let value = |code: &str, data: &str| format!(r#"{{"values":{{"{code}":[{{"data":{data}}}]}}}}"#);
        check(PRODUCT, &value("other", r#""12.0""#), &value("other", r#""12""#), "null");
        check(
            PRODUCT,
            &value("size", r#""12.0""#),
            &value("size", r#""12""#),
            r#"{"values":{"size":[{"previous":"12.0","new":"12","type":"pim_catalog_text","locale":null,"scope":null}]}}"#,
        );
        // Newer PIMs send the type along.
        check(
            MODEL,
            r#"{"values":{"a":[{"data":"12.0"}]}}"#,
            r#"{"values":{"a":[{"data":"12","attribute_type":"pim_catalog_textarea"}]}}"#,
            r#"{"values":{"a":[{"previous":"12.0","new":"12","type":"pim_catalog_textarea","locale":null,"scope":null}]}}"#,
        );
    }

    #[test]
    fn associations_by_type() {
        check(
            PRODUCT,
            r#"{"associations":{"UP":{"products":["a","b"],"product_models":[],"groups":[]},"OLD":{"groups":["g"]},
                "SAME":{"products":["x"]}}}"#,
            r#"{"associations":{"SAME":{"products":["x"],"groups":[]},"UP":{"products":["b","c"],"product_models":["m"]},
                "EMPTY":{"products":[]}}}"#,
            concat!(
                r#"{"associations":{"UP":{"added":{"products":["c"],"product_models":["m"],"groups":[]},"#,
                r#""removed":{"products":["a"],"product_models":[],"groups":[]}},"#,
                r#""OLD":{"added":{"products":[],"product_models":[],"groups":[]},"#,
                r#""removed":{"products":[],"product_models":[],"groups":["g"]}}}}"#
            ),
        );
    }

    #[test]
    fn quantified_associations_by_type() {
        const P: &str = "a51e56dd-560f-5fb4-81d1-af2588c9ab23";
        let pack = |quantity: &str, models: &str| {
            format!(
                r#"{{"quantified_associations":{{"PACK":{{"products":[{{"uuid":"{P}","identifier":"p","quantity":{quantity}}}],
                    "product_models":[{models}]}}}}}}"#
            )
        };
        let model = r#"{"identifier":"m","quantity":1}"#;
        let other = r#"{"identifier":"m","quantity":5}"#;
        check(PRODUCT, &pack("2", model), &pack("2.0", model), "null");
        check(
            PRODUCT,
            &pack("2", model),
            &pack("3", ""),
            &format!(
                concat!(
                    r#"{{"quantified_associations":{{"PACK":{{"#,
                    r#""updated":{{"products":[{{"uuid":"{}","quantity":3,"previous_quantity":2}}],"product_models":[]}},"#,
                    r#""added":{{"products":[],"product_models":[]}},"removed":{{"products":[],"product_models":["m"]}}}}}}}}"#
                ),
                P
            ),
        );
        check(
            MODEL,
            &pack("2", model),
            &pack("2", other),
            concat!(
                r#"{"quantified_associations":{"PACK":{"#,
                r#""added":{"products":[],"product_models":[{"code":"m","quantity":5}]},"#,
                r#""removed":{"products":[],"product_models":["m"]}}}}"#
            ),
        );
        check(
            PRODUCT,
            "{}",
            &pack("2", ""),
            &format!(
                concat!(
                    r#"{{"quantified_associations":{{"PACK":{{"added":{{"products":[{{"uuid":"{}","quantity":2}}],"#,
                    r#""product_models":[]}},"removed":{{"products":[],"product_models":[]}}}}}}}}"#
                ),
                P
            ),
        );
    }
}
