//! The OpenAPI 3.1 document.

use domain::credential::{CLIENT_ID_PATTERN, MAX_CLIENT_ID};
use domain::destination::DestinationType;
use domain::event_type::{Catalogue, catalogue};
use wire::api::{Rules, schemas};
use wire::cloudevents;
use wire::fault::code;
use wire::json::{Number, Value, parse};
use wire::signature;

use crate::description::operation::{Operation, Refuses, Shown};
use crate::refusal::because;
use crate::route::{Action, Audience, Section};
use crate::{
    Settings, admin, description, event_types, events, filters, health, ingest_akeneo, schemas as spec, subscriptions,
};

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
pub(super) fn document(contents: &[Section], settings: &Settings, catalogue: &Catalogue) -> Value {
    let mut common = Vec::new();
    let mut paths = Vec::new();
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
            paths.push((route.path.to_owned(), Value::Object(methods)));
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
                ("schemas", Value::Object(all_schemas(settings, catalogue))),
                ("responses", Value::Object(common)),
                ("securitySchemes", security_schemes()),
            ]),
        ),
    ])
}

const ABOUT: &str = "A PIM posts its events once; Postrider delivers each to every integration that subscribed to it: filtered, \
    signed, at the pace that the receiver can take, at least once.\n\nBodies are JSON. Timestamps are RFC 3339 in UTC with \
    microseconds, ids are UUIDv7. A refused request is answered with **all** of its faults: \
    `{\"errors\":[{\"message\",\"code\",\"field\"}]}`; `code` is for programs and stable, and `/docs/errors/{code}` says what it \
    means. Unknown fields of a request are refused by name. New fields may appear in answers.\n\nSome texts have a form that JSON \
    Schema has no word for. Their `format` names it: `event-filter` (the filter language), `pim-url` (the URL of the PIM that the \
    caller authenticated with, in any equal spelling), `pim-base-url` (an `http` or `https` URL without user info, query and \
    fragment), `kafka-brokers` (`host:port`, several separated by commas), `server-name` (a DNS name or IP address), \
    `pem-certificates` and `pem-private-key` (PEM), `log-cursor` (the `next` of an earlier answer). `https-url` is a URL that \
    the platform may call: it begins with `https://` (or `http://`, where the operator allows that), is a valid URI without user info and \
    fragment, and names no address that no destination may have.";

impl Audience {
    fn tag(self) -> &'static str {
        match self {
            Audience::Clients => "Subscribers and subscriptions",
            Audience::Producers => "Events",
            Audience::SelfHostedPims => "Events API of self-hosted PIMs",
            Audience::Operator => "Operator",
            Audience::Monitoring => "Metrics",
            Audience::Everybody => "For everybody",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Audience::Clients => {
                "For connections and apps of a PIM. Every call carries three headers; a caller sees and touches only what belongs to \
                 its own client id on that PIM, and what is another's is not found."
            }
            Audience::Producers => "For PIMs and others who have events, with the key of their source.",
            Audience::SelfHostedPims => "For Community and PaaS editions, which sign what they send.",
            Audience::Operator => "For whoever runs the platform; off unless the setting `api.operator_key` is there.",
            Audience::Monitoring => {
                "For whoever collects metrics, with the setting `metrics.key` or the operator's key."
            }
            Audience::Everybody => "Without authentication.",
        }
    }

    /// The name of answers that all actions for this audience share.
    fn common(self, status: u16) -> String {
        let name = match self {
            Audience::Clients => "Client",
            Audience::Producers => "Producer",
            Audience::SelfHostedPims => "SelfHostedPim",
            Audience::Operator => "Operator",
            Audience::Monitoring => "Monitoring",
            Audience::Everybody => "Public",
        };
        format!("{name}{status}")
    }

    /// What names the caller, all of it together.
    fn security(self) -> Option<Value> {
        let schemes: &[&str] = match self {
            Audience::Clients => &["pimUrl", "pimToken", "pimClientId"],
            Audience::Producers => &["sourceKey"],
            Audience::SelfHostedPims => &["eventsApiSignature"],
            Audience::Operator => &["operatorKey"],
            Audience::Monitoring => &["metricsKey"],
            Audience::Everybody => return None,
        };
        let all = schemes.iter().map(|name| ((*name).to_owned(), Value::Array(vec![])));
        Some(Value::Array(vec![Value::Object(all.collect())]))
    }

    /// Codes that every action for this audience can answer with.
    fn codes(self) -> Vec<Refuses> {
        use because::*;
        let body = [BODY_INCOMPLETE, BODY_TIMEOUT, BODY_TOO_LARGE];
        let media_type = [UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING];
        let of: Vec<Code> = match self {
            Audience::Clients => [
                &[MISSING_HEADER, MALFORMED_HEADER, INVALID_TOKEN, UNPROVEN_CLIENT, CLIENT_REVOKED][..],
                &[WEB_API_FORBIDDEN, RATE_LIMITED, BUSY, PIM_UNAVAILABLE, STORE_UNAVAILABLE],
                &body,
                &media_type,
            ]
            .concat(),
            Audience::Producers => [&[MISSING_SOURCE_KEY, INVALID_SOURCE_KEY, STORE_UNAVAILABLE][..], &body].concat(),
            Audience::SelfHostedPims => {
                [&[MISSING_SIGNATURE, INVALID_SIGNATURE, STALE_TIMESTAMP, STORE_UNAVAILABLE][..], &body].concat()
            }
            Audience::Operator => [
                &[MISSING_OPERATOR_KEY, INVALID_OPERATOR_KEY, OPERATOR_API_OFF, BUSY, STORE_UNAVAILABLE][..],
                &body,
                &media_type,
            ]
            .concat(),
            Audience::Monitoring => vec![MISSING_METRICS_KEY, INVALID_METRICS_KEY],
            Audience::Everybody => vec![],
        };
        let listener = [
            MALFORMED_REQUEST,
            INVALID_HOST,
            HEAD_TOO_LARGE,
            TOO_MANY_HEADERS,
            INTERNAL_ERROR,
            UNSUPPORTED_TRANSFER_CODING,
        ];
        let all = of.into_iter().chain(listener);
        all.map(|code| Refuses { status: code.status.as_u16(), code: code.name }).collect()
    }
}

fn common_responses(audience: Audience) -> Vec<(String, Value)> {
    let codes = audience.codes();
    let statuses = statuses(&codes);
    statuses.into_iter().map(|status| (audience.common(status), refusal(status, &codes))).collect()
}

fn statuses(codes: &[Refuses]) -> Vec<u16> {
    let mut statuses: Vec<u16> = codes.iter().map(|one| one.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// The answer with a status: which codes it can have, each with its meaning.
fn refusal(status: u16, codes: &[Refuses]) -> Value {
    let codes: Vec<&str> = codes.iter().filter(|one| one.status == status).map(|one| one.code).collect();
    let listed: Vec<String> = codes.iter().map(|code| format!("- `{code}`: {}", meaning(code))).collect();
    let mut response = vec![
        ("description".to_owned(), Value::from(listed.join("\n"))),
        ("content".to_owned(), object([("application/json", object([("schema", reference("schemas", "Errors"))]))])),
        ("x-error-codes".to_owned(), Value::Array(codes.iter().map(|code| Value::from(*code)).collect())),
    ];
    let header = |about: &str, schema: &str| {
        object([("description", about.into()), ("schema", object([("type", schema.into())]))])
    };
    let headers = match status {
        401 => Some(("WWW-Authenticate", header("RFC 9110 wants it with every 401.", "string"))),
        429 => Some(("Retry-After", header("Seconds to wait.", "integer"))),
        _ => None,
    };
    if let Some((name, header)) = headers {
        response.insert(1, ("headers".to_owned(), Value::Object(vec![(name.to_owned(), header)])));
    }
    Value::Object(response)
}

/// What a code means.
pub(super) fn meaning(name: &str) -> &'static str {
    let refused = because::ALL.iter().find(|code| code.name == name).map(|code| code.meaning);
    let fault = || code::ALL.iter().find(|(code, _)| *code == name).map(|(_, meaning)| *meaning);
    refused.or_else(fault).unwrap_or_default()
}

/// All codes, each once.
fn all_codes() -> Vec<&'static str> {
    let mut codes: Vec<&str> = because::ALL.iter().map(|code| code.name).collect();
    codes.extend(code::ALL.iter().map(|(name, _)| *name));
    codes.sort_unstable();
    codes.dedup();
    codes
}

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

/// The parameters that stand in a path.
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
                "name" => ("The PIM's name.", text("shop")),
                "prefix" if path.contains("/tokens/") => ("The token's first characters.", text("pt_1a2b3c4d")),
                "prefix" => ("The key's first characters.", text("pr_1a2b3")),
                "client_id" => (
                    "The connection or app, as its PIM knows it.",
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
        (
            "pimUrl",
            header("X-PIM-URL", "The base URL of the PIM, as the operator registered it, in any equal spelling."),
        ),
        ("pimToken", header("X-PIM-TOKEN", "An access token of that PIM; `Bearer` before it makes no difference.")),
        (
            "pimClientId",
            header("X-PIM-CLIENT-ID", "The client id of the connection or app that the token was issued to."),
        ),
        ("sourceKey", bearer("The key of a source; the operator makes and rotates keys.")),
        (
            "eventsApiSignature",
            header(
                "X-Akeneo-Request-Signature",
                "Lower-case hex HMAC-SHA256 of `{timestamp}.{body}` with the connection's secret; the timestamp is that of \
                 `X-Akeneo-Request-Timestamp`.",
            ),
        ),
        ("metricsKey", bearer("The key for metrics, the setting `metrics.key`; the operator's key does as well.")),
        ("operatorKey", bearer("The operator's key, the setting `api.operator_key`.")),
    ])
}

fn all_schemas(settings: &Settings, catalogue: &Catalogue) -> Vec<(String, Value)> {
    let rules = Rules {
        catalogue,
        addresses: &settings.addresses,
        allow_http: settings.allow_http,
        destination_types: &settings.destination_types,
        subject: "",
    };
    let mut all = schemas(&rules);
    all.extend(cloudevents::description::schemas(&sample_event()));
    let written = [
        SCHEMAS,
        subscriptions::status::SCHEMAS,
        filters::SCHEMAS,
        event_types::SCHEMAS,
        spec::SCHEMAS,
        health::SCHEMAS,
        events::SCHEMAS,
        ingest_akeneo::SCHEMAS,
        admin::keys::SCHEMAS,
        admin::tokens::SCHEMAS,
        admin::clients::SCHEMAS,
        admin::subscriptions::SCHEMAS,
        admin::statistics::SCHEMAS,
        description::SCHEMAS,
    ]
    .concat();
    let types = Value::Array(DestinationType::NAMES.map(Value::from).to_vec()).to_canonical();
    let written = written.into_iter().map(|(name, text)| (name, text.replace("DESTINATION_TYPES", &types)));
    let written = written.chain(admin::pims::schemas());
    all.extend(written.filter_map(|(name, text)| Some((name.to_owned(), parse(text.as_bytes()).ok()?))));
    let codes = all_codes().into_iter().map(Value::from).collect();
    let codes = object([
        ("type", "string".into()),
        ("description", "For programs to act on: stable. `/docs/errors/{code}` says what it means.".into()),
        ("enum", Value::Array(codes)),
    ]);
    all.push(("ErrorCode".to_owned(), codes));
    all
}

const SCHEMAS: &[(&str, &str)] = &[
    (
        "Errors",
        r##"{"type": "object", "required": ["errors"], "properties": {"errors": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Error"}}}}"##,
    ),
    (
        "Error",
        r##"{"type": "object", "required": ["message", "code"], "properties": {
          "message": {"type": "string", "description": "For a person."},
          "code": {"$ref": "#/components/schemas/ErrorCode"},
          "field": {"type": "string", "description": "The path of the field at fault, such as `config.url`, `events[2]`, `[7].time` or the name of a header or parameter."},
          "column": {"type": "integer", "minimum": 1, "description": "Of a filter that cannot be understood: where."},
          "found": {"type": "string", "description": "Of a filter: what stands there."},
          "expected": {"type": "string", "description": "Of a filter: what could stand there."},
          "hint": {"type": "string", "description": "Of a filter: lines to print as they are."}}}"##,
    ),
    (
        "DeliveredEvent",
        r##"{"type": "object", "description": "A CloudEvent 1.0 in structured mode, as every destination gets it. `/spec/{type}.schema.json` describes each type.",
          "required": ["specversion", "id", "source", "type", "subject", "datacontenttype", "dataschema", "time", "data"], "properties": {
          "specversion": {"const": "1.0"},
          "id": {"type": "string", "description": "The same on every attempt: drop duplicates by it."},
          "source": {"type": "string"}, "type": {"type": "string"},
          "subject": {"type": "string", "format": "uuid", "description": "The subscription that it is delivered for."},
          "datacontenttype": {"const": "application/json"}, "dataschema": {"type": "string", "format": "uri"},
          "time": {"type": "string", "format": "date-time"}, "data": {"type": "object"}},
          "additionalProperties": {"type": ["string", "boolean", "integer"], "description": "Extension attributes."}}"##,
    ),
    (
        "Notification",
        r##"{"type": "object", "required": ["notification_type", "timestamp", "subscription_id", "subscriber_id", "destination", "events", "subject"], "properties": {
          "notification_type": {"enum": ["subscription.suspended.system", "subscription.suspended.user", "subscription.revoked", "subscription.resumed"]},
          "timestamp": {"type": "string", "format": "date-time"}, "subscription_id": {"type": "string", "format": "uuid"},
          "subscriber_id": {"type": "string", "format": "uuid"}, "destination": {"type": "string"},
          "events": {"type": "array", "items": {"type": "string"}}, "reason": {"type": "string"}, "subject": {"type": "string"}}}"##,
    ),
];

/// An event as a producer sends it, with the catalogue's example.
fn sample_event() -> Value {
    const TYPE: &str = "com.akeneo.pim.v1.product.created";
    let data = catalogue::example(TYPE).and_then(|text| parse(text.as_bytes()).ok());
    object([
        ("specversion", "1.0".into()),
        ("id", "b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001".into()),
        ("source", "pim".into()),
        ("type", TYPE.into()),
        ("time", "2026-11-02T08:00:00.5Z".into()),
        ("data", data.unwrap_or(Value::Object(vec![]))),
    ])
}

/// What the platform itself sends.
fn webhooks() -> Value {
    let header = |name: &str, about: &str| {
        object([
            ("name", name.into()),
            ("in", "header".into()),
            ("description", about.into()),
            ("schema", object([("type", "string".into())])),
        ])
    };
    let hook = |id: &str, summary: &str, text: &str, headers: Vec<Value>, schema: &str, answers: Value| {
        object([(
            "post",
            object([
                ("operationId", id.into()),
                ("summary", summary.into()),
                ("description", text.into()),
                ("parameters", Value::Array(headers)),
                (
                    "requestBody",
                    object([
                        ("required", true.into()),
                        ("content", object([("application/json", object([("schema", reference("schemas", schema))]))])),
                    ]),
                ),
                ("responses", answers),
            ]),
        )])
    };
    let said = |about: &str| object([("description", about.into())]);
    let primary = "Lower-case hex HMAC-SHA256 of the exact body with the primary secret.";
    let delivered = hook(
        "receiveEvent",
        "An event is delivered",
        "To the `url` of an HTTPS subscription, one event a request. Verify the signature over the raw body, answer within 5 seconds, \
         work later. At least once: drop duplicates by `id`.",
        vec![
            header(signature::PRIMARY, primary),
            header(signature::SECONDARY, "The same with the secondary secret, where there is one."),
            header(signature::ALGORITHM, "`HmacSHA256`."),
            header(signature::WEBHOOK_ID, "Standard Webhooks: the event's id."),
            header(signature::WEBHOOK_TIMESTAMP, "Standard Webhooks: when the attempt was made, in Unix seconds."),
            header(signature::WEBHOOK_SIGNATURE, "Standard Webhooks: `v1,<base64>` for each secret."),
        ],
        "DeliveredEvent",
        object([
            ("2XX", said("It is delivered.")),
            ("3XX", said("The subscription is suspended at once: redirects are not followed.")),
            ("404", said("The subscription is suspended at once.")),
            ("429", said("Sent again when its turn comes, and everything slower.")),
            ("4XX", said("A failure; it is not sent again.")),
            ("5XX", said("A failure; sent again after 5, 10 and 20 minutes.")),
        ]),
    );
    let notified = hook(
        "receiveNotification",
        "A notification is sent",
        "To the `notification_webhook_url` of a subscriber, when a subscription is suspended, resumed or revoked. Three attempts.",
        vec![
            header(signature::PRIMARY, "Lower-case hex HMAC-SHA256 of the exact body with the notification secret."),
            header(signature::ALGORITHM, "`HmacSHA256`."),
        ],
        "Notification",
        object([
            ("2XX", said("It is told.")),
            ("default", said("5xx and 429 are tried again; the rest is final, and an email goes out.")),
        ]),
    );
    object([("event", delivered), ("notification", notified)])
}
