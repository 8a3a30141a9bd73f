//! `config.headers`: custom headers of any destination.

use domain::Secret;
use domain::destination::{CustomHeaders, HeaderError};

use super::super::reader::{Reader, shortened};
use crate::fault::code;

/// Maximum number of headers checked individually if there are too many.
const JUDGED: usize = 10 * CustomHeaders::MAX;

/// Reads the headers; `further`: the destination type's own checks of a name.
pub(super) fn read(fields: &mut Reader<'_, '_>, further: impl Fn(&str) -> Result<(), HeaderError>) -> CustomHeaders {
    let Some(mut fields) = fields.object("headers") else { return CustomHeaders::default() };
    let members = fields.members();
    let mut headers: Vec<(String, Secret)> = Vec::with_capacity(members.len());
    for (index, (name, value)) in members.iter().take(JUDGED).enumerate() {
        let shown = shortened(name);
        let named = CustomHeaders::check_name(name).and_then(|()| further(name));
        if let Err(error) = named {
            let code = match error {
                HeaderError::Reserved | HeaderError::Attribute => code::RESERVED_HEADER,
                _ => code::INVALID_HEADER_NAME,
            };
            fields.fault(&shown, code, format_args!("cannot be set: {error}"));
        }
        if members.iter().take(index).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            fields.fault(&shown, code::DUPLICATE_HEADER, "is present twice: names are case-insensitive");
            continue;
        }
        match value.as_str() {
            None => {
                fields.fault(&shown, code::WRONG_TYPE, format_args!("must be a string, not {}", value.type_name()));
            }
            Some(Secret::MASK) => fields.masked(&shown),
            Some(text) => {
                if let Err(error) = CustomHeaders::check_value(text) {
                    fields.fault(&shown, code::INVALID_HEADER_VALUE, format_args!("cannot be sent: {error}"));
                }
                headers.push((name.clone(), Secret::new(text)));
            }
        }
    }
    if members.len() > CustomHeaders::MAX {
        let message = format!("has {} headers, at most {} are allowed", members.len(), CustomHeaders::MAX);
        fields.fault_here(code::TOO_MANY_HEADERS, message);
    }
    CustomHeaders(headers)
}
