//! Custom headers of a destination, and which of them the platform keeps for itself.

use serde::{Deserialize, Serialize};

use crate::event::PRODUCER_SOURCE;
use crate::secret::Secret;

/// Contract page 1, `config`: at most so many custom headers.
const MAX_HEADERS: usize = 5;
/// Contract page 1, `config`: length of a header's name.
const MAX_NAME: usize = 128;
/// Contract page 1, `config`: length of a header's value.
const MAX_VALUE: usize = 256;

/// Names that no subscription may set: pages 1 and 7 of the contract, and what HTTP keeps between two hops (RFC 9110,
/// 7.6.1, with the names that older proxies use).
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
    "x-postrider-replay",
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

/// Names that begin so are the signatures' (contract page 1).
const RESERVED_PREFIX: &str = "x-akeneo-signature-";

/// What topics and queues carry beside an event, and its attributes (contract pages 4, 7 and 9): a custom header of such a name
/// would contradict the event.
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

/// Custom headers, in the order given: at most 5, names unique whatever their case.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomHeaders(pub Vec<(String, Secret)>);

/// Why a custom header is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderError {
    /// Not a header's name.
    #[error("a header name must have 1 to {MAX_NAME} characters from A-Z, a-z, 0-9 and -")]
    Name,
    /// The platform or HTTP itself sets it.
    #[error("this header is reserved: it is set by the platform or by HTTP itself")]
    Reserved,
    /// An attribute of the event has the name.
    #[error("this name is reserved for an attribute of the event")]
    Attribute,
    /// The value is too long.
    #[error("a header value may have at most {MAX_VALUE} characters")]
    ValueTooLong,
    /// The value has a character that is not allowed.
    #[error("a header value must consist of printable ASCII characters")]
    ValueCharacter,
    /// The value begins or ends with a blank.
    #[error("a header value must not begin or end with a space")]
    ValueBlanks,
}

impl CustomHeaders {
    /// How many headers a subscription may have.
    pub const MAX: usize = MAX_HEADERS;
    /// The most characters of a value.
    pub const MAX_VALUE: usize = MAX_VALUE;
    /// Names as a regular expression; which of them are reserved is [`CustomHeaders::reserved_pattern`].
    pub const NAME_PATTERN: &str = "^[A-Za-z0-9-]{1,128}$";
    /// Values as a regular expression, but for their length.
    pub const VALUE_PATTERN: &str = "^([!-~]([ -~]*[!-~])?)?$";

    /// Reserved names, whatever their case, as a regular expression.
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

    /// Whether a custom header of a topic or queue may have the name beside the event's own attributes.
    pub fn check_attribute(name: &str) -> Result<(), HeaderError> {
        if ATTRIBUTES.iter().any(|attribute| attribute.eq_ignore_ascii_case(name)) {
            return Err(HeaderError::Attribute);
        }
        Ok(())
    }

    /// Whether `value` may be sent. Empty is fine.
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
