//! Custom headers of a destination, and reserved names.

use serde::{Deserialize, Serialize};

use crate::event::PRODUCER_SOURCE;
use crate::replay::REPLAY_MARK;
use crate::secret::Secret;

/// Maximum number of custom headers (contract page 1, `config`).
const MAX_HEADERS: usize = 5;
/// Maximum length of a header name (contract page 1, `config`).
const MAX_NAME: usize = 128;
/// Maximum length of a header value (contract page 1, `config`).
const MAX_VALUE: usize = 256;

/// Names that no subscription may set: pages 1 and 7 of the contract, and hop-by-hop headers of HTTP (RFC 9110, 7.6.1,
/// with the names used by older proxies).
const RESERVED: [&str; 20] = [
    "content-type",
    "user-agent",
    "x-correlation-id",
    "host",
    "authorization",
    "cookie",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    REPLAY_MARK,
    "content-length",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Prefix reserved for signatures (contract page 1).
const RESERVED_PREFIX: &str = "x-akeneo-signature-";

/// Attributes sent with events to topics and queues (contract pages 4, 7 and 9): a custom header with such a name would
/// contradict the event.
const ATTRIBUTES: [&str; 10] = [
    "id",
    "source",
    "type",
    "subject",
    "time",
    "specversion",
    "datacontenttype",
    "dataschema",
    "content-type",
    PRODUCER_SOURCE,
];

/// Custom headers, in the order given: at most 5, with case-insensitively unique names.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomHeaders(pub Vec<(String, Secret)>);

/// Why a custom header is rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderError {
    /// Invalid header name.
    #[error("a header name must have 1 to {MAX_NAME} characters from A-Z, a-z, 0-9 and -")]
    Name,
    /// Set by the platform or by HTTP itself.
    #[error("this header is reserved: it is set by the platform or by HTTP itself")]
    Reserved,
    /// Name of an event attribute.
    #[error("this name is reserved for an attribute of the event")]
    Attribute,
    /// Value too long.
    #[error("a header value may have at most {MAX_VALUE} characters")]
    ValueTooLong,
    /// Invalid character in the value.
    #[error("a header value must consist of printable ASCII characters")]
    ValueCharacter,
    /// Leading or trailing space in the value.
    #[error("a header value must not begin or end with a space")]
    ValueBlanks,
}

impl CustomHeaders {
    /// Maximum number of headers per subscription.
    pub const MAX: usize = MAX_HEADERS;
    /// Maximum length of a value in characters.
    pub const MAX_VALUE: usize = MAX_VALUE;
    /// Names as a regular expression; [`CustomHeaders::reserved_pattern`] covers reserved ones.
    pub const NAME_PATTERN: &str = "^[A-Za-z0-9-]{1,128}$";
    /// Values as a regular expression, except for their length.
    pub const VALUE_PATTERN: &str = "^([!-~]([ -~]*[!-~])?)?$";

    /// Reserved names, in any case, as a regular expression.
    pub fn reserved_pattern() -> String {
        let any_case = |name: &str| -> String {
            let letter = |letter: char| match letter {
                'a'..='z' => format!("[{letter}{}]", letter.to_ascii_uppercase()),
                other => other.to_string(),
            };
            name.chars().map(letter).collect()
        };
        let names: Vec<String> = RESERVED.iter().map(|name| any_case(name)).collect();
        format!("^(({})$|{})", names.join("|"), any_case(RESERVED_PREFIX))
    }

    /// Whether `name` may be set.
    pub fn check_name(name: &str) -> Result<(), HeaderError> {
        let valid = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !valid {
            return Err(HeaderError::Name);
        }
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) || lower.starts_with(RESERVED_PREFIX) {
            return Err(HeaderError::Reserved);
        }
        Ok(())
    }

    /// Whether a custom header of a topic or queue may have this name next to the event's own attributes.
    pub fn check_attribute(name: &str) -> Result<(), HeaderError> {
        if ATTRIBUTES.iter().any(|attribute| attribute.eq_ignore_ascii_case(name)) {
            return Err(HeaderError::Attribute);
        }
        Ok(())
    }

    /// Whether `value` may be sent. Empty is valid.
    pub fn check_value(value: &str) -> Result<(), HeaderError> {
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(HeaderError::ValueCharacter);
        }
        if value.len() > MAX_VALUE {
            return Err(HeaderError::ValueTooLong);
        }
        if value.starts_with(' ') || value.ends_with(' ') {
            return Err(HeaderError::ValueBlanks);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |name: &str, expect| assert_eq!(CustomHeaders::check_name(name), expect, "{name}");
        check("X-Api-Key", Ok(()));
        check("x", Ok(()));
        check("Webhook-Kind", Ok(()));
        check(&"a".repeat(128), Ok(()));
        check(&"a".repeat(129), Err(HeaderError::Name));
        check("", Err(HeaderError::Name));
        check("X_Api_Key", Err(HeaderError::Name));
        check("X-Schlüssel", Err(HeaderError::Name));
        for name in [
            "X-Postrider-Replay",
            "Content-Type",
            "HOST",
            "x-akeneo-signature-primary",
            "X-Akeneo-Signature-New",
            "TE",
            "Webhook-Id",
        ] {
            check(name, Err(HeaderError::Reserved));
        }
        check("X-AKENEO-SIGNATURE", Ok(()));
    }

    #[test]
    fn names_of_attributes_whatever_their_case() {
        for name in ["id", "ID", "Type", "sOURCE", "content-Type", "DataSchema", "ProducerSource"] {
            assert_eq!(CustomHeaders::check_attribute(name), Err(HeaderError::Attribute), "{name}");
        }
        for name in ["x-id", "ids", "Tenant", "traceparent"] {
            assert_eq!(CustomHeaders::check_attribute(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn values() {
        let check = |value: &str, expect| assert_eq!(CustomHeaders::check_value(value), expect, "{value}");
        check("", Ok(()));
        check("a b~", Ok(()));
        check(&"a".repeat(256), Ok(()));
        check(&"a".repeat(257), Err(HeaderError::ValueTooLong));
        check(" a", Err(HeaderError::ValueBlanks));
        check("a ", Err(HeaderError::ValueBlanks));
        check("a\tb", Err(HeaderError::ValueCharacter));
        check("a\r\nX: y", Err(HeaderError::ValueCharacter));
        check("é", Err(HeaderError::ValueCharacter));
    }
}
