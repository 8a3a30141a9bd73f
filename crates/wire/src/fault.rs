//! Faults of a request, and the error envelope of its response.

use domain::filter::FilterError;

use crate::json::{JsonError, Number, Value};

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        /// Codes of faults: stable, for programs.
        pub mod code {
            $(
                #[doc = $meaning]
                pub const $name: &str = $code;
            )*

            /// All codes of request bodies, queries and events, with their meanings: the source of the documentation.
            pub const ALL: &[(&str, &str)] = &[$(($code, $meaning)),*];
        }
    };
}

codes! {
    MALFORMED_JSON = "malformed_json", "The body is not JSON, or ambiguous JSON (a duplicate key, a lone surrogate).";
    WRONG_TYPE = "wrong_type", "The value has the wrong JSON type.";
    REQUIRED = "required", "A required field is missing or null.";
    UNKNOWN_FIELD = "unknown_field", "The body contains an unknown field.";
    READ_ONLY = "read_only", "The field is set by the platform and was sent with another value.";
    TOO_SHORT = "too_short", "The text or list is shorter than allowed.";
    TOO_LONG = "too_long", "The text is longer than allowed.";
    INVALID_VALUE = "invalid_value", "The value is not allowed for the field.";
    INVALID_CHARACTER = "invalid_character", "The text contains a character that is not allowed.";
    DUPLICATE_VALUE = "duplicate_value", "A list contains a duplicate.";
    MASK_NOT_ALLOWED = "mask_not_allowed", "The mask of a secret was sent, but no secret is stored.";
    SUBJECT_MISMATCH = "subject_mismatch", "`subject` is not the PIM that the caller authenticated with.";
    INVALID_EMAIL = "invalid_email", "Not an email address.";
    INVALID_URL = "invalid_url", "Not a valid URL for the platform to call.";
    HTTPS_REQUIRED = "https_required", "The URL does not begin with https://.";
    DESTINATION_FORBIDDEN = "destination_forbidden", "The host is a forbidden address.";
    UNKNOWN_EVENT_TYPE = "unknown_event_type", "Unknown event type.";
    INVALID_FILTER = "invalid_filter", "The filter is invalid; column, found, expected and hint give the details.";
    UNKNOWN_DESTINATION_TYPE = "unknown_destination_type", "Unknown destination `type`.";
    DESTINATION_TYPE_UNAVAILABLE = "destination_type_unavailable",
        "This installation was built without this destination type.";
    TOO_MANY_HEADERS = "too_many_headers", "More custom headers than allowed.";
    INVALID_HEADER_NAME = "invalid_header_name", "Not a valid name of a custom header.";
    INVALID_HEADER_VALUE = "invalid_header_value", "Not a valid value of a custom header.";
    RESERVED_HEADER = "reserved_header", "The header is set by the platform or by HTTP itself.";
    DUPLICATE_HEADER = "duplicate_header", "Two custom headers differ only in case, or a ce-* header was sent twice.";
    INVALID_PROJECT_ID = "invalid_project_id", "Not a Google project id.";
    INVALID_TOPIC_ID = "invalid_topic_id", "Not a Pub/Sub topic id.";
    INVALID_TOPIC = "invalid_topic", "Not a Kafka topic name.";
    INVALID_BROKER = "invalid_broker", "Not a list of host:port.";
    INVALID_SERVER_NAME = "invalid_server_name", "Not a DNS name or IP address.";
    INVALID_CERTIFICATE = "invalid_certificate", "Not PEM with readable certificates.";
    INVALID_KEY = "invalid_key", "Not PEM with a readable private key.";
    KEY_MISMATCH = "key_mismatch", "The private key does not belong to the client certificate.";
    MORE_FAULTS = "more_faults", "There are more than the 100 listed faults.";
    REQUEST_TOO_LARGE = "request_too_large", "A request with events exceeds 5 MiB, as sent or as stored.";
    EVENT_TOO_LARGE = "event_too_large", "An event exceeds 1 MiB of JSON text, as sent or as stored.";
    TOO_MANY_EVENTS = "too_many_events", "A batch exceeds 1,000 events: split it.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type",
        "Events must be sent as application/cloudevents+json, application/cloudevents-batch+json, or \
         application/json (or no type) with ce-* headers.";
    UNSUPPORTED_ENCODING = "unsupported_encoding", "Send the body without Content-Encoding.";
    EMPTY_BATCH = "empty_batch", "A batch must contain at least one event.";
    NOT_SUPPORTED = "not_supported", "Defined by CloudEvents but not supported by the platform: data_base64.";
    INVALID_NAME = "invalid_name",
        "Not a valid name of an extension attribute: lower-case letters and digits, starting with a letter, \
         and not producersource.";
    TOO_MANY = "too_many", "An event has more than 20 extension attributes.";
    MALFORMED_HEADER = "malformed_header", "A ce-* header is not UTF-8 once percent-decoded.";
    UNKNOWN_PARAMETER = "unknown_parameter", "The query has an unknown parameter.";
    REPEATED_PARAMETER = "repeated_parameter", "The query has a repeated parameter.";
    INVALID_PARAMETER = "invalid_parameter", "A parameter's value is invalid.";
}

/// One fault of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// For humans.
    pub message: String,
    /// For programs; see [`code`].
    pub code: &'static str,
    /// Path of the field at fault, such as `config.url` or `events[2]`.
    pub field: Option<String>,
    /// Position and cause of a filter fault.
    pub detail: Option<FilterDetail>,
}

/// Where and why a filter was rejected (contract page 7, "Filters").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilterDetail {
    /// Column of the position in code points, from 1.
    pub column: usize,
    /// Text at the position.
    pub found: String,
    /// Acceptable text at the position.
    pub expected: String,
    /// Lines to print verbatim: the position in the filter, and a suggestion.
    pub hint: String,
}

impl Fault {
    /// A fault without a single field.
    pub fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { message: message.into(), code, field: None, detail: None }
    }

    /// A fault of the field at `field`.
    pub fn at(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Fault {
        Fault { message: message.into(), code, field: Some(field.into()), detail: None }
    }

    /// A rejected filter.
    pub fn filter(field: &str, error: FilterError) -> Fault {
        Fault {
            message: error.message,
            code: code::INVALID_FILTER,
            field: Some(field.to_owned()),
            detail: Some(FilterDetail {
                column: error.column,
                found: error.found,
                expected: error.expected,
                hint: error.hint,
            }),
        }
    }

    /// The fault as listed in responses.
    pub fn to_value(&self) -> Value {
        let mut members = vec![
            ("message".to_owned(), Value::from(self.message.as_str())),
            ("code".to_owned(), Value::from(self.code)),
        ];
        if let Some(field) = &self.field {
            members.push(("field".to_owned(), Value::from(field.as_str())));
        }
        if let Some(detail) = &self.detail {
            members.push(("column".to_owned(), Value::Number(Number::from(detail.column as u64))));
            members.push(("found".to_owned(), Value::from(detail.found.as_str())));
            members.push(("expected".to_owned(), Value::from(detail.expected.as_str())));
            members.push(("hint".to_owned(), Value::from(detail.hint.as_str())));
        }
        Value::Object(members)
    }
}

/// A rejected request: the status of the response, and all its faults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// At least one.
    pub faults: Vec<Fault>,
}

impl Refusal {
    /// A refusal with one fault.
    pub fn one(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, faults: vec![Fault::new(code, message)] }
    }

    /// 422: understood, but not valid.
    pub fn invalid(faults: Vec<Fault>) -> Refusal {
        Refusal { status: 422, faults }
    }

    /// 400: not unambiguous JSON.
    pub fn malformed(error: &JsonError) -> Refusal {
        let field = (!error.path.is_empty()).then(|| error.path.clone());
        Refusal { status: 400, faults: vec![Fault { field, ..Fault::new(code::MALFORMED_JSON, error.to_string()) }] }
    }

    /// Body of the response: the error envelope.
    pub fn body(&self) -> String {
        let errors = Value::Array(self.faults.iter().map(Fault::to_value).collect());
        Value::Object(vec![("errors".to_owned(), errors)]).to_canonical()
    }

    /// Code of the first fault: `error_reason` of the log entry.
    pub fn reason(&self) -> &'static str {
        self.faults.first().map_or("", |fault| fault.code)
    }

    /// All messages on one line, for the log entry.
    pub fn message(&self) -> String {
        let messages: Vec<&str> = self.faults.iter().map(|fault| fault.message.as_str()).collect();
        messages.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_has_all_members_of_a_fault() {
        let mut filter = Fault::at("filter", code::INVALID_FILTER, "column 6: a quoted value is missing");
        filter.detail = Some(FilterDetail {
            column: 6,
            found: "system".to_owned(),
            expected: "a value in double quotes".to_owned(),
            hint: "\"system\"".to_owned(),
        });
        let refusal = Refusal::invalid(vec![filter, Fault::new(code::WRONG_TYPE, "an object is expected")]);
        assert_eq!(
            refusal.body(),
            concat!(
                r#"{"errors":[{"message":"column 6: a quoted value is missing","code":"invalid_filter","field":"filter","#,
                r#""column":6,"found":"system","expected":"a value in double quotes","hint":"\"system\""},"#,
                r#"{"message":"an object is expected","code":"wrong_type"}]}"#
            )
        );
        assert_eq!(refusal.reason(), "invalid_filter");
        assert_eq!(refusal.message(), "column 6: a quoted value is missing; an object is expected");
    }

    #[test]
    fn malformed_json_is_reported_with_its_position() {
        let refusal = Refusal::malformed(&crate::json::parse(br#"{"config":{"url":1,"url":2}}"#).unwrap_err());
        assert_eq!((refusal.status, refusal.reason()), (400, "malformed_json"));
        assert_eq!(refusal.faults[0].field.as_deref(), Some("config"));
        assert!(refusal.message().contains("line 1, column"), "{}", refusal.message());
    }

    #[test]
    fn codes_are_snake_case_and_unique() {
        for (index, (code, _)) in code::ALL.iter().enumerate() {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
            assert!(code::ALL[..index].iter().all(|(other, _)| other != code), "{code} is there twice");
        }
    }
}
