//! Subscribers in the API: created, changed, shown.

use domain::destination::EndpointUrl;
use domain::id::SubscriberId;
use domain::subscriber::{Contact, NewSubscriber, Subscriber};
use domain::time::Timestamp;

use super::Rules;
use super::answer::{Shown, object};
use super::endpoint::endpoint_url;
use super::reader::{Reader, one_of, read};
use super::shape::{self, Field, Form, InAnswers, Object, Shape, merged};
use crate::fault::{Fault, code};
use crate::json::Value;

const CHANNELS: [&str; 2] = ["email", "webhook"];

/// The fields of a subscriber (contract page 1, "Subscribers"; the name's length is from page 7, "API").
pub(super) const FIELDS: Object = Object::new(&[
    Field::by_platform("id", shape::ID, "The subscriber's id, a UUIDv7."),
    Field::required(
        "name",
        Shape::Text(Form::of_length((1, 255)).examples(&["My app", "é", "名前"])),
        "Display name; need not be unique.",
    ),
    Field::at_creation("subject", Shape::Text(SUBJECT), "URL of the PIM that the caller authenticated with; optional."),
    Field::by_platform(
        "status",
        Shape::Name(&["active", "revoked"]),
        "`revoked`: its connection or app was removed from the PIM; this is final.",
    ),
    Field::required("contact", Shape::Object(&CONTACT), "Recipient of notifications about subscriptions."),
    Field::by_platform("created_at", shape::TIME, "Time of creation."),
    Field::by_platform("updated_at", shape::TIME, "Time of the last change."),
]);

/// A PIM's URL in any spelling equivalent to the registered one.
pub(super) const SUBJECT: Form = Form::of_format("pim-url").examples(&["https://pim.example.com"]);

const CONTACT: Object = Object::new(&[
    Field::required(
        "technical_email",
        Shape::Text(
            Form::of_format("email")
                .pattern(Contact::EMAIL_PATTERN)
                .length((3, Contact::MAX_EMAIL))
                .examples(&["dev@example.com", "first.last+tag@mail.example.co"]),
        ),
        "One email address.",
    ),
    Field::optional(
        "notification_channels",
        Shape::Names(&CHANNELS),
        "Channels of notifications. Absent or empty: email. If the webhook fails, an email is sent even if `email` is \
         not listed.",
    ),
    Field::optional(
        "notification_webhook_url",
        Shape::Url(
            Form::of_format("https-url")
                .length((1, EndpointUrl::MAX_CHARACTERS))
                .examples(&["https://app.example.com/notifications"]),
        ),
        "URL for signed notifications; required with the channel `webhook`.",
    )
    .shown(InAnswers::OrNull),
    Field::optional(
        "notification_webhook_secret",
        Shape::Secret(Form::of_length((16, 256)).examples(&["a-secret-of-16-characters-or-more"])),
        "Secret for signing notifications; required with the channel `webhook`. Never shown.",
    )
    .shown(InAnswers::Never),
    Field::optional(
        "notify_failing",
        Shape::Truth,
        "Also notify when fewer than 95 % of a subscription's deliveries of the last hour succeeded, once per hour at \
         most. Below 90 % the subscription is suspended.",
    ),
])
.one_of(
    r#"[{"title":"By email","properties":{"notification_channels":{"items":{"const":"email"}}}},
        {"title":"By webhook","required":["notification_webhook_url","notification_webhook_secret"],
         "properties":{"notification_webhook_url":{"type":"string"},"notification_webhook_secret":{"type":"string"},
                       "notification_channels":{"contains":{"const":"webhook"}}}}]"#,
);

/// Reads the body of `POST /subscribers`.
pub fn parse_create(body: &Value, rules: &Rules<'_>) -> Result<NewSubscriber, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", FIELDS.fields, faults)?;
        fields.read_only();
        subject(&mut fields, rules);
        let name = fields.required_text("name");
        let contact = fields.required_object("contact").and_then(|fields| contact(fields, rules));
        fields.finish();
        Some(NewSubscriber { name: name?.to_owned(), contact: contact? })
    })
}

/// The subscriber as changed by the body of `PATCH /subscribers/{id}`. The caller sets `updated_at` and `revision`.
pub fn apply_patch(current: &Subscriber, body: &Value, rules: &Rules<'_>) -> Result<Subscriber, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", FIELDS.fields, faults)?;
        fields.unchanged("id", |sent| SubscriberId::parse(sent) == Some(current.id));
        fields.unchanged("status", |sent| sent == current.status.as_str());
        fields.unchanged("subject", |sent| rules.is_subject(sent));
        fields.unchanged("created_at", |sent| Timestamp::parse(sent) == Some(current.created_at));
        fields.get("updated_at");
        let mut changed = current.clone();
        if fields.has("name")
            && let Some(name) = fields.required_text("name")
        {
            name.clone_into(&mut changed.name);
        }
        if let Some(sent) = fields.has("contact").then(|| fields.required("contact")).flatten() {
            let whole = merged(&contact_value(&current.contact, Shown::Whole), sent, &Shape::Object(&CONTACT));
            if let Some(contact) =
                fields.instead(&whole, "contact", CONTACT.fields).and_then(|fields| contact(fields, rules))
            {
                changed.contact = contact;
            }
        }
        fields.finish();
        Some(changed)
    })
}

/// The subscriber in a response; `subject` is the PIM URL as registered.
pub fn render(subscriber: &Subscriber, subject: &str) -> String {
    to_value(subscriber, subject).to_canonical()
}

/// Several subscribers in a response: a bare array.
pub fn render_list<'s>(subscribers: impl IntoIterator<Item = &'s Subscriber>, subject: &str) -> String {
    Value::Array(subscribers.into_iter().map(|subscriber| to_value(subscriber, subject)).collect()).to_canonical()
}

fn to_value(subscriber: &Subscriber, subject: &str) -> Value {
    object([
        ("id", subscriber.id.to_string().into()),
        ("name", subscriber.name.as_str().into()),
        ("subject", subject.into()),
        ("status", subscriber.status.as_str().into()),
        ("contact", contact_value(&subscriber.contact, Shown::Masked)),
        ("created_at", subscriber.created_at.to_string().into()),
        ("updated_at", subscriber.updated_at.to_string().into()),
    ])
}

/// `subject` of a creating body: the caller's PIM URL, if present.
pub(super) fn subject(fields: &mut Reader<'_, '_>, rules: &Rules<'_>) {
    if let Some(subject) = fields.string("subject")
        && !rules.is_subject(subject)
    {
        let message = format!("must be the URL of the PIM that you authenticated with, {}", rules.subject);
        fields.fault("subject", code::SUBJECT_MISMATCH, message);
    }
}

fn contact(mut fields: Reader<'_, '_>, rules: &Rules<'_>) -> Option<Contact> {
    let technical_email = fields.required_string("technical_email");
    let technical_email = technical_email.filter(|address| {
        let valid = Contact::is_email(address);
        if !valid {
            let message = "must be a single email address whose domain contains a dot, such as team@example.com";
            fields.fault("technical_email", code::INVALID_EMAIL, message);
        }
        valid
    });
    let (email, webhook) = channels(&mut fields);
    let webhook_url = if webhook {
        fields.required_string("notification_webhook_url")
    } else {
        fields.string("notification_webhook_url")
    };
    let webhook_url = webhook_url.and_then(|text| endpoint_url(&mut fields, "notification_webhook_url", text, rules));
    let webhook_secret = if webhook {
        fields.required_secret("notification_webhook_secret")
    } else {
        fields
            .string("notification_webhook_secret")
            .and_then(|text| fields.secret_of("notification_webhook_secret", text))
    };
    let notify_failing = fields.boolean("notify_failing");
    fields.finish();
    Some(Contact {
        technical_email: technical_email?.to_owned(),
        email,
        webhook,
        webhook_url: webhook_url.map(|url| url.as_str().to_owned()),
        webhook_secret,
        notify_failing,
    })
}

/// Whether notifications are sent by email and by webhook. Neither means the default, email.
fn channels(fields: &mut Reader<'_, '_>) -> (bool, bool) {
    let (mut email, mut webhook) = (false, false);
    for (index, channel) in fields.list("notification_channels").unwrap_or_default().iter().enumerate() {
        let place = format!("notification_channels[{index}]");
        let chosen = match channel.as_str() {
            Some("email") => &mut email,
            Some("webhook") => &mut webhook,
            Some(other) => {
                fields.fault(&place, code::INVALID_VALUE, one_of(other, &CHANNELS));
                continue;
            }
            None => {
                let message = format!("must be a string, not {}", channel.type_name());
                fields.fault(&place, code::WRONG_TYPE, message);
                continue;
            }
        };
        if *chosen {
            fields.fault(&place, code::DUPLICATE_VALUE, "is a duplicate");
        }
        *chosen = true;
    }
    (email || !webhook, webhook)
}

fn contact_value(contact: &Contact, shown: Shown) -> Value {
    let channels = [(contact.email, "email"), (contact.webhook, "webhook")];
    let channels = channels.into_iter().filter(|(on, _)| *on).map(|(_, name)| Value::from(name)).collect();
    let mut value = vec![
        ("technical_email".to_owned(), contact.technical_email.as_str().into()),
        ("notification_channels".to_owned(), Value::Array(channels)),
        ("notification_webhook_url".to_owned(), contact.webhook_url.as_deref().map_or(Value::Null, Value::from)),
        ("notify_failing".to_owned(), contact.notify_failing.into()),
    ];
    // Never returned, not even as a mask (contract page 7, "Mask").
    if let (Shown::Whole, Some(secret)) = (shown, &contact.webhook_secret) {
        value.push(("notification_webhook_secret".to_owned(), secret.expose().into()));
    }
    Value::Object(value)
}
