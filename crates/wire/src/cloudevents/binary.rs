//! Binary mode: attributes in `ce-*` headers, `data` in the body.

use crate::fault::code;
use domain::{Event, Timestamp};

use crate::json::{Canonicalizer, Problem, escape_into, text_of};

use super::draft::Draft;
use super::refusal::{Faults, Refusal};

/// The one event of a binary request.
pub(super) fn event<'a, H>(headers: H, body: &[u8], received_at: Timestamp) -> Result<Vec<Event>, Refusal>
where
    H: IntoIterator<Item = (&'a str, &'a [u8])>,
{
    let mut malformed = Faults::default();
    let attributes = attributes(headers, &mut malformed);
    let mut data = String::new();
    let no_json = if body.trim_ascii().is_empty() { None } else { read(body, &mut data).err() };
    if let Some(problem) = no_json {
        let refusal = Refusal::json(&problem, body);
        for fault in refusal.faults {
            malformed.add(fault.code, "data", fault.message);
        }
    }
    malformed.refuse(400)?;

    let mut draft = Draft::binary();
    for (name, value) in &attributes {
        draft.put(name, value);
    }
    if !data.is_empty() {
        draft.put_data(&data);
    }
    let mut faults = Faults::default();
    let event = draft.finish(received_at, &mut faults);
    faults.refuse(422)?;
    Ok(event.into_iter().collect())
}

fn read(body: &[u8], data: &mut String) -> Result<(), Box<Problem>> {
    data.reserve(body.len());
    let mut canonicalizer = Canonicalizer::new(text_of(body)?, data);
    canonicalizer.value(0)?;
    canonicalizer.end()
}

/// Attribute names with their values as JSON strings: a header cannot say that a value is a boolean or a number.
fn attributes<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    malformed: &mut Faults,
) -> Vec<(String, String)> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    for (header, value) in headers {
        let Some((prefix, name)) = header.split_at_checked(3) else { continue };
        if !prefix.eq_ignore_ascii_case("ce-") {
            continue;
        }
        let name = name.to_ascii_lowercase();
        if attributes.iter().any(|(earlier, _)| *earlier == name) {
            let message = format!("the header `ce-{name}` is there twice");
            malformed.add(code::DUPLICATE_HEADER, &name, message);
            continue;
        }
        let mut text = String::new();
        match decode(value) {
            Ok(value) => escape_into(&mut text, &value),
            Err(wrong) => {
                malformed.add(code::MALFORMED_HEADER, &name, format!("the header `ce-{name}` {wrong}"));
                text.push_str("\"\"");
            }
        }
        attributes.push((name, text));
    }
    attributes
}

/// The value of a header, as the HTTP binding says: double quotes around it undone first, then percent-encoding.
fn decode(value: &[u8]) -> Result<String, &'static str> {
    let value = value.trim_ascii();
    let unquoted: Vec<u8>;
    let value = match value {
        [b'"', quoted @ .., b'"'] => {
            let mut escaped = false;
            unquoted = quoted
                .iter()
                .copied()
                .filter(|byte| {
                    let drop = *byte == b'\\' && !escaped;
                    escaped = drop;
                    !drop
                })
                .collect();
            unquoted.as_slice()
        }
        value => value,
    };
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err("has a `%` without two hex digits after it (a percent sign itself is `%25`)");
        };
        decoded.push((high << 4 | low) as u8);
    }
    String::from_utf8(decoded).map_err(|_| "is not UTF-8 once percent-decoded")
}
