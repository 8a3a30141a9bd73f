//! The delivered body: an event in its subscription's envelope.

use std::borrow::Cow;

use bytes::Bytes;
use domain::{Event, SubscriptionId};

use crate::json::{escape_into, escaped_len};

/// The common part of a platform's envelopes, built once from its settings.
#[derive(Clone, Debug)]
pub struct EnvelopeStyle {
    source: String,
    /// From the comma after `id` to the colon before the type.
    source_to_type: String,
    /// From the comma before `datacontenttype` to the type within `dataschema`.
    type_to_schema: String,
}

const OPENING: &str = "{\"specversion\":\"1.0\",\"id\":";
const TYPE_TO_SUBJECT: &str = ",\"subject\":\"";
const SCHEMA_TO_TIME: &str = ".schema.json\",\"time\":\"";
const TO_DATA: &str = ",\"data\":";

/// The hyphenated form of a UUID.
const SUBJECT_LENGTH: usize = 36;

impl EnvelopeStyle {
    /// A style with the delivered `source` and the platform's public base URL, which serves the schemas.
    pub fn new(source: &str, public_base_url: &str) -> EnvelopeStyle {
        let mut source_to_type = ",\"source\":".to_owned();
        escape_into(&mut source_to_type, source);
        source_to_type.push_str(",\"type\":");
        let mut type_to_schema = ",\"datacontenttype\":\"application/json\",\"dataschema\":".to_owned();
        escape_into(&mut type_to_schema, &format!("{}/spec/", public_base_url.trim_end_matches('/')));
        type_to_schema.pop();
        EnvelopeStyle { source: source.to_owned(), source_to_type, type_to_schema }
    }

    /// The delivered `source`.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// The exact bytes sent, and signed, for a subscription: compact JSON, the keys in the order of contract page 2.
/// Nothing is parsed; the parts of the event are joined in one allocation.
pub fn body(style: &EnvelopeStyle, event: &Event, subject: &SubscriptionId, send_product_identifier: bool) -> Bytes {
    Bytes::from(text(style, event, Some(subject), send_product_identifier))
}

/// The same without `subject`, for readers of no particular subscription.
pub fn without_subject(style: &EnvelopeStyle, event: &Event, send_product_identifier: bool) -> String {
    text(style, event, None, send_product_identifier)
}

fn text(
    style: &EnvelopeStyle,
    event: &Event,
    subject: Option<&SubscriptionId>,
    send_product_identifier: bool,
) -> String {
    let subject_length = if subject.is_some() { TYPE_TO_SUBJECT.len() + SUBJECT_LENGTH + "\"".len() } else { 0 };
    let extensions = event.extensions();
    let comma = if extensions.is_empty() { "" } else { "," };
    let data = event.data();
    let cut = match event.product_identifier() {
        Some(cut) if !send_product_identifier => cut,
        _ => 0..0,
    };
    let type_in_path = path_segment(event.event_type());
    let length = OPENING.len()
        + escaped_len(event.id())
        + style.source_to_type.len()
        + escaped_len(event.event_type())
        + subject_length
        + style.type_to_schema.len()
        + type_in_path.len()
        + SCHEMA_TO_TIME.len()
        + event.time().len()
        + "\"".len()
        + comma.len()
        + extensions.len()
        + TO_DATA.len()
        + (data.len() - cut.len())
        + "}".len();
    let mut out = String::with_capacity(length);
    out.push_str(OPENING);
    escape_into(&mut out, event.id());
    out.push_str(&style.source_to_type);
    escape_into(&mut out, event.event_type());
    if let Some(subject) = subject {
        out.push_str(TYPE_TO_SUBJECT);
        out.push_str(subject.0.hyphenated().encode_lower(&mut [0; SUBJECT_LENGTH]));
        out.push('"');
    }
    out.push_str(&style.type_to_schema);
    out.push_str(&type_in_path);
    out.push_str(SCHEMA_TO_TIME);
    out.push_str(event.time());
    out.push('"');
    out.push_str(comma);
    out.push_str(extensions);
    out.push_str(TO_DATA);
    out.push_str(data.get(..cut.start).unwrap_or_default());
    out.push_str(data.get(cut.end..).unwrap_or_default());
    out.push('}');
    debug_assert_eq!(out.len(), length, "the length is exact");
    out
}

/// RFC 3986: bytes that never need encoding in a path segment.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A type may be any text, unlike its schema's URL.
fn path_segment(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_unreserved) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 0xF)]));
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use domain::event::EventParts;

    use super::*;

    const SUBJECT: &str = "01904b51-8d5c-7c3a-9b6f-1f2e3d4c5b6a";

    fn check(parts: EventParts<'_>, send_product_identifier: bool, expect: &str) {
        let style = EnvelopeStyle::new("akeneo-event-platform", "https://events.example.com/");
        let subject = SubscriptionId::parse(SUBJECT).unwrap();
        let body = body(&style, &Event::new(parts), &subject, send_product_identifier);
        assert_eq!(std::str::from_utf8(&body).unwrap(), expect);
    }

    const PLAIN: EventParts<'static> = EventParts {
        id: "e1",
        event_type: "com.akeneo.pim.v1.product.created",
        time: "2026-11-02T08:00:00.716Z",
        extensions: "",
        data: r#"{"product":{"uuid":"u","identifier":"i"}}"#,
        product_identifier: Some(22..39),
    };

    #[test]
    fn keys_are_in_the_order_of_the_contract() {
        check(
            PLAIN,
            true,
            r#"{"specversion":"1.0","id":"e1","source":"akeneo-event-platform","type":"com.akeneo.pim.v1.product.created","subject":"01904b51-8d5c-7c3a-9b6f-1f2e3d4c5b6a","datacontenttype":"application/json","dataschema":"https://events.example.com/spec/com.akeneo.pim.v1.product.created.schema.json","time":"2026-11-02T08:00:00.716Z","data":{"product":{"uuid":"u","identifier":"i"}}}"#,
        );
    }

    #[test]
    fn the_product_identifier_is_removed_by_default() {
        check(
            PLAIN,
            false,
            r#"{"specversion":"1.0","id":"e1","source":"akeneo-event-platform","type":"com.akeneo.pim.v1.product.created","subject":"01904b51-8d5c-7c3a-9b6f-1f2e3d4c5b6a","datacontenttype":"application/json","dataschema":"https://events.example.com/spec/com.akeneo.pim.v1.product.created.schema.json","time":"2026-11-02T08:00:00.716Z","data":{"product":{"uuid":"u"}}}"#,
        );
    }

    #[test]
    fn a_reader_of_no_subscription_sees_no_subject() {
        let style = EnvelopeStyle::new("akeneo-event-platform", "https://events.example.com");
        let subject = SubscriptionId::parse(SUBJECT).unwrap();
        for send in [true, false] {
            let event = Event::new(PLAIN);
            let whole = body(&style, &event, &subject, send);
            let expect = std::str::from_utf8(&whole).unwrap().replace(&format!(r#","subject":"{SUBJECT}""#), "");
            assert_eq!(without_subject(&style, &event, send), expect);
        }
    }

    #[test]
    fn odd_ids_and_types_are_escaped_and_extensions_stand_before_data() {
        check(
            EventParts {
                id: "a \"b\" \\ é",
                event_type: "my/type é",
                extensions: r#""traceparent":"00-1","n":1"#,
                data: "{}",
                product_identifier: None,
                ..PLAIN
            },
            false,
            r#"{"specversion":"1.0","id":"a \"b\" \\ é","source":"akeneo-event-platform","type":"my/type é","subject":"01904b51-8d5c-7c3a-9b6f-1f2e3d4c5b6a","datacontenttype":"application/json","dataschema":"https://events.example.com/spec/my%2Ftype%20%C3%A9.schema.json","time":"2026-11-02T08:00:00.716Z","traceparent":"00-1","n":1,"data":{}}"#,
        );
    }
}
