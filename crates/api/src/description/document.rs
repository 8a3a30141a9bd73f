//! The OpenAPI 3.1 document.

mod audience;
mod refusals;
mod schemas;
mod webhooks;

use domain::credential::{CLIENT_ID_PATTERN, MAX_CLIENT_ID};
use domain::event_type::EventTypes;
use wire::json::{Number, Value, parse};

use self::refusals::{common_responses, refusal, statuses};
use self::webhooks::webhooks;
use crate::Settings;
use crate::description::operation::{Operation, Refuses, Shown};
use crate::route::{Action, Audience, Section};

/// An object with its members in this order.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn reference(kind: &str, name: &str) -> Value {
    object([("$ref", format!("#/components/{kind}/{name}").into())])
}

fn number(value: u64) -> Value {
    Value::Number(Number::from(value))
}

/// The description of an installation.
pub(super) fn document(contents: &[Section], settings: &Settings, event_types: &EventTypes) -> Value {
    let mut common = Vec::new();
    let mut paths: Vec<(String, Value)> = Vec::new();
    let mut tags = Vec::new();
    for section in contents {
        let audience = section.audience;
        tags.push(object([("name", audience.tag().into()), ("description", audience.about().into())]));
        common.extend(common_responses(audience));
        for route in &section.routes {
            let mut methods: Vec<(String, Value)> = Vec::new();
            let parameters = path_parameters(route.path);
            if !parameters.is_empty() {
                methods.push(("parameters".to_owned(), Value::Array(parameters)));
            }
            methods.extend(route.actions.iter().map(|action| (action.method.to_owned(), operation(action, audience))));
            match paths.iter_mut().find(|(path, _)| path == route.path) {
                // A path with actions for several audiences.
                Some((_, Value::Object(known))) => {
                    known.extend(methods.into_iter().filter(|(name, _)| name != "parameters"))
                }
                _ => paths.push((route.path.to_owned(), Value::Object(methods))),
            }
        }
    }
    object([
        ("openapi", "3.1.1".into()),
        (
            "info",
            object([
                ("title", "Postrider".into()),
                ("version", env!("CARGO_PKG_VERSION").into()),
                ("summary", "An open, self-hosted event platform for product information systems.".into()),
                ("description", ABOUT.into()),
                ("license", object([("name", "Apache-2.0".into()), ("identifier", "Apache-2.0".into())])),
            ]),
        ),
        ("servers", Value::Array(vec![object([("url", settings.public_url.as_str().into())])])),
        ("tags", Value::Array(tags)),
        ("paths", Value::Object(paths)),
        ("webhooks", webhooks()),
        (
            "components",
            object([
                ("schemas", Value::Object(schemas::all(settings, event_types))),
                ("responses", Value::Object(common)),
                ("securitySchemes", security_schemes()),
            ]),
        ),
    ])
}

const ABOUT: &str = "A PIM posts each event once; Postrider delivers it to every matching subscription: filtered, \
    signed, rate-limited and at least once.\n\nBodies are JSON. Timestamps are RFC 3339 in UTC with microseconds, ids \
    are UUIDv7. The response to a rejected request lists **all** of its faults: \
    `{\"errors\":[{\"message\",\"code\",\"field\"}]}`; `code` is stable, and `/docs/errors/{code}` explains it. \
    Unknown fields of a request are rejected by name. Responses may contain new fields in the future.\n\nSome text \
    formats cannot be expressed in JSON Schema. Their `format` names them: `event-filter` (the filter language), \
    `pim-url` (the URL of the PIM that the caller authenticated with, in any equivalent spelling), `pim-base-url` (an \
    `http` or `https` URL without user info, query and fragment), `kafka-brokers` (`host:port`, separated by commas), \
    `server-name` (a DNS name or IP address), `pem-certificates` and `pem-private-key` (PEM), `log-cursor` and \
    `position-cursor` (the `next` of an earlier response of the same list), `https-url` (a URL that the platform may \
    call: `https://`, or `http://` if the operator allows it; a valid URI without user info and fragment; not a \
    forbidden address).";

fn operation(action: &Action, audience: Audience) -> Value {
    let about: Operation = (action.about)();
    let mut members =
        vec![("operationId".to_owned(), Value::from(about.id)), ("summary".to_owned(), about.summary.into())];
    if !about.text.is_empty() {
        members.push(("description".to_owned(), about.text.into()));
    }
    members.push(("tags".to_owned(), Value::Array(vec![audience.tag().into()])));
    if let Some(security) = audience.security() {
        members.push(("security".to_owned(), security));
    }
    let headers = about.headers.iter().map(|(name, example, about)| {
        object([
            ("name", (*name).into()),
            ("in", "header".into()),
            ("description", (*about).into()),
            ("schema", object([("type", "string".into())])),
            ("example", (*example).into()),
        ])
    });
    let parameters: Vec<Value> = about.query.iter().map(|one| one.describe()).chain(headers).collect();
    if !parameters.is_empty() {
        members.push(("parameters".to_owned(), Value::Array(parameters)));
    }
    if let Some(sends) = &about.sends {
        let example = sends.example.and_then(|text| parse(text.as_bytes()).ok());
        let content = sends.content.iter().map(|(media_type, schema)| {
            let mut body = vec![("schema".to_owned(), reference("schemas", schema))];
            body.extend(example.clone().map(|example| ("example".to_owned(), example)));
            ((*media_type).to_owned(), Value::Object(body))
        });
        let body = object([("required", sends.required.into()), ("content", Value::Object(content.collect()))]);
        members.push(("requestBody".to_owned(), body));
    }
    members.push(("responses".to_owned(), Value::Object(responses(&about, audience))));
    Value::Object(members)
}

fn responses(about: &Operation, audience: Audience) -> Vec<(String, Value)> {
    let mut responses: Vec<(String, Value)> = about
        .answers
        .iter()
        .enumerate()
        .map(|(index, answer)| {
            let mut members = vec![("description".to_owned(), Value::from(answer.about))];
            let content = answer.content.iter().map(|(media_type, shown)| {
                let schema = match *shown {
                    Shown::One(name) => reference("schemas", name),
                    Shown::List(name) => object([("type", "array".into()), ("items", reference("schemas", name))]),
                    Shown::Text => object([("type", "string".into())]),
                };
                ((*media_type).to_owned(), object([("schema", schema)]))
            });
            if !answer.content.is_empty() {
                members.push(("content".to_owned(), Value::Object(content.collect())));
            }
            if index == 0 && !about.links.is_empty() {
                let links = about.links.iter().map(|link| {
                    let with = link.with.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
                    let link_to =
                        object([("operationId", link.to.into()), ("parameters", Value::Object(with.collect()))]);
                    (link.to.to_owned(), link_to)
                });
                members.push(("links".to_owned(), Value::Object(links.collect())));
            }
            (answer.status.to_string(), Value::Object(members))
        })
        .collect();
    let common = audience.codes();
    let all: Vec<Refuses> = common.iter().chain(&about.refuses).copied().collect();
    for status in statuses(&all) {
        let own = about.refuses.iter().any(|one| one.status == status);
        let response = if own { refusal(status, &all) } else { reference("responses", &audience.common(status)) };
        responses.push((status.to_string(), response));
    }
    responses
}

/// The parameters of a path.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    names
        .map(|name| {
            let uuid = || object([("type", "string".into()), ("format", "uuid".into())]);
            let text = |example: &str| {
                object([
                    ("type", "string".into()),
                    ("minLength", number(1)),
                    ("examples", Value::Array(vec![example.into()])),
                ])
            };
            let (about, schema) = match name {
                "id" if path.contains("/admin/") => ("The subscription.", uuid()),
                "id" => ("The subscriber.", uuid()),
                "sid" => ("The subscription.", uuid()),
                "rid" => ("The replay.", uuid()),
                "event_id" => (
                    "The CloudEvents `id` of the event.",
                    object([
                        ("type", "string".into()),
                        ("minLength", number(1)),
                        ("maxLength", number(256)),
                        ("examples", Value::Array(vec!["b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001".into()])),
                    ]),
                ),
                "name" => ("The PIM's name.", text("shop")),
                "prefix" if path.contains("/tokens/") => ("Prefix of the token.", text("pt_1a2b3c4d")),
                "prefix" => ("Prefix of the key.", text("pr_1a2b3")),
                "client_id" => (
                    "Client id of the connection or app.",
                    object([
                        ("type", "string".into()),
                        ("minLength", number(1)),
                        ("maxLength", number(MAX_CLIENT_ID as u64)),
                        ("pattern", CLIENT_ID_PATTERN.into()),
                        ("examples", Value::Array(vec!["my-app".into()])),
                    ]),
                ),
                "source" => ("The PIM's name.", text("shop")),
                "file" => ("`{event type}.schema.json`.", text("com.akeneo.pim.v1.product.created.schema.json")),
                "token" => {
                    ("The code in the link.", text("018e32e05c1e7f4b9a3b2c1d0e0f0a0b00112233445566778899aabbccddeeff"))
                }
                _ => ("A reason or a code.", text("destination_timeout")),
            };
            object([
                ("name", name.into()),
                ("in", "path".into()),
                ("required", true.into()),
                ("description", about.into()),
                ("schema", schema),
            ])
        })
        .collect()
}

fn security_schemes() -> Value {
    let header = |name: &str, about: &str| {
        object([
            ("type", "apiKey".into()),
            ("in", "header".into()),
            ("name", name.into()),
            ("description", about.into()),
        ])
    };
    let bearer =
        |about: &str| object([("type", "http".into()), ("scheme", "bearer".into()), ("description", about.into())]);
    object([
        ("pimUrl", header("X-PIM-URL", "Base URL of the PIM as registered, in any equivalent spelling.")),
        ("pimToken", header("X-PIM-TOKEN", "An access token for that PIM; a `Bearer` prefix is ignored.")),
        ("pimClientId", header("X-PIM-CLIENT-ID", "Client id of the connection or app the token was issued to.")),
        ("sourceKey", bearer("The key of a source; the operator creates and rotates keys.")),
        (
            "eventsApiSignature",
            header(
                "X-Akeneo-Request-Signature",
                "Lower-case hex HMAC-SHA256 of `{timestamp}.{body}` with the connection's secret; the timestamp is \
                 that of `X-Akeneo-Request-Timestamp`.",
            ),
        ),
        ("metricsKey", bearer("The metrics key (`metrics.key`) or the operator key.")),
        ("operatorKey", bearer("The operator key (`api.operator_key`).")),
    ])
}
