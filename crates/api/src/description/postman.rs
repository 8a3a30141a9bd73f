//! The description as a Postman collection (format 2.1): folders, requests with examples, and small scripts that store
//! the ids of created objects, so that the whole collection can be run from its first request to its last.

use wire::json::Value;

use super::document::object;
use super::walk::{self, Described, list, members, text};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

/// Variables set by the user, with examples.
const VARIABLES: [(&str, &str); 7] = [
    ("pimUrl", "https://pim.example.com"),
    ("pimToken", "my-token"),
    ("pimClientId", "my-app"),
    ("sourceKey", ""),
    ("operatorKey", ""),
    ("metricsKey", ""),
    ("eventsApiSecret", ""),
];

/// Defaults needed before a run's first request has created anything.
const PARAMETERS: [(&str, &str); 7] = [
    ("event_id", "b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001"),
    ("rid", "018e32e0-5c1e-7f4b-9a3b-2c1d0e0f0a0b"),
    ("file", "com.akeneo.pim.v1.product.created.schema.json"),
    ("reason", "destination_timeout"),
    ("token", "018e32e05c1e7f4b9a3b2c1d0e0f0a0b00112233445566778899aabbccddeeff"),
    ("source", "self-hosted"),
    ("client_id", "a-client"),
];

/// Signs an Events API request as a PIM does.
const SIGN: [&str; 4] = [
    "const timestamp = Math.floor(Date.now() / 1000).toString();",
    "const body = pm.variables.replaceIn(pm.request.body.raw);",
    "const secret = pm.variables.get('eventsApiSecret');",
    "pm.request.headers.upsert({key: 'X-Akeneo-Request-Timestamp', value: timestamp});\
     pm.request.headers.upsert({key: 'X-Akeneo-Request-Signature', value: \
     CryptoJS.HmacSHA256(timestamp + '.' + body, secret).toString()});",
];

/// The collection.
pub(super) fn collection(document: &Value) -> Value {
    let server = list(document.get("servers")).first().map_or("", |server| text(server, "url"));
    let actions = walk::actions(document);
    let folders = list(document.get("tags")).iter().map(|tag| {
        let name = text(tag, "name");
        let mut of_tag: Vec<&Described<'_>> = actions.iter().filter(|action| action.tag() == name).collect();
        // Created objects are shown and changed before they are deleted, inner ones before outer ones.
        of_tag.sort_by_key(|action| {
            (turn(action), if action.method == "delete" { usize::MAX - depth(action) } else { depth(action) })
        });
        object([
            ("name", name.into()),
            ("description", text(tag, "description").into()),
            ("item", Value::Array(of_tag.into_iter().map(item).collect())),
        ])
    });
    let variable = |name: &str, value: &str| object([("key", name.into()), ("value", value.into())]);
    let given = VARIABLES.iter().chain(&PARAMETERS).map(|(name, value)| variable(name, value));
    let info = document.get("info").unwrap_or(&Value::Null);
    object([
        (
            "info",
            object([
                ("name", text(info, "title").into()),
                ("description", text(info, "description").into()),
                ("schema", SCHEMA.into()),
            ]),
        ),
        ("item", Value::Array(folders.collect())),
        ("variable", Value::Array([variable("baseUrl", server)].into_iter().chain(given).collect())),
    ])
}

/// Rank of an action in a run.
fn turn(action: &Described<'_>) -> u8 {
    match (action.method, action.id()) {
        // It names a subscriber that was created before.
        (_, "createConsoleLink") => 1,
        ("post", id) if id.starts_with("create") || id.starts_with("add") => 0,
        ("delete", _) => 3,
        // Needs a suspended subscription.
        (_, "resumeSubscription") => 2,
        _ => 1,
    }
}

fn depth(action: &Described<'_>) -> usize {
    action.path.matches('/').count()
}

/// The variable for a path parameter: the operator's `id` of a subscription is a subscription id, too.
fn variable(path: &str, name: &str) -> String {
    match name {
        "id" if path.contains("/admin/") => "sid".to_owned(),
        "name" => "pimName".to_owned(),
        "prefix" if path.contains("/tokens/") => "tokenPrefix".to_owned(),
        other => other.to_owned(),
    }
}

fn item(action: &Described<'_>) -> Value {
    let path: Vec<Value> = action
        .path
        .trim_start_matches('/')
        .split('/')
        .map(|segment| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => format!("{{{{{}}}}}", variable(action.path, name)).into(),
            None => segment.into(),
        })
        .collect();
    let raw = path.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("/");
    let query: Vec<Value> = action
        .parameters
        .iter()
        .filter(|parameter| text(parameter, "in") == "query")
        .map(|parameter| {
            object([
                ("key", text(parameter, "name").into()),
                ("value", "".into()),
                ("description", text(parameter, "description").into()),
                ("disabled", true.into()),
            ])
        })
        .collect();
    let mut url = vec![
        ("raw".to_owned(), Value::from(format!("{{{{baseUrl}}}}/{raw}"))),
        ("host".to_owned(), Value::Array(vec!["{{baseUrl}}".into()])),
        ("path".to_owned(), Value::Array(path)),
    ];
    if !query.is_empty() {
        url.push(("query".to_owned(), Value::Array(query)));
    }
    let mut headers: Vec<Value> = members(list(action.action.get("security")).first())
        .iter()
        .zip(action.credentials())
        .filter(|((scheme, _), _)| scheme != "eventsApiSignature")
        .map(|((scheme, _), (name, value))| {
            let before = if value.starts_with("Bearer ") { "Bearer " } else { "" };
            object([("key", name.into()), ("value", format!("{before}{{{{{scheme}}}}}").into())])
        })
        .collect();
    let mut request = vec![
        ("method".to_owned(), Value::from(action.method.to_ascii_uppercase())),
        ("description".to_owned(), text(action.action, "description").into()),
    ];
    if let Some((media_type, example)) = action.body() {
        headers.push(object([("key", "Content-Type".into()), ("value", media_type.into())]));
        let body = object([("mode", "raw".into()), ("raw", run_body(action.id(), example).into())]);
        request.push(("body".to_owned(), body));
    }
    request.push(("header".to_owned(), Value::Array(headers)));
    request.push(("url".to_owned(), Value::Object(url)));
    let mut events = vec![script("test", &test(action))];
    if action.id() == "sendEventsApi" {
        events.push(script("prerequest", &SIGN.map(str::to_owned)));
    }
    object([
        ("name", text(action.action, "summary").into()),
        ("event", Value::Array(events)),
        ("request", Value::Object(request)),
    ])
}

/// The example, with unique values and the ids of created objects.
fn run_body(id: &str, example: String) -> String {
    match id {
        "addPim" => example
            .replace("\"shop\"", "\"pim-{{$timestamp}}\"")
            .replace("https://pim.example.com", "https://pim-{{$timestamp}}.example.com"),
        "setPermission" => example.replace("\"shop\"", "\"{{pimName}}\"").replace("false", "true"),
        "admitClient" => example.replace("\"shop\"", "\"{{pimName}}\""),
        "createConsoleLink" => example.replace("0192aabb-ccdd-7eff-8011-223344556677", "{{id}}"),
        "sendEvents" => example.replace("b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001", "{{$guid}}"),
        _ => example,
    }
}

/// A script that checks the response against the description and stores values for later requests.
fn test(action: &Described<'_>) -> Vec<String> {
    let good: Vec<&str> =
        action.responses().iter().map(|(status, _)| *status).filter(|status| status.starts_with('2')).collect();
    let otherwise = match action.id() {
        // The sample's code confirms nothing.
        "confirmAddress" => ", 404",
        // No client was removed.
        "admitClient" => ", 409",
        // The sample was not sent yet.
        "showEvent" | "showEventFate" => ", 404",
        // It has no events, and may be done.
        "cancelReplay" => ", 409",
        // In a run of all requests, its owner has deleted it before.
        "suspendAnySubscription" => ", 404, 409",
        _ => "",
    };
    let mut lines = vec![format!(
        "pm.test('the response is {}', () => \
         pm.expect(pm.response.code, pm.response.text()).to.be.oneOf([{}{otherwise}]));",
        good.join(" or "),
        good.join(", ")
    )];
    let kept = match action.id() {
        "createSubscriber" => Some(("id", "id")),
        "createSubscription" => Some(("sid", "id")),
        "startReplay" => Some(("rid", "id")),
        "addPim" => Some(("pimName", "name")),
        "addKey" => Some(("prefix", "prefix")),
        "addToken" => Some(("tokenPrefix", "prefix")),
        _ => None,
    };
    if let Some((variable, member)) = kept {
        lines.push(format!(
            "if (pm.response.code < 300) pm.collectionVariables.set('{variable}', pm.response.json().{member});"
        ));
    }
    lines
}

fn script(when: &str, lines: &[String]) -> Value {
    object([
        ("listen", when.into()),
        (
            "script",
            object([
                ("type", "text/javascript".into()),
                ("exec", Value::Array(lines.iter().map(|line| Value::from(line.as_str())).collect())),
            ]),
        ),
    ])
}
