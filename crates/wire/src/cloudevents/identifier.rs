//! Position of `data.product.identifier`, so that delivery can omit it without reading the event again.

use std::ops::Range;

use domain::scan::plain_until;

/// Whether events of this type omit the identifier unless it was requested (contract page 2).
fn is_optional_on(event_type: &str) -> bool {
    let Some(name) = event_type.strip_prefix("com.akeneo.pim.v1.product.") else { return false };
    matches!(name, "created" | "updated" | "updated.delta" | "deleted" | "became-complete" | "became-incomplete")
}

/// The bytes of `data` (canonical, an object) to cut: the member including its comma.
pub(super) fn place(event_type: &str, data: &str) -> Option<Range<usize>> {
    if !is_optional_on(event_type) {
        return None;
    }
    let text = data.as_bytes();
    let (_, product) = member(text, 0, b"\"product\"")?;
    let (start, value) = member(text, product, b"\"identifier\"")?;
    let end = value_end(text, value);
    Some(match (text.get(start - 1), text.get(end)) {
        (Some(b','), _) => start - 1..end,
        (_, Some(b',')) => start..end + 1,
        _ => start..end,
    })
}

/// Position of the member `key` (with quotes) of the object at `at`, and of its value; `None` also if there is no
/// object.
fn member(text: &[u8], at: usize, key: &[u8]) -> Option<(usize, usize)> {
    if text.get(at) != Some(&b'{') || text.get(at + 1) == Some(&b'}') {
        return None;
    }
    let mut start = at + 1;
    loop {
        let key_end = string_end(text, start);
        let value = key_end + 1;
        if text.get(start..key_end)? == key {
            return Some((start, value));
        }
        let end = value_end(text, value);
        if text.get(end) != Some(&b',') {
            return None;
        }
        start = end + 1;
    }
}

/// End of the string that begins at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at = plain_until(text, at);
        match text.get(at) {
            Some(b'\\') => at += 2,
            _ => return at + 1,
        }
    }
}

/// End of the value that begins at `start`.
fn value_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + depth,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}
