//! Schemas and checks: on the contract's examples, on real events, and with planted faults.

use std::path::PathBuf;

use domain::event_type::{EventType, RegisteredType};
use domain::scan;
use serde_json::{Value as Json, json};

use super::*;

const DELTA: &str = "com.akeneo.pim.v1.product.updated.delta";
const JOB: &str = "com.akeneo.pim.v1.job.import.status-changed";
const ASSET: &str = "com.akeneo.pim.v1.asset.created";

fn example(event_type: &str) -> Json {
    serde_json::from_str(known::example(event_type).expect("known")).expect("JSON")
}

fn schema_of(event_type: &str) -> Json {
    let text = schema(&EventTypes::new(), event_type, "https://events.example/base/").expect("known");
    serde_json::from_str(&text).expect("JSON")
}

/// The subset of JSON Schema used by the schemas, implemented from its specification.
fn valid(schema: &Json, value: &Json) -> bool {
    let has_type = |name: &Json| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => panic!("{name}"),
    };
    let members = value.as_object();
    schema.as_object().expect("a schema").iter().all(|(keyword, rule)| match keyword.as_str() {
        "type" => rule.as_array().map_or_else(|| has_type(rule), |names| names.iter().any(has_type)),
        "const" => value == rule,
        "required" => members.is_none_or(|members| {
            rule.as_array().expect("names").iter().all(|name| members.contains_key(name.as_str().expect("a name")))
        }),
        "properties" => members.is_none_or(|members| {
            members.iter().all(|(name, value)| rule.get(name).is_none_or(|schema| valid(schema, value)))
        }),
        "additionalProperties" => members.is_none_or(|members| {
            let further = |name: &String| schema.get("properties").is_none_or(|known| known.get(name).is_none());
            members.iter().filter(|(name, _)| further(name)).all(|(_, value)| valid(rule, value))
        }),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| valid(rule, item))),
        "$schema" | "$id" | "title" | "format" | "examples" => true,
        other => panic!("keyword {other}"),
    })
}

#[track_caller]
fn assert_fits(event_type: &str, data: &str) {
    assert_eq!(check(event_type, data), [], "{event_type} {data}");
    let schema = schema_of(event_type);
    assert!(valid(&schema["properties"]["data"], &serde_json::from_str(data).expect("JSON")), "{event_type} {data}");
}

#[test]
fn every_example_fits() {
    for name in EventTypes::new().iter().map(EventType::as_str) {
        assert_fits(name, known::example(name).expect("known"));
    }
}

#[test]
fn a_whole_event_fits_the_schema() {
    let address = "https://events.example/base/spec/com.akeneo.pim.v1.product.updated.delta.schema.json";
    let schema = schema_of(DELTA);
    assert_eq!(schema["$id"], address);
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "akeneo-event-platform", "type": DELTA,
        "subject": "0190a6e5-0000-7000-8000-000000000000", "datacontenttype": "application/json", "dataschema": address,
        "time": "2026-11-02T08:27:16.638Z", "traceparent": "00-1", "n": 1, "data": example(DELTA),
    });
    assert!(valid(&schema, &event));
    let check = |change: fn(&mut Json)| {
        let mut event = event.clone();
        change(&mut event);
        assert!(!valid(&schema, &event), "{event}");
    };
    check(|event| event["type"] = json!(JOB));
    check(|event| event["specversion"] = json!("0.3"));
    check(|event| event["traceparent"] = json!({}));
    check(|event| event["data"]["product"]["uuid"] = json!(7));
    check(|event| {
        event.as_object_mut().expect("an object").remove("subject");
    });
}

/// Plants a fault in the example's data: the check must report it and nothing else, and the schema must reject it.
#[track_caller]
fn plant(event_type: &str, pointer: &str, value: Option<Json>, fault: &str) {
    let mut data = example(event_type);
    match value {
        Some(value) => *data.pointer_mut(pointer).expect("the place") = value,
        None => {
            let (parent, name) = pointer.rsplit_once('/').expect("a path");
            data.pointer_mut(parent).and_then(Json::as_object_mut).expect("the place").remove(name);
        }
    }
    let messages: Vec<String> = check(event_type, &data.to_string()).into_iter().map(|fault| fault.message).collect();
    assert_eq!(messages, [fault]);
    assert!(!valid(&schema_of(event_type)["properties"]["data"], &data), "the schema lets it pass: {fault}");
}

#[test]
fn planted_faults_are_found() {
    let about = "is missing: a string that identifies the entity";
    plant(DELTA, "/product/uuid", None, &format!("data.product.uuid {about}"));
    plant(DELTA, "/product/uuid", Some(Json::Null), "data.product.uuid: expected a string, found null");
    plant(DELTA, "/product", Some(json!([])), "data.product: expected an object, found an array");
    plant(ASSET, "/asset/asset_family/code", None, &format!("data.asset.asset_family.code {about}"));
    plant(ASSET, "/asset", None, "data.asset is missing: an object that identifies the entity");
    plant(DELTA, "/author/type", Some(json!(1)), "data.author.type: expected a string, found the number 1");
    plant(JOB, "/job/total_rows", Some(json!(1.5)), "data.job.total_rows: expected an integer, found the number 1.5");
    plant(JOB, "/job/execution_id", Some(json!("9")), "data.job.execution_id: expected an integer, found a string");
    let changes = "/product/changes";
    let delta = |path: &str, value: Json, fault: &str| {
        plant(DELTA, &format!("{changes}{path}"), Some(value), &format!("data.product.changes{fault}"));
    };
    delta("/enabled/new", json!("yes"), ".enabled.new: expected true or false, found a string");
    delta("/categories/added", json!({}), ".categories.added: expected an array, found an object");
    delta("/categories/added/1", json!(2), ".categories.added[1]: expected a string, found the number 2");
    delta("/values/an_added_attribute", json!("x"), ".values.an_added_attribute: expected an array, found a string");
    delta(
        "/values/an_added_attribute/0/locale",
        json!(["fr_FR"]),
        ".values.an_added_attribute[0].locale: expected a string, found an array",
    );
    delta(
        "/associations/another_association_type_code/added/products/0",
        json!(true),
        ".associations.another_association_type_code.added.products[0]: expected a string, found true",
    );
    delta(
        "/quantified_associations/an_association_type_code/added/products/1/quantity",
        json!("2"),
        ".quantified_associations.an_association_type_code.added.products[1].quantity: expected a number, found a \
         string",
    );
}

#[test]
fn unlisted_members_are_allowed() {
    let mut data = example(DELTA);
    data["product"]["identifier"] = json!("1");
    data["product"]["changes"]["parent"]["new"] = Json::Null;
    data["product"]["changes"]["values"]["x"] =
        json!([{"previous": {"a": [1]}, "new": null, "type": null, "more": {}}]);
    data["later"] = json!({"uuid": 1});
    assert_fits(DELTA, &data.to_string());
    let whole = known::example(JOB).expect("known").replace("\"total_rows\":10", "\"total_rows\":1E1");
    assert_fits(JOB, &whole);
    assert_eq!(check("org.shop.order.paid", "{}"), []);
}

#[test]
fn a_flood_of_faults_is_cut() {
    let data =
        format!(r#"{{"product":{{"uuid":"1","changes":{{"categories":{{"added":[{}0]}}}}}}}}"#, "1,".repeat(500));
    assert_eq!(check(DELTA, &data).len(), MOST_FAULTS);
}

#[test]
fn registered_types_have_a_schema_of_the_envelope() {
    let paid = RegisteredType { name: EventType::new("org.shop.order.paid"), source: None };
    let event_types = EventTypes::with_registered([paid]);
    let text = schema(&event_types, "org.shop.order.paid", "https://events.example").expect("registered");
    let schema: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(schema["properties"]["data"], json!({"type": "object"}));
    assert_eq!(super::schema(&event_types, "org.shop.order.sent", "https://events.example"), None);
}

#[test]
fn all_real_events_fit() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/realdata/events.jsonl");
    let Ok(events) = std::fs::read_to_string(file) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "missing in CI: ../shared/realdata/events.jsonl");
        println!("left out: ../shared/realdata/events.jsonl is missing");
        return;
    };
    let schemas: std::collections::HashMap<String, Json> =
        EventTypes::new().iter().map(|name| (name.as_str().to_owned(), schema_of(name.as_str()))).collect();
    for event in events.lines() {
        let event_type = scan::find(event, &["type"]).expect("a type").trim_matches('"');
        let data = scan::find(event, &["data"]).expect("data");
        assert_eq!(check(event_type, data), [], "{event}");
        let data = serde_json::from_str(data).expect("JSON");
        assert!(valid(&schemas[event_type]["properties"]["data"], &data), "{event}");
    }
    assert_eq!(events.lines().count(), 5_612);
}
