//! The rules for one event's attributes: turns the sent attributes into an event, or records all faults.

use crate::fault::code;
use std::borrow::Cow;

use domain::event::{EventParts, PIM_SOURCE, PRODUCER_SOURCE};
use domain::{Event, Timestamp};

use crate::json::unescape;

use super::refusal::Faults;
use super::{identifier, instant, media_type};

/// Maximum length of `id` and `type`, in characters (contract page 7 for the id).
pub(super) const LONGEST_NAME: usize = 256;

/// Maximum number of extension attributes (contract page 7).
pub(super) const MOST_EXTENSIONS: usize = 20;

/// Maximum bytes of all extension attributes, as JSON text (contract page 7).
const EXTENSIONS_LIMIT: usize = 4 * 1024;

/// An event as sent: each value is canonical JSON text, `null` counts as absent.
#[derive(Default)]
pub(super) struct Draft<'a> {
    specversion: Option<&'a str>,
    id: Option<&'a str>,
    source: Option<&'a str>,
    event_type: Option<&'a str>,
    time: Option<&'a str>,
    subject: Option<&'a str>,
    dataschema: Option<&'a str>,
    datacontenttype: Option<&'a str>,
    data: Option<&'a str>,
    data_base64: Option<&'a str>,
    /// All others, in the order sent.
    extensions: Vec<(&'a str, &'a str)>,
    /// Whether the attributes were headers.
    binary: bool,
}

impl<'a> Draft<'a> {
    /// A draft with attributes from headers.
    pub(super) fn binary() -> Draft<'a> {
        Draft { binary: true, ..Draft::default() }
    }

    /// Adds a member of the event. Names are unique: the readers of requests ensure that.
    pub(super) fn put(&mut self, name: &'a str, value: &'a str) {
        if value == "null" {
            return;
        }
        let place = match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.event_type,
            "time" => &mut self.time,
            "subject" => &mut self.subject,
            "dataschema" => &mut self.dataschema,
            "datacontenttype" => &mut self.datacontenttype,
            "data" if !self.binary => &mut self.data,
            "data_base64" if !self.binary => &mut self.data_base64,
            _ => {
                self.extensions.push((name, value));
                return;
            }
        };
        *place = Some(value);
    }

    /// Sets `data` from outside the members.
    pub(super) fn put_data(&mut self, data: &'a str) {
        self.data = (data != "null").then_some(data);
    }

    /// Bytes of the stored and delivered form of the event, without the platform's own envelope: the producer's
    /// attributes and `data`, in canonical JSON. Never larger than the canonical text of the request.
    pub(super) fn kept_size(&self) -> usize {
        let attributes = [("id", self.id), ("type", self.event_type), ("time", self.time), ("data", self.data)];
        let attributes = attributes.into_iter().chain([(PRODUCER_SOURCE, self.producer_source())]);
        let present = attributes.filter_map(|(name, value)| Some((name, value?)));
        let members = present.chain(self.extensions.iter().copied());
        // Each with its quotes, colon and comma.
        members.map(|(name, value)| name.len() + value.len() + 4).sum::<usize>() + 1
    }

    /// The event, if it has no faults.
    pub(super) fn finish(self, received_at: Timestamp, faults: &mut Faults) -> Option<Event> {
        self.check_specversion(faults);
        let id = self.id(faults);
        self.check_source(faults);
        let event_type = self.event_type(faults);
        let time = self.time(received_at, faults);
        text("subject", self.subject, faults);
        text("dataschema", self.dataschema, faults);
        self.check_datacontenttype(faults);
        let extensions = self.extensions(faults);
        let data = self.data(faults);
        let (id, event_type, data) = (id?, event_type?, data?);
        Some(Event::new(EventParts {
            id: &id,
            event_type: &event_type,
            time: &time?,
            extensions: &extensions?,
            data,
            product_identifier: identifier::place(&event_type, data),
        }))
    }

    fn check_specversion(&self, faults: &mut Faults) {
        match required("specversion", self.specversion, faults) {
            None => {
                if self.binary && self.id.is_none() && self.event_type.is_none() && self.data.is_some() {
                    let hint = "no `ce-*` headers: to send the event in the body, use `application/cloudevents+json`";
                    faults.add(code::REQUIRED, "", hint);
                }
            }
            Some(version) if version == "1.0" => {}
            Some(version) => {
                let version: String = version.chars().take(LONGEST_NAME).collect();
                faults.about(code::INVALID_VALUE, "specversion", format!("must be \"1.0\", found {version:?}"));
            }
        }
    }

    fn id(&self, faults: &mut Faults) -> Option<Cow<'a, str>> {
        name("id", self.id, faults)
    }

    fn event_type(&self, faults: &mut Faults) -> Option<Cow<'a, str>> {
        name("type", self.event_type, faults)
    }

    /// Any non-empty text: the key identifies the PIM, and the delivered `source` is a setting of the platform. With
    /// the id it identifies the event, so it is stored as the extension attribute `producersource`.
    fn check_source(&self, faults: &mut Faults) {
        if required("source", self.source, faults).is_some_and(|source| source.is_empty()) {
            faults.about(code::INVALID_VALUE, "source", "must not be empty");
        }
    }

    /// The source as canonical JSON, if other than the default.
    fn producer_source(&self) -> Option<&'a str> {
        let text = |source: &str| source.strip_prefix('"')?.strip_suffix('"').map(|text| text == PIM_SOURCE);
        self.source.filter(|source| text(source) != Some(true))
    }

    fn time(&self, received_at: Timestamp, faults: &mut Faults) -> Option<Cow<'a, str>> {
        if self.time.is_none() {
            return Some(Cow::Owned(received_at.to_string()));
        }
        let sent = text("time", self.time, faults)?;
        let time = match &sent {
            Cow::Borrowed(sent) => instant::in_utc(sent),
            Cow::Owned(sent) => instant::in_utc(sent).map(|time| Cow::Owned(time.into_owned())),
        };
        if time.is_none() {
            let message = "must be a date and time of RFC 3339 with its offset, such as `2026-11-02T08:00:00.5Z`";
            faults.about(code::INVALID_VALUE, "time", message);
        }
        time
    }

    fn check_datacontenttype(&self, faults: &mut Faults) {
        let Some(sent) = text("datacontenttype", self.datacontenttype, faults) else { return };
        if !media_type::is_json(&sent) {
            faults.about(code::INVALID_VALUE, "datacontenttype", "must be JSON: `application/json`, or absent");
        }
    }

    fn data(&self, faults: &mut Faults) -> Option<&'a str> {
        if self.data_base64.is_some() {
            faults.add(code::NOT_SUPPORTED, "data_base64", "binary data is not supported: send `data`, a JSON object");
            self.data?;
        }
        let Some(data) = self.data else {
            faults.about(code::REQUIRED, "data", "is missing: expected a JSON object");
            return None;
        };
        if !data.starts_with('{') {
            faults.about(code::WRONG_TYPE, "data", format!("must be an object, found {}", kind(data)));
            return None;
        }
        Some(data)
    }

    /// The extension attributes as members without braces.
    fn extensions(&self, faults: &mut Faults) -> Option<String> {
        let mut members = String::new();
        let mut good = true;
        for (name, value) in &self.extensions {
            if *name == PRODUCER_SOURCE {
                good = false;
                faults.about(code::INVALID_NAME, name, "is set by the platform, from `source`: omit it");
                continue;
            }
            if !is_attribute_name(name) {
                good = false;
                faults.about(code::INVALID_NAME, name, wrong_name(name));
                continue;
            }
            if self.binary && *name == "data" {
                good = false;
                faults.about(code::INVALID_NAME, name, "is not an attribute: in binary mode `data` is the body");
                continue;
            }
            if !is_attribute_value(value) {
                good = false;
                let message = format!("must be a string, a boolean or an integer, found {}", kind(value));
                faults.about(code::WRONG_TYPE, name, message);
                continue;
            }
            if is_beyond_32_bits(value) {
                good = false;
                let message = format!("must be an integer from {} to {}, or a string", i32::MIN, i32::MAX);
                faults.about(code::INVALID_VALUE, name, message);
                continue;
            }
            push_member(&mut members, name, value);
        }
        let count = self.extensions.len();
        if count > MOST_EXTENSIONS {
            good = false;
            let message = format!("has {count} extension attributes, at most {MOST_EXTENSIONS} are allowed");
            faults.add(code::TOO_MANY, "", message);
        }
        if members.len() > EXTENSIONS_LIMIT {
            good = false;
            let bytes = members.len();
            let message =
                format!("the extension attributes have {bytes} bytes in total, at most {EXTENSIONS_LIMIT} are allowed");
            faults.add(code::TOO_LONG, "", message);
        }
        if let Some(source) = self.producer_source() {
            push_member(&mut members, PRODUCER_SOURCE, source);
        }
        good.then_some(members)
    }
}

/// Adds an attribute to others.
fn push_member(members: &mut String, name: &str, value: &str) {
    if !members.is_empty() {
        members.push(',');
    }
    members.push('"');
    members.push_str(name);
    members.push_str("\":");
    members.push_str(value);
}

/// The text of a string attribute; other types are faults.
fn text<'a>(name: &str, value: Option<&'a str>, faults: &mut Faults) -> Option<Cow<'a, str>> {
    let value = value?;
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(raw) => Some(unescape(raw)),
        None => {
            faults.about(code::WRONG_TYPE, name, format!("must be a string, found {}", kind(value)));
            None
        }
    }
}

/// The text of a required attribute.
fn required<'a>(name: &str, value: Option<&'a str>, faults: &mut Faults) -> Option<Cow<'a, str>> {
    if value.is_none() {
        faults.about(code::REQUIRED, name, "is missing");
    }
    text(name, value, faults)
}

/// The text of a naming attribute: non-empty, of limited length, and without control characters.
fn name<'a>(name: &str, value: Option<&'a str>, faults: &mut Faults) -> Option<Cow<'a, str>> {
    let text = required(name, value, faults)?;
    if text.is_empty() {
        faults.about(code::INVALID_VALUE, name, "must not be empty");
        return None;
    }
    let mut good = true;
    if text.len() > LONGEST_NAME {
        let count = text.chars().count();
        if count > LONGEST_NAME {
            good = false;
            faults.about(code::TOO_LONG, name, format!("has {count} characters, at most {LONGEST_NAME} are allowed"));
        }
    }
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_plain && let Some(control) = text.chars().find(|char| char.is_control()) {
        good = false;
        let message = format!("must not contain control characters, found U+{:04X}", u32::from(control));
        faults.about(code::INVALID_VALUE, name, message);
    }
    good.then_some(text)
}

fn is_attribute_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn wrong_name(name: &str) -> String {
    let rule =
        "is not a valid attribute name: names begin with a letter and contain only lower-case letters and digits";
    let lower = name.to_ascii_lowercase();
    if lower != name && (is_attribute_name(&lower) || lower == "data_base64") {
        format!("{rule}; did you mean `{lower}`?")
    } else {
        rule.to_owned()
    }
}

/// Strings, booleans and whole numbers (contract page 7).
fn is_attribute_value(value: &str) -> bool {
    match value.as_bytes() {
        [b'"', ..] | b"true" | b"false" => true,
        [b'-', digits @ ..] | digits => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
    }
}

/// CloudEvents integers have 32 bits.
fn is_beyond_32_bits(value: &str) -> bool {
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit()) && value.parse::<i32>().is_err()
}

/// Type of a canonical text, for messages.
fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
