//! A forward reader over valid JSON text: it reads requested values, skips the rest, builds no tree and copies only
//! strings that contain escapes.
//!
//! On invalid JSON it stops and reports the end; it never panics.

use std::borrow::Cow;

/// Kind of a JSON value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
}

/// A position in a JSON text.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// Starts before the text's value.
    pub fn new(text: &'a str) -> Scan<'a> {
        Scan { text, at: 0 }
    }

    /// The kind of the next value; `None` at the end, and where no value can begin.
    pub fn kind(&mut self) -> Option<Kind> {
        match self.peek()? {
            b'{' => Some(Kind::Object),
            b'[' => Some(Kind::Array),
            b'"' => Some(Kind::String),
            b't' | b'f' => Some(Kind::Boolean),
            b'n' => Some(Kind::Null),
            b'-' | b'0'..=b'9' => Some(Kind::Number),
            _ => None,
        }
    }

    /// Enters the next object or array, if it is of this kind.
    pub fn enter(&mut self, kind: Kind) -> bool {
        let inside = matches!(kind, Kind::Object | Kind::Array) && self.kind() == Some(kind);
        self.at += usize::from(inside);
        inside
    }

    /// The next key of the entered object, or its end. The value after it must be read or skipped.
    pub fn key(&mut self) -> Option<Cow<'a, str>> {
        if !self.has_more(b'}') {
            return None;
        }
        let key = self.string();
        if key.is_none() || self.peek() != Some(b':') {
            return self.give_up();
        }
        self.at += 1;
        key
    }

    /// Whether the entered array has another item. The item must be read or skipped.
    pub fn item(&mut self) -> bool {
        self.has_more(b']')
    }

    /// Reads the next object, member by member; anything else is skipped. `each` must consume the value.
    pub fn members(&mut self, mut each: impl FnMut(&mut Scan<'a>, Cow<'a, str>)) {
        if !self.enter(Kind::Object) {
            return self.skip();
        }
        while let Some(key) = self.key() {
            each(self, key);
        }
    }

    /// Reads the next array, item by item; anything else is skipped. `each` must consume the item.
    pub fn items(&mut self, mut each: impl FnMut(&mut Scan<'a>)) {
        if !self.enter(Kind::Array) {
            return self.skip();
        }
        while self.item() {
            let before = self.at;
            each(self);
            if self.at == before {
                // Only possible in invalid JSON, such as `[}`.
                self.at = self.text.len();
            }
        }
    }

    /// Reads the next string; anything else is skipped.
    pub fn string(&mut self) -> Option<Cow<'a, str>> {
        if self.kind() != Some(Kind::String) {
            self.skip();
            return None;
        }
        let start = self.at;
        let escaped = self.skip_string();
        let quoted = self.text.get(start..self.at)?;
        if !escaped {
            return quoted.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed);
        }
        serde_json::from_str(quoted).ok().map(Cow::Owned)
    }

    /// The verbatim text of the next value.
    pub fn raw(&mut self) -> &'a str {
        self.peek();
        let start = self.at;
        self.skip();
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Skips the next value.
    pub fn skip(&mut self) {
        match self.peek() {
            Some(b'"') => {
                self.skip_string();
            }
            Some(b'{' | b'[') => self.skip_nested(),
            _ => {
                let rest = self.rest();
                let end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\n' | b'\r');
                self.at += rest.iter().position(end).unwrap_or(rest.len());
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte other than white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn give_up<T>(&mut self) -> Option<T> {
        self.at = self.text.len();
        None
    }

    fn has_more(&mut self, close: u8) -> bool {
        if self.peek() == Some(b',') {
            self.at += 1;
        }
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                false
            }
            next => next.is_some(),
        }
    }

    /// Skips the string that begins here; whether it contains escapes.
    fn skip_string(&mut self) -> bool {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = plain_until(self.text.as_bytes(), self.at);
            match self.text.as_bytes().get(self.at) {
                None => return escaped,
                Some(b'"') => {
                    self.at += 1;
                    return escaped;
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at = (self.at + 2).min(self.text.len());
                }
                // Not in valid JSON.
                Some(_) => self.at += 1,
            }
        }
    }

    fn skip_nested(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.text.as_bytes().get(self.at) {
                None => return,
                Some(b'"') => {
                    self.skip_string();
                    continue;
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth -= 1,
                Some(_) => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first position from `at` on with `"`, `\` or a control character. Checks eight bytes at a time, because strings
/// are most of an event. A borrow can flag a byte falsely only above a true hit, so the lowest flag is always right.
pub fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        let hits = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGHS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\') {
        at += 1;
    }
    at
}

/// The text of the value at a path of object keys, if present.
pub fn find<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
    let mut scan = Scan::new(text);
    for wanted in path {
        if !scan.enter(Kind::Object) {
            return None;
        }
        while scan.key()? != *wanted {
            scan.skip();
        }
    }
    let raw = scan.raw();
    (!raw.is_empty()).then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_path_and_skips_the_rest() {
        let check = |text: &str, path: &[&str], expect: Option<&str>| assert_eq!(find(text, path), expect, "{text}");
        let text = r#"{"z":[{"a":"}]\"\\"},[]],"a":{"b":1e5,"c":{"d":"é\"x"}},"n":null,"t":true}"#;
        check(text, &["a", "b"], Some("1e5"));
        check(text, &["a", "c", "d"], Some(r#""é\"x""#));
        check(text, &["a", "c"], Some(r#"{"d":"é\"x"}"#));
        check(text, &["z"], Some(r#"[{"a":"}]\"\\"},[]]"#));
        check(text, &["n"], Some("null"));
        check(text, &["t"], Some("true"));
        check(text, &["t", "x"], None);
        check(text, &["d"], None);
        check(" {\n \"a\" : [ 1 , 2 ] , \"b\" : 3 } ", &["b"], Some("3"));
        check(r#"{"\u0061":7}"#, &["a"], Some("7"));
    }

    #[test]
    fn reads_strings_and_borrows_if_possible() {
        let plain = Scan::new(r#""caf\u00e9""#).string();
        assert!(matches!(plain, Some(Cow::Owned(text)) if text == "café"));
        assert!(matches!(Scan::new("\"café\"").string(), Some(Cow::Borrowed("café"))));
        assert_eq!(Scan::new("12").string(), None);
    }

    #[test]
    fn text_that_is_not_json_ends_quietly() {
        for text in
            ["", "{", "[", "\"", "\"\\", "{\"a\"", "{\"a\":", "{\"a\":}", "[}", "[}}", "{]", "}", "{\"a\":\"\\é", "{:}"]
        {
            let mut scan = Scan::new(text);
            scan.members(|scan, _| scan.skip());
            let mut scan = Scan::new(text);
            scan.items(|scan| {
                scan.raw();
            });
            find(text, &["a", "b"]);
        }
    }
}
