//! For any two states, applying the delta between them to the old one yields the new one.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use intake::attributes::Types;
use intake::delta::changes;
use intake::state::State;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};
use store::SnapshotKind;

const UUIDS: [&str; 3] = [
    "a51e56dd-560f-5fb4-81d1-af2588c9ab23",
    "119578a3-9775-56fb-9cc6-f527175afbf0",
    "c4cb0bc4-b10d-5917-9aef-60a9fd8e1032",
];

fn names(of: &'static [&'static str]) -> impl Strategy<Value = Value> {
    subsequence(of.to_vec(), 0..=of.len()).prop_shuffle().prop_map(|names| json!(names))
}

fn optional() -> impl Strategy<Value = Value> {
    select(vec![Value::Null, json!("a"), json!("b")])
}

/// An empty map has two representations.
fn map(of: Vec<(String, Value)>, empty_list: bool) -> Value {
    if of.is_empty() && empty_list { json!([]) } else { Value::Object(of.into_iter().collect()) }
}

fn keyed(keys: &'static [&'static str], value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let some = subsequence(keys.to_vec(), 0..=keys.len()).prop_shuffle();
    (some, vec(value, keys.len()), any::<bool>()).prop_map(|(keys, values, empty_list)| {
        map(keys.into_iter().map(str::to_owned).zip(values).collect(), empty_list)
    })
}

fn data() -> impl Strategy<Value = Value> {
    select(vec![
        json!("text"),
        json!("é “2” \\ / 漢"),
        json!(true),
        json!(false),
        json!(12),
        json!("13.5"),
        json!(["a", "b"]),
        json!([]),
        json!({"amount": "800", "unit": "GRAM"}),
        json!({"amount": "801", "unit": "GRAM"}),
        json!([{"amount": "8.99", "currency": "EUR"}]),
        json!("2011-05-19T00:00:00+00:00"),
        json!({"a": {"b": [1, null]}}),
    ])
}

fn values() -> impl Strategy<Value = Value> {
    let places = [(None, None), (Some("en_US"), None), (Some("en_US"), Some("print")), (None, Some("print"))];
    let entries = (subsequence(places.to_vec(), 1..=places.len()).prop_shuffle(), vec(data(), places.len()));
    let entries = entries.prop_map(|(places, data)| {
        let entry = |((locale, scope), data)| json!({"locale": locale, "scope": scope, "data": data});
        Value::Array(places.into_iter().zip(data).map(entry).collect())
    });
    keyed(&["name", "weight", "0", "10"], entries)
}

fn links() -> impl Strategy<Value = Value> {
    let side = (names(&["p", "q"]), names(&["m"]), names(&["g", "h"]));
    let side = side.prop_map(|(p, m, g)| json!({"products": p, "product_models": m, "groups": g}));
    keyed(&["X_SELL", "PACK"], side)
}

fn quantities() -> impl Strategy<Value = Value> {
    let quantities = || vec(1..4u32, 3);
    let side = (subsequence(UUIDS.to_vec(), 0..=3), quantities(), subsequence(vec!["m", "n"], 0..=2), quantities());
    let side = side.prop_map(|(products, of_products, models, of_models)| {
        let products = products.iter().zip(of_products).map(|(uuid, n)| json!({"uuid": uuid, "quantity": n}));
        let models = models.iter().zip(of_models).map(|(code, n)| json!({"identifier": code, "quantity": n}));
        json!({"products": products.collect::<Vec<_>>(), "product_models": models.collect::<Vec<_>>()})
    });
    keyed(&["SET", "PARTS"], side)
}

fn resource() -> impl Strategy<Value = Value> {
    const CATEGORIES: &[&str] = &["a", "b", "c", "d"];
    let fields = (any::<bool>(), optional(), optional(), names(CATEGORIES), names(&["g", "h"]));
    (fields, values(), links(), quantities()).prop_map(
        |((enabled, family, parent, categories, groups), values, associations, quantified)| {
            json!({
                "enabled": enabled,
                "family": family,
                "parent": parent,
                "categories": categories,
                "groups": groups,
                "values": values,
                "associations": associations,
                "quantified_associations": quantified,
            })
        },
    )
}

fn state(resource: &Value) -> State {
    State::read("main", &wire::json::parse(resource.to_string().as_bytes()).unwrap()).unwrap()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap().clone()
}

/// Removes, then adds.
fn moved(of: &mut Value, change: &Value) {
    let removed = list(&change["removed"]);
    let mut kept: Vec<Value> = list(of).into_iter().filter(|one| !removed.contains(one)).collect();
    kept.extend(list(&change["added"]));
    *of = Value::Array(kept);
}

/// Members of an object; an empty one may be a list or missing.
fn members(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Applies a delta, like a receiver.
fn apply(resource: &Value, changes: &Value) -> Value {
    let mut out = resource.clone();
    for (name, change) in changes.as_object().unwrap() {
        match name.as_str() {
            "enabled" | "family" | "parent" => {
                assert_eq!(out[name], change["previous"]);
                out[name] = change["new"].clone();
            }
            "categories" | "groups" => moved(&mut out[name], change),
            "associations" => {
                let mut types = members(&out[name]);
                for (of, change) in change.as_object().unwrap() {
                    let empty = json!({"products": [], "product_models": [], "groups": []});
                    let side = types.entry(of.clone()).or_insert(empty);
                    for kind in ["products", "product_models", "groups"] {
                        let change = json!({"added": change["added"][kind], "removed": change["removed"][kind]});
                        moved(&mut side[kind], &change);
                    }
                }
                out[name] = Value::Object(types);
            }
            "quantified_associations" => {
                let mut types = members(&out[name]);
                for (of, change) in change.as_object().unwrap() {
                    let side = types.entry(of.clone()).or_insert(json!({"products": [], "product_models": []}));
                    for (kind, theirs, ours) in [("products", "uuid", "uuid"), ("product_models", "code", "identifier")]
                    {
                        let mut kept = list(&side[kind]);
                        let removed = list(&change["removed"][kind]);
                        kept.retain(|one| !removed.contains(&one[ours]));
                        for one in change.get("updated").map(|sides| list(&sides[kind])).unwrap_or_default() {
                            let known = kept.iter_mut().find(|known| known[ours] == one[theirs]).unwrap();
                            assert_eq!(known["quantity"], one["previous_quantity"]);
                            known["quantity"] = one["quantity"].clone();
                        }
                        for one in list(&change["added"][kind]) {
                            kept.push(json!({ours: one[theirs], "quantity": one["quantity"]}));
                        }
                        side[kind] = Value::Array(kept);
                    }
                }
                out[name] = Value::Object(types);
            }
            "values" => {
                let mut attributes = members(&out[name]);
                for (code, entries) in change.as_object().unwrap() {
                    let mut known = attributes.get(code).map(list).unwrap_or_default();
                    for entry in list(entries) {
                        let same = |one: &Value| one["locale"] == entry["locale"] && one["scope"] == entry["scope"];
                        let before = known.iter().find(|one| same(one)).map_or(Value::Null, |one| one["data"].clone());
                        assert_eq!(before, entry["previous"]);
                        known.retain(|one| !same(one));
                        if !entry["new"].is_null() {
                            let place = (&entry["locale"], &entry["scope"]);
                            known.push(json!({"locale": place.0, "scope": place.1, "data": entry["new"]}));
                        }
                    }
                    attributes.insert(code.clone(), Value::Array(known));
                }
                out[name] = Value::Object(attributes);
            }
            other => panic!("a delta never tells of {other}"),
        }
    }
    out
}

/// Normalises the order of unordered parts, and empty or missing members.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), sorted(value)));
            let is_nothing = |value: &Value| {
                value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
            };
            Value::Object(members.filter(|(_, value)| !is_nothing(value)).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_delta_applied_to_the_old_state_gives_the_new_one(old in resource(), new in resource()) {
        let types = Types::default();
        let delta = changes(SnapshotKind::Product, &state(&old), &state(&new), &types);
        let Some(delta) = delta else {
            prop_assert_eq!(sorted(&old), sorted(&new));
            return Ok(());
        };
        let delta: Value = serde_json::from_str(&delta.to_canonical()).unwrap();
        let applied = apply(&old, &delta);
        prop_assert_eq!(sorted(&applied), sorted(&new), "by {}", delta);
        prop_assert_eq!(changes(SnapshotKind::Product, &state(&applied), &state(&new), &types), None);
        // As described by events.json.
        let data = json!({"product": {"uuid": UUIDS[0], "changes": delta}}).to_string();
        prop_assert_eq!(wire::schema::check("com.akeneo.pim.v1.product.updated.delta", &data), []);
    }

    #[test]
    fn a_snapshot_loses_nothing_that_a_delta_tells_of(old in resource(), new in resource()) {
        let types = Types::default();
        let kept = State::from_snapshot(&state(&old).to_snapshot()).unwrap();
        prop_assert_eq!(&kept, &state(&old));
        for kind in [SnapshotKind::Product, SnapshotKind::ProductModel] {
            prop_assert_eq!(
                changes(kind, &kept, &state(&new), &types),
                changes(kind, &state(&old), &state(&new), &types)
            );
            prop_assert_eq!(changes(kind, &kept, &state(&old), &types), None);
        }
    }
}
