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

/// A type of destination (contract page 1).
pub(super) struct Type {
    pub(super) name: &'static str,
    /// The name within those of schemas.
    pub(super) title: &'static str,
    /// The fields of its `config`.
    pub(super) fields: &'static Object,
    read: fn(&mut Reader<'_, '_>, &Rules<'_>) -> Option<Destination>,
}

static HTTPS: Type = Type {
    name: "https",
    title: "Https",
    fields: &https::FIELDS,
    read: |fields, rules| https::read(fields, rules).map(Destination::Https),
};

static PUBSUB: Type = Type {
    name: "pubsub",
    title: "Pubsub",
    fields: &pubsub::FIELDS,
    read: |fields, _| pubsub::read(fields).map(Destination::Pubsub),
};

static KAFKA: Type = Type {
    name: "kafka",
    title: "Kafka",
    fields: &kafka::FIELDS,
    read: |fields, rules| kafka::read(fields, rules).map(Destination::Kafka),
};

/// The names of all types.
pub(super) const TYPES: [&str; 3] = ["https", "pubsub", "kafka"];

impl Type {
    fn named(name: &str) -> Option<&'static Type> {
        [&HTTPS, &PUBSUB, &KAFKA].into_iter().find(|of| of.name == name)
    }

    /// That of a destination.
    pub(super) fn of(destination: &Destination) -> &'static Type {
        match destination {
            Destination::Https(_) => &HTTPS,
            Destination::Pubsub(_) => &PUBSUB,
            Destination::Kafka(_) => &KAFKA,
        }
    }

    /// Those that an installation has.
    pub(super) fn available(rules: &Rules<'_>) -> Vec<&'static Type> {
        rules.destination_types.iter().filter_map(|name| Type::named(name)).collect()
    }

    /// Reads a `config`.
    pub(super) fn read_config(&self, mut fields: Reader<'_, '_>, rules: &Rules<'_>) -> Option<Destination> {
        let destination = (self.read)(&mut fields, rules);
        fields.finish();
        destination
    }
}

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

/// Reads a complete destination.
pub(super) fn read(fields: &mut Reader<'_, '_>, rules: &Rules<'_>) -> Option<Destination> {
    let of_type = fields.required_string("type").and_then(|name| {
        let known = Type::named(name);
        match known {
            None => fields.fault("type", code::UNKNOWN_DESTINATION_TYPE, one_of(name, &TYPES)),
            Some(known) if !rules.destination_types.contains(&known.name) => {
                let built_in = rules.destination_types.join(", ");
                let message = format!(
                    "`{}` is not available: this installation of the platform was built without it (it has {built_in})",
                    known.name
                );
                fields.fault("type", code::DESTINATION_TYPE_UNAVAILABLE, message);
            }
            Some(_) => {}
        }
        known
    });
    let Some(of_type) = of_type else {
        // Without a type nobody knows what `config` should have in it.
        fields.required("config");
        return None;
    };
    let config = fields.required_object_of("config", of_type.fields)?;
    of_type.read_config(config, rules)
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
