//! Subscribers in the API: created, changed, shown.

use domain::id::SubscriberId;
use domain::subscriber::{Contact, NewSubscriber, Subscriber};
use domain::time::Timestamp;

use super::Rules;
use super::answer::{Shown, object};
use super::endpoint::endpoint_url;
use super::reader::{Reader, one_of, read};
use super::shape::{CONTACT, merged};
use crate::fault::{Fault, code};
use crate::json::Value;

/// Contract page 7, "API": length of a subscriber's name.
const NAME: (usize, usize) = (1, 255);
/// Contract page 1, "Subscribers": length of the secret that signs notifications.
const WEBHOOK_SECRET: (usize, usize) = (16, 256);

/// Reads the body of `POST /subscribers`.
pub fn parse_create(body: &Value, rules: &Rules<'_>) -> Result<NewSubscriber, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", faults)?;
        fields.read_only(&["id", "status", "created_at", "updated_at"]);
        subject(&mut fields, rules);
        let name = fields.required_text("name", NAME.0, NAME.1);
        let contact = fields.required_object("contact").and_then(|fields| contact(fields, rules));
        fields.finish();
        Some(NewSubscriber { name: name?.to_owned(), contact: contact? })
    })
}

/// The subscriber as the body of `PATCH /subscribers/{id}` changes it. `updated_at` and `revision` are the caller's.
pub fn apply_patch(current: &Subscriber, body: &Value, rules: &Rules<'_>) -> Result<Subscriber, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", faults)?;
        fields.unchanged("id", |sent| SubscriberId::parse(sent) == Some(current.id));
        fields.unchanged("status", |sent| sent == current.status.as_str());
        fields.unchanged("subject", |sent| rules.is_subject(sent));
        fields.unchanged("created_at", |sent| Timestamp::parse(sent) == Some(current.created_at));
        fields.get("updated_at");
        let mut changed = current.clone();
        if fields.has("name")
            && let Some(name) = fields.required_text("name", NAME.0, NAME.1)
        {
            name.clone_into(&mut changed.name);
        }
        if let Some(sent) = fields.has("contact").then(|| fields.required("contact")).flatten() {
            let whole = merged(&contact_value(&current.contact, Shown::Whole), sent, &CONTACT);
            if let Some(contact) = fields.instead(&whole, "contact").and_then(|fields| contact(fields, rules)) {
                changed.contact = contact;
            }
        }
        fields.finish();
        Some(changed)
    })
}

/// The subscriber as it is answered; `subject` is the PIM URL in the spelling of its registration.
pub fn render(subscriber: &Subscriber, subject: &str) -> String {
    to_value(subscriber, subject).to_canonical()
}

/// Several subscribers as they are answered: a bare array.
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

/// `subject` of a body that creates something: the caller's PIM URL, if it is there at all.
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
            let message = "must be one email address with a domain that has a dot, such as team@example.com";
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
        fields.required_secret("notification_webhook_secret", WEBHOOK_SECRET.0, WEBHOOK_SECRET.1)
    } else {
        fields
            .string("notification_webhook_secret")
            .and_then(|text| fields.secret_of("notification_webhook_secret", text, WEBHOOK_SECRET.0, WEBHOOK_SECRET.1))
    };
    fields.finish();
    Some(Contact {
        technical_email: technical_email?.to_owned(),
        email,
        webhook,
        webhook_url: webhook_url.map(|url| url.as_str().to_owned()),
        webhook_secret,
    })
}

/// Whether notifications go out by email, by webhook. None of both means the default, email.
fn channels(fields: &mut Reader<'_, '_>) -> (bool, bool) {
    let (mut email, mut webhook) = (false, false);
    for (index, channel) in fields.list("notification_channels").unwrap_or_default().iter().enumerate() {
        let place = format!("notification_channels[{index}]");
        let chosen = match channel.as_str() {
            Some("email") => &mut email,
            Some("webhook") => &mut webhook,
            Some(other) => {
                fields.fault(&place, code::INVALID_VALUE, one_of(other, &["email", "webhook"]));
                continue;
            }
            None => {
                let message = format!("must be a string, not {}", channel.type_name());
                fields.fault(&place, code::WRONG_TYPE, message);
                continue;
            }
        };
        if *chosen {
            fields.fault(&place, code::DUPLICATE_VALUE, "is there already");
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
    ];
    // Never returned, not even as a mask (contract page 7, "Mask").
    if let (Shown::Whole, Some(secret)) = (shown, &contact.webhook_secret) {
        value.push(("notification_webhook_secret".to_owned(), secret.expose().into()));
    }
    Value::Object(value)
}
