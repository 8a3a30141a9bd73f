//! Binary mode: attributes in `ce-*` headers, `data` in the body.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::fault::code;
use domain::{Event, Timestamp};

use crate::json::{Canonicalizer, Problem, escape_into, text_of};

use super::EVENT_LIMIT;
use super::draft::Draft;
use super::refusal::{Faults, Refusal};

/// Ignored attributes: no reason to reject an event.
const IGNORED: [&str; 2] = ["subject", "dataschema"];

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
    if draft.kept_size() > EVENT_LIMIT {
        return Err(Refusal::event_grows_too_large(None, draft.kept_size()));
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

/// Attribute names with their values as JSON strings: headers cannot express booleans or numbers.
fn attributes<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    malformed: &mut Faults,
) -> Vec<(String, String)> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    let mut seen = HashSet::new();
    for (header, value) in headers {
        let Some((prefix, name)) = header.split_at_checked(3) else { continue };
        let name = name.to_ascii_lowercase();
        if !prefix.eq_ignore_ascii_case("ce-") || IGNORED.contains(&name.as_str()) {
            continue;
        }
        if !seen.insert(name.clone()) {
            let message = format!("the header `ce-{name}` is present twice");
            malformed.add(code::DUPLICATE_HEADER, &name, message);
            continue;
        }
        let sent = text(value.trim_ascii());
        let value = match decode(&sent) {
            // An empty source counts as absent.
            Some(value) if name == "source" && value.is_empty() => continue,
            Some(value) => value,
            // Any identification of the producer is accepted.
            None if name == "source" => sent.into_owned(),
            None => {
                let message = format!("the header `ce-{name}` is not UTF-8 once percent-decoded");
                malformed.add(code::MALFORMED_HEADER, &name, message);
                continue;
            }
        };
        let mut json = String::new();
        escape_into(&mut json, &value);
        attributes.push((name, json));
    }
    attributes
}

/// Text of a header's value: UTF-8, otherwise HTTP's former default, ISO 8859-1.
fn text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().copied().map(char::from).collect()),
    }
}

/// Decodes a header's value by the HTTP binding: first surrounding double quotes, then percent-encoding. Three of the
/// four official SDKs do not encode, so a `%` without two hexadecimal digits stands for itself. `None` = the result is
/// not UTF-8.
fn decode(value: &str) -> Option<String> {
    let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map_or(Cow::Borrowed(value), unescaped);
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            _ => decoded.push(*byte),
        }
    }
    String::from_utf8(decoded).ok()
}

/// Text between double quotes, without escaping backslashes.
fn unescaped(quoted: &str) -> Cow<'_, str> {
    let mut escaped = false;
    let kept = |character: &char| {
        escaped = *character == '\\' && !escaped;
        !escaped
    };
    Cow::Owned(quoted.chars().filter(kept).collect())
}
