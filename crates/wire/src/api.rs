//! Bodies of the management API: validated as a whole when received, rendered for responses.
//!
//! Reading order: the resources ([`subscriber`], [`subscription`]), log queries and pages ([`log_query`],
//! [`log_page`]), kept events and what became of them ([`kept`], [`fate`], [`attempts`]), [`replay`], [`test_event`]
//! and [`console_link`], redaction of rejected bodies ([`redact`]). Underneath: a reader that gathers all faults
//! (`reader`), and the shape of the bodies with its merge patch (`shape`).

pub mod admin;
mod answer;
mod cursor;
mod description;
mod destination;
mod endpoint;
mod faults;
mod options;
mod reader;
mod shape;

pub mod attempts;
pub mod backlog;
pub mod console_link;
pub mod fate;
pub mod kept;
pub mod listed;
pub mod log_page;
pub mod log_query;
pub mod query;
pub mod redact;
pub mod replay;
pub mod subscriber;
pub mod subscription;
pub mod test_event;

use domain::address::AddressPolicy;
use domain::destination::DestinationType;
use domain::event_type::EventTypes;

use crate::fault::code;

/// Context of the platform and the caller for the validation of a body.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Event types available to subscriptions.
    pub event_types: &'a EventTypes,
    /// Permitted addresses of destinations.
    pub addresses: &'a AddressPolicy,
    /// Whether `http://` is allowed (a setting for development).
    pub allow_http: bool,
    /// Destination types of this installation.
    pub destination_types: &'a [DestinationType],
    /// URL of the caller's PIM, as registered.
    pub subject: &'a str,
}

impl Rules<'_> {
    /// Whether `text` is the URL of the caller's PIM, in any equivalent spelling.
    fn is_subject(&self, text: &str) -> bool {
        text == self.subject
            || domain::pim::url_key(text).is_some_and(|key| Some(key) == domain::pim::url_key(self.subject))
    }
}

pub use description::schemas;

/// Codes of faults in a subscriber's body.
pub const SUBSCRIBER_FAULTS: &[&str] = &[
    code::REQUIRED,
    code::WRONG_TYPE,
    code::UNKNOWN_FIELD,
    code::READ_ONLY,
    code::TOO_SHORT,
    code::TOO_LONG,
    code::INVALID_VALUE,
    code::DUPLICATE_VALUE,
    code::MASK_NOT_ALLOWED,
    code::SUBJECT_MISMATCH,
    code::INVALID_EMAIL,
    code::INVALID_URL,
    code::HTTPS_REQUIRED,
    code::DESTINATION_FORBIDDEN,
    code::MORE_FAULTS,
];

/// Codes of faults in a subscription's body.
pub const SUBSCRIPTION_FAULTS: &[&str] = &[
    code::REQUIRED,
    code::WRONG_TYPE,
    code::UNKNOWN_FIELD,
    code::READ_ONLY,
    code::TOO_SHORT,
    code::TOO_LONG,
    code::INVALID_VALUE,
    code::INVALID_CHARACTER,
    code::DUPLICATE_VALUE,
    code::MASK_NOT_ALLOWED,
    code::SUBJECT_MISMATCH,
    code::UNKNOWN_EVENT_TYPE,
    code::INVALID_FILTER,
    code::UNKNOWN_DESTINATION_TYPE,
    code::DESTINATION_TYPE_UNAVAILABLE,
    code::INVALID_URL,
    code::HTTPS_REQUIRED,
    code::DESTINATION_FORBIDDEN,
    code::TOO_MANY_HEADERS,
    code::INVALID_HEADER_NAME,
    code::INVALID_HEADER_VALUE,
    code::RESERVED_HEADER,
    code::DUPLICATE_HEADER,
    code::INVALID_PROJECT_ID,
    code::INVALID_TOPIC_ID,
    code::INVALID_TOPIC,
    code::INVALID_BROKER,
    code::INVALID_SERVER_NAME,
    code::INVALID_CERTIFICATE,
    code::INVALID_KEY,
    code::KEY_MISMATCH,
    code::MORE_FAULTS,
];

/// Codes of faults in a query.
pub const QUERY_FAULTS: &[&str] = &[code::UNKNOWN_PARAMETER, code::REPEATED_PARAMETER, code::INVALID_PARAMETER];

/// Codes of faults in the body of a replay.
pub const REPLAY_FAULTS: &[&str] = &[
    code::REQUIRED,
    code::WRONG_TYPE,
    code::UNKNOWN_FIELD,
    code::TOO_SHORT,
    code::TOO_LONG,
    code::INVALID_VALUE,
    code::DUPLICATE_VALUE,
    code::INVALID_FILTER,
    code::MORE_FAULTS,
];

/// Codes of faults in the body of a test event.
pub const TEST_EVENT_FAULTS: &[&str] =
    &[code::WRONG_TYPE, code::UNKNOWN_FIELD, code::UNKNOWN_EVENT_TYPE, code::MORE_FAULTS];

/// Codes of faults in bodies of the operator API.
pub const ADMIN_FAULTS: &[&str] = &[
    code::REQUIRED,
    code::WRONG_TYPE,
    code::UNKNOWN_FIELD,
    code::TOO_SHORT,
    code::TOO_LONG,
    code::INVALID_VALUE,
    code::MASK_NOT_ALLOWED,
    code::MORE_FAULTS,
];
pub use redact::redact_for_log;
