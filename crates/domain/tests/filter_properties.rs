//! Random filters on random events: the fast evaluation agrees with a slow one over the whole JSON tree, and a printed
//! filter parses to itself.

use domain::filter::expr::Values;
use domain::filter::{Condition, Expr, Facets, Field, Filter, MAX_LENGTH, MAX_OPERATORS, USER_TYPES};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Few codes, so that filters match events; some need escapes in JSON or in a filter.
fn code() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "name", "price", "fr_FR", "de_DE", "shop", "julia", "api", "a\"b", "c\\", "é🦀", "",
        ])
            .prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ]
}

fn condition() -> impl Strategy<Value = Expr> {
    let field = prop::sample::select(Field::ALL.to_vec());
    (field, prop::collection::vec(code(), 1..4), prop::bool::ANY, 0..USER_TYPES.len()).prop_map(
        |(field, mut codes, equals, user_type)| {
            if field == Field::UserType {
                codes = vec![USER_TYPES[user_type].to_owned()];
            }
            let values = if equals { Values::Equals(codes.remove(0)) } else { Values::In(codes) };
            Expr::Condition(Condition { field, values })
        },
    )
}

fn expr() -> impl Strategy<Value = Expr> {
    condition().prop_recursive(4, 11, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner, 2..4).prop_map(Expr::Or),
        ]
    })
}

fn operators(expr: &Expr) -> usize {
    match expr {
        Expr::Or(parts) | Expr::And(parts) => parts.len() - 1 + parts.iter().map(operators).sum::<usize>(),
        Expr::Not(inner) => 1 + operators(inner),
        Expr::Condition(condition) => usize::from(matches!(condition.values, Values::In(_))),
    }
}

/// A member that may be missing, null, a string or of a wrong type.
fn member(name: &'static str) -> impl Strategy<Value = Option<(String, Value)>> {
    let value = prop_oneof![
        2 => Just(Some(Value::Null)),
        2 => Just(None),
        6 => code().prop_map(|code| Some(Value::String(code))),
        1 => prop::sample::select(vec![json!(7), json!(["fr_FR"]), json!({"locale": "fr_FR"})]).prop_map(Some),
    ];
    value.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
}

fn object(members: Vec<Option<(String, Value)>>) -> Value {
    Value::Object(members.into_iter().flatten().collect())
}

fn entry() -> impl Strategy<Value = Value> {
    let members = (member("scope"), member("locale"), member("channel"), member("new"));
    prop_oneof![9 => members.prop_map(|(a, b, c, d)| object(vec![a, b, c, d])), 1 => Just(json!("scope"))]
}

fn table_row() -> impl Strategy<Value = Value> {
    let members = (member("attribute"), member("attribute_code"), member("code"), member("locale"));
    members.prop_map(|(a, b, c, d)| object(vec![a, b, c, d]))
}

fn changes() -> impl Strategy<Value = Value> {
    let values = prop::collection::vec((code(), prop::collection::vec(entry(), 0..3)), 0..12);
    let rows = || prop::collection::vec(table_row(), 0..2);
    (prop::option::of(values), rows(), rows()).prop_map(|(values, added, removed)| {
        let mut changes = json!({"table_attributes": {"added": added, "removed": removed, "kept": [{"code": "name"}]}});
        if let Some(values) = values {
            changes["values"] = Value::Object(values.into_iter().map(|(code, list)| (code, json!(list))).collect());
        }
        changes
    })
}

fn event() -> impl Strategy<Value = (&'static str, Value)> {
    let types = prop::sample::select(vec![
        ("com.akeneo.pim.v1.product.updated.delta", "product"),
        ("com.akeneo.pim.v1.product-model.updated.delta", "product_model"),
        ("com.akeneo.pim.v1.product.updated.delta", "product_model"),
        ("com.akeneo.pim.v1.product.updated", "product"),
    ]);
    let author = (member("identifier"), prop::sample::select(USER_TYPES.to_vec()), prop::bool::weighted(0.9));
    (types, changes(), author).prop_map(|((event_type, entity), changes, (identifier, user_type, known))| {
        let mut data = Map::new();
        data.insert(entity.to_owned(), json!({"uuid": "{\"]", "changes": changes, "zzz": [[{}], "\\"]}));
        if known {
            data.insert("author".to_owned(), object(vec![identifier, Some(("type".to_owned(), json!(user_type)))]));
        }
        (event_type, Value::Object(data))
    })
}

/// Contract page 3, word by word.
fn slow(expr: &Expr, event_type: &str, data: &Value) -> bool {
    match expr {
        Expr::Or(parts) => parts.iter().any(|part| slow(part, event_type, data)),
        Expr::And(parts) => parts.iter().all(|part| slow(part, event_type, data)),
        Expr::Not(inner) => !slow(inner, event_type, data),
        Expr::Condition(condition) => slow_condition(condition, event_type, data),
    }
}

fn slow_condition(condition: &Condition, event_type: &str, data: &Value) -> bool {
    let one_of = |value: &Value| condition.values.as_slice().iter().any(|wanted| value == wanted);
    let changes = match event_type {
        "com.akeneo.pim.v1.product.updated.delta" => &data["product"]["changes"],
        "com.akeneo.pim.v1.product-model.updated.delta" => &data["product_model"]["changes"],
        _ => &Value::Null,
    };
    let values = changes["values"].as_object();
    let mut entries = values.iter().flat_map(|values| values.values()).filter_map(Value::as_array).flatten();
    match condition.field {
        Field::User => one_of(&data["author"]["identifier"]),
        Field::UserType => one_of(&data["author"]["type"]),
        Field::Attribute => {
            let rows = ["added", "removed"].map(|key| changes["table_attributes"][key].as_array());
            let mut rows = rows.into_iter().flatten().flatten();
            values.is_some_and(|values| values.keys().any(|code| one_of(&json!(code))))
                || rows.any(|row| ["attribute", "attribute_code", "code"].iter().any(|key| one_of(&row[key])))
        }
        Field::Scope | Field::Channel => entries.any(|entry| {
            let (scope, channel) = (&entry["scope"], &entry["channel"]);
            one_of(scope) || one_of(channel) || (entry.is_object() && scope.is_null() && channel.is_null())
        }),
        Field::Locale => {
            entries.any(|entry| one_of(&entry["locale"]) || (entry.is_object() && entry["locale"].is_null()))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_filter_reads_back_as_itself(expr in expr()) {
        let text = expr.to_string();
        let fits = operators(&expr) <= MAX_OPERATORS && text.chars().count() <= MAX_LENGTH;
        match Filter::parse(&text) {
            Ok(filter) => {
                prop_assert!(fits, "accepted: {}", text);
                let filter = filter.expect("not blank");
                prop_assert_eq!(filter.expr(), &expr, "{}", text);
            }
            Err(error) => prop_assert!(!fits, "{}\n{}", text, error),
        }
    }

    #[test]
    fn quick_and_slow_evaluation_agree(expr in expr(), (event_type, data) in event()) {
        let Ok(Some(filter)) = Filter::parse(&expr.to_string()) else { return Ok(()) };
        let expect = slow(&expr, event_type, &data);
        for data in [data.to_string(), serde_json::to_string_pretty(&data).expect("JSON")] {
            prop_assert_eq!(filter.matches(&Facets::of(event_type, &data)), expect, "{}\n{}", filter, data);
        }
    }

    #[test]
    fn the_unmet_part_excludes_the_event_on_its_own(expr in expr(), (event_type, data) in event()) {
        let Ok(Some(filter)) = Filter::parse(&expr.to_string()) else { return Ok(()) };
        let data = data.to_string();
        let facets = Facets::of(event_type, &data);
        let unmet = filter.unmet(&facets);
        prop_assert_eq!(unmet.is_none(), filter.matches(&facets), "{}\n{}", filter, data);
        if let Some(unmet) = unmet {
            let part = Filter::parse(&unmet).expect("a part of the filter").expect("not blank");
            prop_assert!(!part.matches(&facets), "{} of {}", part, filter);
        }
    }

    #[test]
    fn whatever_is_refused_is_refused_with_a_place(
        text in "(user|[a-z]{1,4}|and|or|not|in|=|\"|\\\\|\\(|\\)|\\[|\\]|,| |é|'){0,30}"
    ) {
        if let Err(error) = Filter::parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}", error);
            prop_assert!(error.hint.lines().count() == 3 && !error.found.is_empty() && !error.expected.is_empty());
        }
    }
}
