//! `options` of a subscription: features beyond the contract of existing clients, all off by default.

use domain::subscription::{Options, Ordering};

use super::answer::object;
use super::reader::Reader;
use super::shape::{Field, Object, Shape};
use crate::json::Value;

/// The fields of `options`.
pub(super) const FIELDS: Object = Object::new(&[
    Field::optional(
        "hold",
        Shape::Truth,
        "Keep events during a suspension, for as long as the platform keeps events, and deliver them after the resume.",
    ),
    Field::optional(
        "ordering",
        Shape::Name(&["none", "per_entity"]),
        "`per_entity`: events of one product, product model, … are delivered one after another, also across retries.",
    ),
    Field::optional("respect_retry_after", Shape::Truth, "Honour the `Retry-After` of a 429."),
    Field::optional(
        "cloudevents_content_type",
        Shape::Truth,
        "Send `Content-Type: application/cloudevents+json` instead of `application/json` to an HTTPS endpoint.",
    ),
]);

const ORDERINGS: [(&str, Ordering); 2] = [("none", Ordering::None), ("per_entity", Ordering::PerEntity)];

pub(super) fn read(mut fields: Reader<'_, '_>) -> Options {
    let options = Options {
        hold: fields.boolean("hold"),
        ordering: match fields.optional("ordering") {
            Some(_) => fields.required_name("ordering", &ORDERINGS).unwrap_or_default(),
            None => Ordering::None,
        },
        respect_retry_after: fields.boolean("respect_retry_after"),
        cloudevents_content_type: fields.boolean("cloudevents_content_type"),
    };
    fields.finish();
    options
}

pub(super) fn to_value(options: Options) -> Value {
    let ordering = ORDERINGS.iter().find(|(_, ordering)| *ordering == options.ordering);
    object([
        ("hold", options.hold.into()),
        ("ordering", ordering.map_or(Value::Null, |(name, _)| Value::from(*name))),
        ("respect_retry_after", options.respect_retry_after.into()),
        ("cloudevents_content_type", options.cloudevents_content_type.into()),
    ])
}
