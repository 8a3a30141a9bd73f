//! `type` and `config` of a subscription: one reading for each type of destination.

mod headers;
mod https;
mod kafka;
mod pem;
mod pubsub;

use domain::destination::Destination;

use super::Rules;
use super::answer::Shown;
use super::reader::{Reader, one_of};
use super::shape::{Field, InAnswers, Object, Shape};
use crate::fault::code;
use crate::json::Value;

/// The types of destination (contract page 1).
pub(super) const TYPES: [&str; 3] = ["https", "pubsub", "kafka"];

/// `config`, which depends on the type.
pub(super) const CONFIG: Shape =
    Shape::ByType(&[("https", &https::FIELDS), ("pubsub", &pubsub::FIELDS), ("kafka", &kafka::FIELDS)]);

/// The custom headers of every type.
const HEADERS: Field = Field::optional(
    "headers",
    Shape::Headers,
    "Custom headers: at most 5, sent with every event, after signing and not covered by the signature. The platform's own and HTTP's are reserved.",
)
.shown(InAnswers::Sometimes);

/// The fields of `config` of a type.
pub(super) fn fields(type_name: &str) -> &'static Object {
    match type_name {
        "https" => &https::FIELDS,
        "pubsub" => &pubsub::FIELDS,
        _ => &kafka::FIELDS,
    }
}

/// Reads a complete destination.
pub(super) fn read(fields: &mut Reader<'_, '_>, rules: &Rules<'_>) -> Option<Destination> {
    let type_name = fields.required_string("type").and_then(|name| {
        let known = TYPES.into_iter().find(|known| *known == name);
        match known {
            None => fields.fault("type", code::UNKNOWN_DESTINATION_TYPE, one_of(name, &TYPES)),
            Some(known) if !rules.destination_types.contains(&known) => {
                let built_in = rules.destination_types.join(", ");
                let message = format!(
                    "`{known}` is not available: this installation of the platform was built without it (it has {built_in})"
                );
                fields.fault("type", code::DESTINATION_TYPE_UNAVAILABLE, message);
            }
            Some(_) => {}
        }
        known
    });
    let Some(type_name) = type_name else {
        // Without a type nobody knows what `config` should have in it.
        fields.required("config");
        return None;
    };
    let config_fields = fields.required_object_of("config", self::fields(type_name))?;
    config(type_name, config_fields, rules)
}

/// Reads the `config` of a type.
pub(super) fn config(type_name: &str, mut fields: Reader<'_, '_>, rules: &Rules<'_>) -> Option<Destination> {
    let destination = match type_name {
        "https" => https::read(&mut fields, rules).map(Destination::Https),
        "pubsub" => pubsub::read(&mut fields).map(Destination::Pubsub),
        _ => kafka::read(&mut fields, rules).map(Destination::Kafka),
    };
    fields.finish();
    destination
}

/// `config` as it is answered, or with its secrets.
pub(super) fn to_value(destination: &Destination, shown: Shown) -> Value {
    let mut members = match destination {
        Destination::Https(https) => https::to_members(https, shown),
        Destination::Pubsub(pubsub) => pubsub::to_members(pubsub),
        Destination::Kafka(kafka) => kafka::to_members(kafka, shown),
    };
    let headers = &destination.headers().0;
    if !headers.is_empty() {
        let headers = headers.iter().map(|(name, value)| (name.clone(), shown.secret(value))).collect();
        members.push(("headers".to_owned(), Value::Object(headers)));
    }
    Value::Object(members)
}

/// The stored `config` that a patch is merged into: what the patch makes meaningless is left out.
pub(super) fn config_for_patch(destination: &Destination, patch: &Value) -> Value {
    let mut stored = to_value(destination, Shown::Whole);
    if matches!(destination, Destination::Kafka(_)) {
        kafka::forget_variant(&mut stored, patch);
    }
    stored
}
