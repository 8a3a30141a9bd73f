//! Strings from and to JSON text, with exactly the escapes written by JavaScript's `JSON.stringify`.

use std::borrow::Cow;

use domain::scan::plain_until;

/// Appends `text` as a JSON string, quotes included.
///
/// Escapes `"`, `\` and control characters below U+0020, in their short form if there is one.
pub fn escape_into(out: &mut String, text: &str) {
    out.push('"');
    let mut clean = 0;
    loop {
        let at = plain_until(text.as_bytes(), clean);
        out.push_str(&text[clean..at]);
        let Some(byte) = text.as_bytes().get(at) else { break };
        clean = at + 1;
        match *byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            0x0C => out.push_str("\\f"),
            b'\r' => out.push_str("\\r"),
            byte => {
                out.push_str("\\u00");
                out.push(char::from(b'0' + (byte >> 4)));
                out.push(char::from(b"0123456789abcdef"[usize::from(byte & 0xF)]));
            }
        }
    }
    out.push('"');
}

/// Length of the text appended by [`escape_into`].
pub(crate) fn escaped_len(text: &str) -> usize {
    let longer = |byte: u8| match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0C | b'\r' => 1,
        ..0x20 => 5,
        _ => 0,
    };
    let plain = plain_until(text.as_bytes(), 0);
    text.len() + 2 + text.bytes().skip(plain).map(longer).sum::<usize>()
}

/// The value of a string with valid escapes; `raw` is the text between the quotes.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = raw.find('\\') else { return Cow::Borrowed(raw) };
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    let mut next = Some(first);
    while let Some(at) = next {
        text.push_str(&rest[..at]);
        let bytes = rest.as_bytes();
        let mut length = 2;
        match bytes.get(at + 1) {
            Some(b'b') => text.push('\u{8}'),
            Some(b'f') => text.push('\u{c}'),
            Some(b'n') => text.push('\n'),
            Some(b'r') => text.push('\r'),
            Some(b't') => text.push('\t'),
            Some(b'u') => {
                length = 6;
                let mut code = hex4(bytes, at + 2).unwrap_or_default();
                if (0xD800..0xDC00).contains(&code) {
                    length = 12;
                    let low = hex4(bytes, at + 8).unwrap_or_default();
                    code = 0x10000 + ((code - 0xD800) << 10) + low.wrapping_sub(0xDC00);
                }
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => text.push(char::from(*other)),
            None => {}
        }
        rest = rest.get(at + length..).unwrap_or_default();
        next = rest.find('\\');
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The four hex digits at `at`.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}
