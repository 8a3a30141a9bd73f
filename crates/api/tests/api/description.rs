//! `/openapi.json`, `/docs`, `/docs/postman.json`.

use domain::destination::DestinationType;
use serde_json::{Value, json};

use crate::described::DOCUMENT;
use crate::world::World;

#[tokio::test]
async fn anybody_may_read_the_description_of_this_installation() {
    let world = World::with(|settings| settings.destination_types = vec![DestinationType::Https]).await;
    let served = world.bare("GET", "/openapi.json").send().await;
    let document = served.expect(200);
    assert_eq!(served.headers["content-type"], "application/json");
    assert_eq!(document["servers"], json!([{"url": "https://events.example.com"}]));
    let types = &document["components"]["schemas"]["NewSubscription"]["oneOf"];
    assert_eq!(
        types,
        &json!([{"$ref": "#/components/schemas/NewHttpsSubscription"}]),
        "what is not built in is not described"
    );
    let postman = world.bare("GET", "/docs/postman.json").send().await.expect(200);
    assert_eq!(postman["variable"][0], json!({"key": "baseUrl", "value": "https://events.example.com"}));
}

#[tokio::test]
async fn the_page_has_every_action_and_loads_nothing() {
    let world = World::new().await;
    let page = world.bare("GET", "/docs").send().await;
    assert_eq!(page.status, 200);
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    for action in actions() {
        assert!(html.contains(&format!("<article id=\"{action}\">")), "{action}");
        assert!(html.contains(&format!("href=\"#{action}\"")), "{action}");
    }
    for (index, _) in html.match_indices("href=\"#") {
        let id = html[index + 7..].split('"').next().unwrap();
        assert!(html.contains(&format!("id=\"{id}\"")), "a link leads to #{id}, which is not there");
    }
    assert!(
        !html.contains("<script") && !html.contains(" src=") && !html.contains("@import") && !html.contains("url(")
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    let other = world.bare("GET", "/docs/errors/throttled").send().await;
    assert_eq!(other.headers["content-security-policy"], page.headers["content-security-policy"]);
}

#[tokio::test]
async fn the_links_of_the_first_page_lead_somewhere() {
    let world = World::new().await;
    let page = world.bare("GET", "/").send().await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    let mut links: Vec<_> = html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links.remove(0), "/console", "a part of its own");
    assert!(links.len() > 3, "{links:?}");
    for link in links {
        assert_eq!(world.bare("GET", link).send().await.status, 200, "{link}");
    }
}

fn actions() -> Vec<String> {
    let paths = DOCUMENT["paths"].as_object().unwrap().values();
    let all = paths.flat_map(|methods| methods.as_object().unwrap().values()).filter(|action| action.is_object());
    all.map(|action| action["operationId"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn actions_have_names_of_their_own_and_links_lead_to_them() {
    let mut names = actions();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
    let text = DOCUMENT.to_string();
    for link in text.split("\"operationId\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(names.iter().any(|name| name == link) || link.starts_with("receive"), "{link}");
    }
}

#[test]
fn references_resolve_and_examples_match_their_schemas() {
    for pointer in DOCUMENT.to_string().split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(DOCUMENT.pointer(pointer).is_some(), "{pointer}");
    }
    let valid = |schema: &Value, example: &Value| {
        let mut whole = schema.clone();
        whole["components"] = DOCUMENT["components"].clone();
        let validator = jsonschema::draft202012::new(&whole).unwrap();
        let faults: Vec<_> = validator.iter_errors(example).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{example}: {faults:?}");
    };
    let mut examples = 0;
    let mut look = vec![&*DOCUMENT];
    while let Some(value) = look.pop() {
        if let (Some(schema), Some(example)) = (value.get("schema"), value.get("example")) {
            valid(schema, example);
            examples += 1;
        }
        for example in value.get("examples").and_then(Value::as_array).into_iter().flatten() {
            valid(value, example);
            examples += 1;
        }
        match value {
            Value::Object(members) => look.extend(members.values()),
            Value::Array(elements) => look.extend(elements),
            _ => {}
        }
    }
    assert!(examples > 30, "{examples}");
}
