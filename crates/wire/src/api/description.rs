//! The bodies of the API as JSON Schemas (2020-12), derived from the tables used for reading and writing them.

use domain::Secret;
use domain::attempt::AttemptOutcome;
use domain::destination::{CustomHeaders, DestinationType};
use domain::event_type::EventType;
use domain::fate::Fate;
use domain::log_entry::Action;
use domain::outcome::ErrorReason;

use super::answer::object;
use super::destination::Config;
use super::shape::{Field, Form, InAnswers, Object, Sent, Shape};
use super::{
    Rules, admin, attempts, backlog, console_link, fate, kept, log_page, replay, subscriber, subscription, test_event,
};
use crate::json::{Number, Value, parse};

/// The described body of a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Body {
    /// To create one.
    New,
    /// To change one: a merge patch.
    Patch,
    /// In responses.
    Answer,
}

/// The schemas of all bodies of the management API and the operator API, by name. Only `catalogue` and
/// `destination_types` of the rules matter.
pub fn schemas(rules: &Rules<'_>) -> Vec<(String, Value)> {
    let mut schemas = Vec::new();
    let mut put = |name: &str, schema: Value| schemas.push((name.to_owned(), schema));
    put("NewSubscriber", whole(&subscriber::FIELDS, Body::New));
    put("SubscriberPatch", whole(&subscriber::FIELDS, Body::Patch));
    put("Subscriber", whole(&subscriber::FIELDS, Body::Answer));
    for (name, body) in [("NewSubscription", Body::New), ("Subscription", Body::Answer)] {
        put(name, by_type(name, rules));
        for of in rules.destination_types.iter().copied() {
            put(&of_type(name, of), one_type(of, body));
        }
    }
    put("SubscriptionPatch", subscription_patch(rules));
    for of in rules.destination_types.iter().copied() {
        put(&of_type("SubscriptionPatch", of), one_type(of, Body::Patch));
    }
    put("EventType", event_type(rules));
    put("Filter", shaped_text(&subscription::FILTER));
    let actions = names_of(&Action::ALL.map(Action::as_str)).to_canonical();
    let fates = names_of(&Fate::ALL.map(Fate::as_str)).to_canonical();
    let outcomes = names_of(&AttemptOutcome::ALL.map(AttemptOutcome::as_str)).to_canonical();
    for (name, schema) in [kept::SCHEMAS, fate::SCHEMAS, attempts::SCHEMAS, backlog::SCHEMAS, replay::SCHEMAS].concat()
    {
        let schema = schema.replace("FATES", &fates).replace("OUTCOMES", &outcomes);
        put(name, parse(schema.as_bytes()).unwrap_or(Value::Null));
    }
    put("NewReplay", whole(&replay::FIELDS, Body::New));
    put("TestEvent", whole(&test_event::FIELDS, Body::New));
    put("NewConsoleLink", whole(&console_link::FIELDS, Body::New));
    for (name, schema) in log_page::SCHEMAS {
        let schema = schema.replace("COMMON", log_page::COMMON).replace("ERROR,", &format!("{},", log_page::ERROR));
        put(name, parse(schema.replace("ACTIONS", &actions).as_bytes()).unwrap_or(Value::Null));
    }
    let mut reasons = vec![("type".to_owned(), Value::from("string"))];
    reasons.push(("enum".to_owned(), names_of(&ErrorReason::ALL.map(ErrorReason::as_str))));
    put(
        "ErrorReason",
        described(
            Value::Object(reasons),
            "Why an event was not delivered; `/docs/errors/{reason}` lists what to check.",
        ),
    );
    put("NewPim", whole(&admin::NEW_PIM, Body::New));
    put("ClientOfPim", whole(&admin::WHICH_PIM, Body::New));
    put("Permission", whole(&admin::PERMISSION, Body::New));
    put("OperatorSuspension", whole(&admin::SUSPENSION, Body::New));
    schemas
}

/// Name of a schema for one type of destination.
fn of_type(name: &str, of: DestinationType) -> String {
    let (first, rest) = of.name().split_at(1);
    name.replace("Subscription", &format!("{}{rest}Subscription", first.to_ascii_uppercase()))
}

fn reference(name: &str) -> Value {
    object([("$ref", format!("#/components/schemas/{name}").into())])
}

fn by_type(name: &str, rules: &Rules<'_>) -> Value {
    let types = rules.destination_types;
    let place = |of: DestinationType| format!("#/components/schemas/{}", of_type(name, of));
    let mapping = types.iter().map(|of| (of.name().to_owned(), Value::from(place(*of))));
    object([
        ("oneOf", Value::Array(types.iter().map(|of| reference(&of_type(name, *of))).collect())),
        ("discriminator", object([("propertyName", "type".into()), ("mapping", Value::Object(mapping.collect()))])),
    ])
}

/// A patch keeps the current type, or names another one with its complete `config`.
fn subscription_patch(rules: &Rules<'_>) -> Value {
    let types = rules.destination_types.iter().map(|of| reference(&of_type("SubscriptionPatch", *of)));
    object([
        (
            "description",
            "A JSON merge patch (RFC 7396): omitted fields keep their values, at every depth; `null` removes optional \
            fields, and headers by name; `\"***redacted***\"` keeps a secret. With a new `type`, `config` must be \
            complete. Read-only fields may be sent back as read."
                .into(),
        ),
        ("anyOf", Value::Array(types.collect())),
    ])
}

/// A subscription to a destination of one type.
fn one_type(of: DestinationType, body: Body) -> Value {
    let fields = subscription::FIELDS.fields.iter().map(|field| {
        let schema = match field.name {
            "type" => described(object([("const", of.name().into())]), field.about),
            "config" => described(whole(Config::of(of).fields, body), field.about),
            _ => return member(field, body),
        };
        Some((field, schema))
    });
    let mut schema = assembled(fields.flatten(), body);
    schema.insert(0, ("title".to_owned(), of_type("Subscription", of).into()));
    Value::Object(schema)
}

/// A standalone object.
fn whole(fields: &'static Object, body: Body) -> Value {
    let mut schema = assembled(fields.fields.iter().filter_map(|field| member(field, body)), body);
    if let (Some(rule), Body::New) = (fields.one_of, body)
        && let Ok(alternatives) = parse(rule.as_bytes())
    {
        schema.push(("anyOf".to_owned(), alternatives));
    }
    Value::Object(schema)
}

fn assembled<'f>(fields: impl Iterator<Item = (&'f Field, Value)>, body: Body) -> Vec<(String, Value)> {
    let mut required = Vec::new();
    let mut properties = Vec::new();
    for (field, schema) in fields {
        let needed = match body {
            Body::New => field.sent == Sent::Required,
            Body::Patch => false,
            Body::Answer => matches!(field.shown, InAnswers::Always | InAnswers::OrNull),
        };
        if needed {
            required.push(Value::from(field.name));
        }
        properties.push((field.name.to_owned(), schema));
    }
    let mut schema = vec![("type".to_owned(), "object".into())];
    if !required.is_empty() {
        schema.push(("required".to_owned(), Value::Array(required)));
    }
    schema.push(("properties".to_owned(), Value::Object(properties)));
    if body != Body::Answer {
        // New fields may appear in responses; those sent by clients are fixed.
        schema.push(("additionalProperties".to_owned(), false.into()));
    }
    schema
}

/// A field of a body, if the body has it.
fn member(field: &Field, body: Body) -> Option<(&Field, Value)> {
    let by_platform = field.sent == Sent::ByPlatform;
    let there = match body {
        Body::New => !by_platform,
        Body::Patch => true,
        Body::Answer => field.shown != InAnswers::Never,
    };
    if !there {
        return None;
    }
    let mut schema = shaped(&field.shape, body);
    let nullable = match body {
        Body::New => matches!(field.sent, Sent::Optional | Sent::AtCreation),
        Body::Patch => field.sent == Sent::Optional,
        Body::Answer => field.shown == InAnswers::OrNull,
    };
    if nullable {
        schema = or_null(schema);
    }
    let mut schema = described(schema, field.about);
    if body == Body::Patch
        && (by_platform || field.sent == Sent::AtCreation)
        && let Value::Object(members) = &mut schema
    {
        members.push(("readOnly".to_owned(), true.into()));
    }
    Some((field, schema))
}

fn shaped(shape: &Shape, body: Body) -> Value {
    let answer = body == Body::Answer;
    match shape {
        Shape::Text(form) | Shape::Url(form) | Shape::Pem(form) => shaped_text(form),
        Shape::Name(names) => object([("type", "string".into()), ("enum", names_of(names))]),
        Shape::Names(names) => object([
            ("type", "array".into()),
            ("items", object([("type", "string".into()), ("enum", names_of(names))])),
            ("uniqueItems", true.into()),
        ]),
        Shape::EventTypes => object([
            ("type", "array".into()),
            ("items", reference("EventType")),
            ("minItems", number(1)),
            ("uniqueItems", true.into()),
        ]),
        Shape::EventType => reference("EventType"),
        Shape::Texts => object([("type", "array".into()), ("items", object([("type", "string".into())]))]),
        Shape::Truth => object([("type", "boolean".into())]),
        Shape::Number(least) => {
            object([("type", "number".into()), ("minimum", parse(least.as_bytes()).unwrap_or(Value::Null))])
        }
        Shape::Count(least, most) => object([
            ("type", "integer".into()),
            ("minimum", Value::Number((*least).into())),
            ("maximum", Value::Number((*most).into())),
        ]),
        Shape::TextList(form, most) => object([
            ("type", "array".into()),
            ("items", shaped_text(form)),
            ("minItems", number(1)),
            ("maxItems", number(*most)),
            ("uniqueItems", true.into()),
        ]),
        Shape::NameOrNames(names) => {
            let name = object([("type", "string".into()), ("enum", names_of(names))]);
            let list = [
                ("type", "array".into()),
                ("items", name.clone()),
                ("minItems", number(1)),
                ("uniqueItems", true.into()),
            ];
            object([("oneOf", Value::Array(vec![name, object(list)]))])
        }
        Shape::Data => object([("type", "object".into())]),
        Shape::Secret(form) if answer => {
            // If empty is valid, `null` is read as empty.
            let none = form.length.is_some_and(|(shortest, _)| shortest == 0).then(|| Value::from(""));
            let shown = none.into_iter().chain([Value::from(Secret::MASK)]).collect();
            object([("type", "string".into()), ("enum", Value::Array(shown))])
        }
        Shape::Secret(form) => {
            let mut schema = shaped_text(form);
            if let Value::Object(members) = &mut schema {
                members.push(("writeOnly".to_owned(), true.into()));
                if body == Body::New {
                    members.push(("not".to_owned(), object([("const", Secret::MASK.into())])));
                }
            }
            schema
        }
        Shape::Headers => headers(body),
        Shape::Object(fields) => whole(fields, body),
        Shape::Objects(fields) => object([("type", "array".into()), ("items", whole(fields, body))]),
        // Only `config`, which is described with its type.
        Shape::ByType(_) => object([("type", "object".into())]),
    }
}

pub(super) fn shaped_text(form: &Form) -> Value {
    let mut schema = vec![("type".to_owned(), Value::from("string"))];
    let mut put = |name: &str, value: Value| schema.push((name.to_owned(), value));
    if let Some(format) = form.format {
        put("format", format.into());
    }
    if let Some((shortest, longest)) = form.length {
        if shortest > 0 {
            put("minLength", number(shortest));
        }
        put("maxLength", number(longest));
    }
    if let Some(pattern) = form.pattern {
        put("pattern", pattern.into());
    }
    if !form.examples.is_empty() {
        put("examples", Value::Array(form.examples.iter().map(|example| Value::from(*example)).collect()));
    }
    Value::Object(schema)
}

fn event_type(rules: &Rules<'_>) -> Value {
    let names = rules.event_types.iter().map(|name: &EventType| name.as_str().into());
    object([
        ("type", "string".into()),
        ("description", "Known event types; `GET /api/v1/event-types` lists them with their schemas.".into()),
        ("enum", Value::Array(names.collect())),
    ])
}

fn headers(body: Body) -> Value {
    let value = match body {
        Body::Answer => object([("type", "string".into()), ("enum", Value::Array(vec![Secret::MASK.into()]))]),
        Body::New => object([
            ("type", "string".into()),
            ("maxLength", number(CustomHeaders::MAX_VALUE)),
            ("pattern", CustomHeaders::VALUE_PATTERN.into()),
            ("not", object([("const", Secret::MASK.into())])),
        ]),
        Body::Patch => object([
            ("type", Value::Array(vec!["string".into(), "null".into()])),
            ("maxLength", number(CustomHeaders::MAX_VALUE)),
            ("pattern", CustomHeaders::VALUE_PATTERN.into()),
        ]),
    };
    let mut schema = vec![("type".to_owned(), Value::from("object"))];
    if body != Body::Answer {
        let names = object([
            ("pattern", CustomHeaders::NAME_PATTERN.into()),
            ("not", object([("pattern", CustomHeaders::reserved_pattern().into())])),
        ]);
        schema.push(("propertyNames".to_owned(), names));
    }
    schema.push(("additionalProperties".to_owned(), value));
    if body == Body::New {
        schema.push(("maxProperties".to_owned(), number(CustomHeaders::MAX)));
        let example = object([("X-Api-Key", "a key".into()), ("X-Empty", "".into())]);
        schema.push(("examples".to_owned(), Value::Array(vec![example])));
    }
    Value::Object(schema)
}

fn described(schema: Value, about: &str) -> Value {
    match schema {
        Value::Object(mut members) => {
            members.push(("description".to_owned(), about.into()));
            Value::Object(members)
        }
        other => other,
    }
}

/// The same schema, or `null`.
fn or_null(schema: Value) -> Value {
    let Value::Object(mut members) = schema else { return schema };
    for (name, value) in &mut members {
        match (name.as_str(), &mut *value) {
            ("type", Value::String(_)) => *value = Value::Array(vec![value.clone(), "null".into()]),
            ("enum", Value::Array(names)) => names.push(Value::Null),
            ("oneOf", Value::Array(alternatives)) => alternatives.push(object([("type", "null".into())])),
            _ => {}
        }
    }
    Value::Object(members)
}

fn names_of(names: &[&str]) -> Value {
    Value::Array(names.iter().map(|name| Value::from(*name)).collect())
}

pub(super) fn number(value: usize) -> Value {
    Value::Number(Number::from(value as u64))
}
