//! URLs and hosts of the client's endpoints.

use domain::destination::{EndpointUrl, UrlError};

use super::Rules;
use super::reader::Reader;
use crate::fault::code;

/// Reads the URL in `text`, the field `key`: valid, allowed, and without a forbidden address.
pub(super) fn endpoint_url(
    fields: &mut Reader<'_, '_>,
    key: &str,
    text: &str,
    rules: &Rules<'_>,
) -> Option<EndpointUrl> {
    match EndpointUrl::parse(text, rules.allow_http) {
        Ok(url) => permitted(fields, key, url.host(), rules).then_some(url),
        Err(error) => {
            let code = match error {
                UrlError::TooLong { .. } => code::TOO_LONG,
                UrlError::Scheme | UrlError::Insecure => code::HTTPS_REQUIRED,
                _ => code::INVALID_URL,
            };
            fields.fault(key, code, format_args!("is not a usable URL: {error}"));
            None
        }
    }
}

/// Whether connections to `host` are permitted, judging by its text.
pub(super) fn permitted(fields: &mut Reader<'_, '_>, key: &str, host: &str, rules: &Rules<'_>) -> bool {
    match rules.addresses.check_host_literal(host) {
        Ok(()) => true,
        Err(forbidden) => {
            let message = format!("is a forbidden address: {forbidden}; the operator can allow it (allow_networks)");
            fields.fault(key, code::DESTINATION_FORBIDDEN, message);
            false
        }
    }
}
