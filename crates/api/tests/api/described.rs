//! Checks every request and response of these tests against the description of the API: an undescribed response, and an
//! accepted body that the description does not permit, fail the test that produced them.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use api::Settings;
use bytes::Bytes;
use domain::event_type::EventTypes;
use http::{HeaderMap, Method};
use jsonschema::Validator;
use serde_json::{Value, json};

/// The published description: all types of destination, the known event types.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&api::publish(&published(), &EventTypes::new()).openapi).unwrap());

/// The installation described in the project's repository.
pub(crate) fn published() -> Settings {
    Settings::default()
}

/// Schemas of responses permit additional members; here, every member must be described.
static STRICT: LazyLock<Value> = LazyLock::new(|| {
    let mut components = DOCUMENT["components"].clone();
    for (name, schema) in components["schemas"].as_object_mut().unwrap() {
        // These describe documents and events, whose members are defined elsewhere.
        if !["OpenApi", "PostmanCollection", "EventsApiRequest", "FilterQuestion", "Health"].contains(&name.as_str()) {
            close(schema);
        }
    }
    components
});

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            // An alternative covers only some members of the object described around it.
            for (_, value) in members.iter_mut().filter(|(name, _)| *name != "anyOf") {
                close(value);
            }
            let open = members.contains_key("required") && members.contains_key("properties");
            if open && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(close),
        _ => {}
    }
}

fn faults(schema: &Value, value: &Value) -> Vec<String> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let validator = known.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = schema.clone();
        whole["components"] = STRICT.clone();
        jsonschema::draft202012::new(&whole).unwrap()
    });
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The description's path template for a path.
fn address(path: &str) -> Option<(&'static String, &'static Value)> {
    let path = path.split('?').next().unwrap_or_default();
    let fits = |template: &str| {
        template.split('/').count() == path.split('/').count()
            && template
                .split('/')
                .zip(path.split('/'))
                .all(|(known, sent)| known == sent || (known.starts_with('{') && !sent.is_empty()))
    };
    let mut all = DOCUMENT["paths"].as_object().unwrap().iter().filter(|(template, _)| fits(template));
    all.next()
}

/// Checks a request and its response against the description.
pub(crate) fn hold(
    method: &Method,
    path: &str,
    sent: (&[(String, String)], &Bytes),
    answer: (u16, &HeaderMap, &Bytes),
) {
    let (status, headers, body) = answer;
    let place = format!("{method} {path}, answered {status} {body:?}");
    let Some((_, methods)) = address(path) else {
        assert_eq!(status, 404, "{place}: the address is not described");
        return;
    };
    let looked_up = if *method == Method::HEAD { "get" } else { &method.as_str().to_ascii_lowercase() };
    let Some(action) = methods.get(looked_up) else {
        assert!([401, 403, 405].contains(&status), "{place}: the method is not described");
        return;
    };
    let described = &action["responses"][status.to_string()];
    assert!(!described.is_null(), "{place}: the status is not described");
    let described = match described["$ref"].as_str() {
        Some(pointer) => DOCUMENT.pointer(pointer.trim_start_matches('#')).unwrap(),
        None => described,
    };
    if *method != Method::HEAD {
        hold_answer(&place, described, headers, body);
    }
    if (200..300).contains(&status) {
        hold_request(&place, action, sent.0, sent.1);
    }
}

fn hold_answer(place: &str, described: &Value, headers: &HeaderMap, body: &Bytes) {
    let Some(content) = described["content"].as_object() else {
        assert!(body.is_empty(), "{place}: no body is described");
        return;
    };
    let sent_as = headers["content-type"].to_str().unwrap().split(';').next().unwrap();
    let media = content.get(sent_as).unwrap_or_else(|| panic!("{place}: {sent_as} is not described"));
    if sent_as != "application/json" && sent_as != "application/schema+json" {
        return;
    }
    let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{place}: {error}"));
    let found = faults(&media["schema"], &value);
    assert!(found.is_empty(), "{place}: the answer is not as described: {found:#?}");
    let Some(codes) = described["x-error-codes"].as_array() else { return };
    for error in value["errors"].as_array().unwrap() {
        assert!(codes.contains(&error["code"]), "{place}: {} is not described", error["code"]);
    }
}

fn hold_request(place: &str, action: &Value, headers: &[(String, String)], body: &Bytes) {
    if body.is_empty() {
        let required = action["requestBody"]["required"] == json!(true);
        assert!(!required, "{place}: a body is required, it says");
        return;
    }
    let sent_as = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let sent_as = sent_as.map_or("", |(_, value)| value.split(';').next().unwrap_or_default().trim());
    let content = &action["requestBody"]["content"];
    let Some(media) = content.get(sent_as.to_ascii_lowercase()) else {
        assert!(body.as_ref() == b"{}" && content.is_null(), "{place}: {sent_as} is not described");
        return;
    };
    let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{place}: {error}"));
    let found = faults(&media["schema"], &value);
    assert!(found.is_empty(), "{place}: it is accepted, but not described: {found:#?}");
}
