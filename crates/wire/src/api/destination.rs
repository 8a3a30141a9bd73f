//! `type` and `config` of a subscription.

mod headers;
mod https;
mod kafka;
mod pem;
mod pubsub;

use domain::destination::{Destination, DestinationType};

use super::Rules;
use super::answer::Shown;
use super::reader::{Reader, one_of};
use super::shape::{Field, InAnswers, Object, Shape};
use crate::fault::code;
use crate::json::Value;

/// `config` of a type of destination (contract page 1).
pub(super) struct Config {
    /// Its fields, which drive reading, merging, masking and description.
    pub(super) fields: &'static Object,
    read: fn(&mut Reader<'_, '_>, &Rules<'_>) -> Option<Destination>,
    /// Removes from the stored value what a patch invalidates.
    outdate: fn(stored: &mut Value, patch: &Value),
}

impl Config {
    /// The configuration of a type.
    pub(super) const fn of(of_type: DestinationType) -> &'static Config {
        match of_type {
            DestinationType::Https => &https::CONFIG,
            DestinationType::Pubsub => &pubsub::CONFIG,
            DestinationType::Kafka => &kafka::CONFIG,
        }
    }

    /// Reads it.
    pub(super) fn read(&self, mut fields: Reader<'_, '_>, rules: &Rules<'_>) -> Option<Destination> {
        let destination = (self.read)(&mut fields, rules);
        fields.finish();
        destination
    }
}

/// The members of a destination's `config`, without headers.
fn members(destination: &Destination, shown: Shown) -> Vec<(String, Value)> {
    match destination {
        Destination::Https(https) => https::members(https, shown),
        Destination::Pubsub(pubsub) => pubsub::members(pubsub),
        Destination::Kafka(kafka) => kafka::members(kafka, shown),
    }
}

/// `config` of any type.
pub(super) const CONFIG: Shape = Shape::ByType(&{
    let mut fields = [Config::of(DestinationType::ALL[0]).fields; DestinationType::ALL.len()];
    let mut index = 1;
    while index < fields.len() {
        fields[index] = Config::of(DestinationType::ALL[index]).fields;
        index += 1;
    }
    fields
});

/// The custom headers of every type.
const HEADERS: Field = Field::optional(
    "headers",
    Shape::Headers,
    "Custom headers, at most 5, sent with every event but not covered by the signature. Headers of the platform and of \
     HTTP itself are reserved.",
)
.shown(InAnswers::Sometimes);

/// Reads a complete destination.
pub(super) fn read(fields: &mut Reader<'_, '_>, rules: &Rules<'_>) -> Option<Destination> {
    let of_type = fields.required_string("type").and_then(|name| {
        let known = DestinationType::named(name);
        match known {
            None => fields.fault("type", code::UNKNOWN_DESTINATION_TYPE, one_of(name, &DestinationType::NAMES)),
            Some(known) if !rules.destination_types.contains(&known) => {
                let built_in = rules.destination_types.iter().map(|known| known.name());
                let message = format!(
                    "`{name}` is not available: this installation of the platform was built without it (it has {})",
                    built_in.collect::<Vec<_>>().join(", ")
                );
                fields.fault("type", code::DESTINATION_TYPE_UNAVAILABLE, message);
            }
            Some(_) => {}
        }
        known
    });
    let Some(of_type) = of_type else {
        // Without a type the contents of `config` cannot be checked.
        fields.required("config");
        return None;
    };
    let config = Config::of(of_type);
    config.read(fields.required_object_of("config", config.fields)?, rules)
}

/// `config` as in responses, or with its secrets.
pub(super) fn to_value(destination: &Destination, shown: Shown) -> Value {
    let mut members = members(destination, shown);
    let headers = &destination.headers().0;
    if !headers.is_empty() {
        let headers = headers.iter().map(|(name, value)| (name.clone(), shown.secret(value))).collect();
        members.push(("headers".to_owned(), Value::Object(headers)));
    }
    Value::Object(members)
}

/// The stored `config` that a patch is merged into, without the parts invalidated by the patch.
pub(super) fn config_for_patch(destination: &Destination, patch: &Value) -> Value {
    let mut stored = to_value(destination, Shown::Whole);
    (Config::of(destination.of_type()).outdate)(&mut stored, patch);
    stored
}
