//! Subscriptions in the API: created, changed, shown.

use domain::destination::{Destination, DestinationType};
use domain::event_type::{self, EventType};
use domain::filter::Filter;
use domain::id::{SubscriberId, SubscriptionId};
use domain::subscription::{NewSubscription, Selection, Subscription};
use domain::time::Timestamp;

use super::answer::{Shown, object};
use super::destination::Config;
use super::reader::{Reader, read, shortened};
use super::shape::{self, Field, Form, InAnswers, Object, Shape, merged};
use super::subscriber::{SUBJECT, subject};
use super::{Rules, destination, options};
use crate::fault::{Fault, code};
use crate::json::Value;

/// `source` of every subscription at present.
const SOURCE: &str = "pim";

/// The fields of a subscription (contract page 1, "Subscriptions").
pub(super) const FIELDS: Object = Object::new(&[
    Field::by_platform("id", shape::ID, "The subscription's id, a UUIDv7; the `subject` of its events."),
    Field::by_platform("subscriber_id", shape::ID, "Id of its subscriber."),
    Field::at_creation("source", Shape::Name(&[SOURCE]), "Source of the events; optional."),
    Field::at_creation("subject", Shape::Text(SUBJECT), "URL of the PIM that the caller authenticated with; optional."),
    Field::required("type", Shape::Name(&DestinationType::NAMES), "Type of the destination; determines `config`."),
    Field::required("events", Shape::EventTypes, "Event types to deliver: at least one, without duplicates."),
    Field::required("config", destination::CONFIG, "The destination."),
    Field::optional(
        "filter",
        Shape::Text(FILTER),
        "Filter for these events; absent or blank: all of them. `POST /api/v1/filters/check` explains a filter.",
    )
    .shown(InAnswers::OrNull),
    Field::optional("send_product_identifier", Shape::Truth, "Whether `data.product.identifier` is delivered."),
    Field::optional(
        "options",
        Shape::Object(&options::FIELDS),
        "Options beyond the hosted platform, all off by default.",
    ),
    Field::by_platform(
        "status",
        Shape::Name(&["active", "suspended", "revoked"]),
        "`suspended`: nothing is delivered until it is resumed. `revoked`: its connection or app was removed from the \
         PIM; this is final.",
    ),
    Field::by_platform("created_at", shape::TIME, "Time of creation."),
    Field::by_platform("updated_at", shape::TIME, "Time of the last change."),
    Field::by_platform("warnings", Shape::Texts, "Valid but probably unintended settings.").shown(InAnswers::Sometimes),
]);

/// A filter in the language of contract page 3.
pub(super) const FILTER: Form = Form::of_format("event-filter").length((0, Filter::MAX_CHARACTERS)).examples(&[
    "not user=\"system\"",
    "attribute in [\"name\", \"description\"] and locale=\"fr_FR\"",
    "user_type=\"api\" or not (user=\"erp\")",
]);

/// Reads the body of `POST /subscribers/{id}/subscriptions`.
pub fn parse_create(body: &Value, rules: &Rules<'_>) -> Result<NewSubscription, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", FIELDS.fields, faults)?;
        fields.read_only();
        subject(&mut fields, rules);
        if fields.has("source") && fields.optional("source").is_some() {
            fields.required_name("source", &[(SOURCE, ())]);
        }
        let events = events(&mut fields, rules, &[]);
        let filter = filter(&mut fields);
        let destination = destination::read(&mut fields, rules);
        let send_product_identifier = fields.boolean("send_product_identifier");
        let options = fields.object("options").map(options::read).unwrap_or_default();
        fields.finish();
        Some(NewSubscription {
            selection: Selection { events: events?, filter },
            destination: destination?,
            send_product_identifier,
            options,
        })
    })
}

/// The subscription as changed by the body of `PATCH …/subscriptions/{sid}`. The caller sets `past_selections`,
/// `updated_at` and `revision`.
pub fn apply_patch(current: &Subscription, body: &Value, rules: &Rules<'_>) -> Result<Subscription, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", FIELDS.fields, faults)?;
        fields.unchanged("id", |sent| SubscriptionId::parse(sent) == Some(current.id));
        fields.unchanged("subscriber_id", |sent| SubscriberId::parse(sent) == Some(current.subscriber_id));
        fields.unchanged("status", |sent| sent == current.status.to_string());
        fields.unchanged("source", |sent| sent == SOURCE);
        fields.unchanged("subject", |sent| rules.is_subject(sent));
        fields.unchanged("created_at", |sent| Timestamp::parse(sent) == Some(current.created_at));
        fields.get("updated_at");
        fields.get("warnings");
        let mut changed = current.clone();
        if fields.has("events")
            && let Some(events) = events(&mut fields, rules, &current.selection.events)
        {
            changed.selection.events = events;
        }
        if fields.has("filter") {
            changed.selection.filter = filter(&mut fields);
        }
        if fields.has("send_product_identifier") {
            changed.send_product_identifier = fields.boolean("send_product_identifier");
        }
        if fields.has("options") {
            let sent = fields.get("options").unwrap_or(&Value::Null);
            let whole = merged(&options::to_value(current.options), sent, &Shape::Object(&options::FIELDS));
            changed.options = match whole {
                Value::Null => Default::default(),
                whole => {
                    fields.instead(&whole, "options", options::FIELDS.fields).map(options::read).unwrap_or_default()
                }
            };
        }
        if let Some(destination) = changed_destination(&mut fields, current, rules) {
            changed.destination = destination;
        }
        fields.finish();
        Some(changed)
    })
}

/// The destination if the patch affects it: merged for an unchanged type, complete for a new one.
fn changed_destination(fields: &mut Reader<'_, '_>, current: &Subscription, rules: &Rules<'_>) -> Option<Destination> {
    let stays = match fields.get("type") {
        None => true,
        Some(sent) => sent.as_str() == Some(current.destination.of_type().name()),
    };
    if !stays {
        return destination::read(fields, rules);
    }
    if !fields.has("config") {
        return None;
    }
    let sent = fields.required("config")?;
    let stored = destination::config_for_patch(&current.destination, sent);
    let config = Config::of(current.destination.of_type());
    let whole = merged(&stored, sent, &Shape::Object(config.fields));
    config.read(fields.instead(&whole, "config", config.fields.fields)?, rules)
}

/// The subscription in a response; `subject` is the PIM URL as registered.
pub fn render(subscription: &Subscription, subject: &str) -> String {
    to_value(subscription, subject).to_canonical()
}

/// Several subscriptions in a response: a bare array.
pub fn render_list<'s>(subscriptions: impl IntoIterator<Item = &'s Subscription>, subject: &str) -> String {
    let all = subscriptions.into_iter().map(|subscription| to_value(subscription, subject));
    Value::Array(all.collect()).to_canonical()
}

fn to_value(subscription: &Subscription, subject: &str) -> Value {
    let Selection { events, filter } = &subscription.selection;
    let mut value = object([
        ("id", subscription.id.to_string().into()),
        ("subscriber_id", subscription.subscriber_id.to_string().into()),
        ("source", SOURCE.into()),
        ("subject", subject.into()),
        ("type", subscription.destination.of_type().name().into()),
        ("events", Value::Array(events.iter().map(|event| event.as_str().into()).collect())),
        ("config", destination::to_value(&subscription.destination, Shown::Masked)),
        ("filter", filter.as_ref().map_or(Value::Null, |filter| filter.as_str().into())),
        ("send_product_identifier", subscription.send_product_identifier.into()),
        ("options", options::to_value(subscription.options)),
        ("status", subscription.status.to_string().into()),
        ("created_at", subscription.created_at.to_string().into()),
        ("updated_at", subscription.updated_at.to_string().into()),
    ]);
    let warnings = warnings(&subscription.selection);
    if let (Value::Object(members), false) = (&mut value, warnings.is_empty()) {
        let warnings = warnings.into_iter().map(Value::from).collect();
        members.push(("warnings".to_owned(), Value::Array(warnings)));
    }
    value
}

/// Valid but probably unintended settings.
pub fn warnings(selection: &Selection) -> Vec<String> {
    let on_delta_fields = selection.filter.as_ref().is_some_and(Filter::uses_delta_fields);
    let has_delta = selection.events.iter().any(|event| event_type::is_delta(event.as_str()));
    if !on_delta_fields || has_delta {
        return Vec::new();
    }
    vec![format!(
        "The filter uses attribute, scope, channel or locale, which only {} and {} have. The subscription includes \
         neither, so these conditions are false for every event.",
        event_type::PRODUCT_UPDATED_DELTA,
        event_type::PRODUCT_MODEL_UPDATED_DELTA
    )]
}

/// The event types, each in the catalogue or already subscribed.
fn events(fields: &mut Reader<'_, '_>, rules: &Rules<'_>, subscribed: &[EventType]) -> Option<Vec<EventType>> {
    let list = fields.required_list("events")?;
    if list.is_empty() {
        fields.fault("events", code::TOO_SHORT, "must contain at least one event type");
    }
    let mut events: Vec<EventType> = Vec::with_capacity(list.len());
    for (index, element) in list.iter().enumerate() {
        let place = format!("events[{index}]");
        let Some(name) = element.as_str() else {
            fields.fault(&place, code::WRONG_TYPE, format_args!("must be a string, not {}", element.type_name()));
            continue;
        };
        if !rules.event_types.contains(name) && !subscribed.iter().any(|event| event.as_str() == name) {
            fields.fault_with(&place, code::UNKNOWN_EVENT_TYPE, || {
                let name = shortened(name);
                let hint = rules.event_types.nearest(&name).map(|near| format!("; did you mean `{near}`?"));
                format!("is an unknown event type: `{name}`{}", hint.unwrap_or_default())
            });
            continue;
        }
        match events.iter().position(|event| event.as_str() == name) {
            Some(_) => fields.fault(&place, code::DUPLICATE_VALUE, format_args!("contains `{name}` twice")),
            None => events.push(EventType::new(name)),
        }
    }
    Some(events)
}

/// The optional `filter` of a body.
pub(super) fn filter(fields: &mut Reader<'_, '_>) -> Option<Filter> {
    let text = fields.string("filter")?;
    Filter::parse(text).unwrap_or_else(|error| {
        fields.push(Fault::filter("filter", error));
        None
    })
}
