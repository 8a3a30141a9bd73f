//! Credentials in request headers: keys, tokens and client ids. All entry points share these checks, so that none
//! accepts a value that no request can carry.

use std::fmt;

/// Maximum length of a token or key in request headers.
pub const MAX_TOKEN: usize = 4096;
/// Maximum length of a client id in a request header.
pub const MAX_CLIENT_ID: usize = 256;
/// [`check_client_id`] as a regular expression.
pub const CLIENT_ID_PATTERN: &str = "^[!-~]([ -~]*[!-~])?$";
/// [`check_token`] as a regular expression, except for quotation marks.
pub const TOKEN_PATTERN: &str = "^[!-~]+$";

/// Why no request can carry a text as its key, token or client id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsendable {
    /// Empty.
    Empty,
    /// Longer than the header allows.
    TooLong {
        /// Maximum length.
        longest: usize,
    },
    /// Contains a space, a line break or another control character in a forbidden position.
    Blank,
    /// Contains non-ASCII characters.
    NotAscii,
    /// In quotation marks, which would be part of it.
    Quoted,
    /// Begins with the prefix reserved for the platform's tokens.
    Reserved,
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsendable::Empty => f.write_str("is empty"),
            Unsendable::TooLong { longest } => write!(f, "is longer than {longest} characters"),
            Unsendable::Blank => f.write_str("contains spaces or line breaks, which cannot be sent"),
            Unsendable::NotAscii => f.write_str("contains non-ASCII characters, which cannot be sent"),
            Unsendable::Quoted => f.write_str("is in quotation marks, which would be part of the value: remove them"),
            Unsendable::Reserved => f.write_str("begins with `pt_`, which is reserved for platform tokens"),
        }
    }
}

/// Whether a header can carry `text` as a key or token: visible ASCII without spaces.
pub fn check_token(text: &str) -> Result<(), Unsendable> {
    if text.is_empty() {
        return Err(Unsendable::Empty);
    }
    if text.len() > MAX_TOKEN {
        return Err(Unsendable::TooLong { longest: MAX_TOKEN });
    }
    if text.contains(|each: char| each.is_whitespace() || each.is_control()) {
        return Err(Unsendable::Blank);
    }
    if !text.is_ascii() {
        return Err(Unsendable::NotAscii);
    }
    let quoted = |mark: char| text.len() > 1 && text.starts_with(mark) && text.ends_with(mark);
    if quoted('"') || quoted('\'') { Err(Unsendable::Quoted) } else { Ok(()) }
}

/// Whether a header can carry `text` as a client id: visible ASCII, with inner spaces.
pub fn check_client_id(text: &str) -> Result<(), Unsendable> {
    if text.is_empty() {
        return Err(Unsendable::Empty);
    }
    if text.len() > MAX_CLIENT_ID {
        return Err(Unsendable::TooLong { longest: MAX_CLIENT_ID });
    }
    if !text.is_ascii() {
        return Err(Unsendable::NotAscii);
    }
    if text.trim_ascii() != text || text.contains(|each: char| each.is_control()) {
        return Err(Unsendable::Blank);
    }
    Ok(())
}

/// `text` without the line break that editors and `echo` append to a file: secrets never contain one.
pub fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_visible_ascii() {
        let check = |text: &str, expect: Result<(), Unsendable>| assert_eq!(check_token(text), expect, "{text:?}");
        check("pr_0123", Ok(()));
        check("a\"b\"", Ok(()));
        check("", Err(Unsendable::Empty));
        check("a b", Err(Unsendable::Blank));
        check("a\n", Err(Unsendable::Blank));
        check("a\u{a0}b", Err(Unsendable::Blank));
        check("ä", Err(Unsendable::NotAscii));
        check("\"abc\"", Err(Unsendable::Quoted));
        check("'abc'", Err(Unsendable::Quoted));
        check(&"a".repeat(MAX_TOKEN), Ok(()));
        check(&"a".repeat(MAX_TOKEN + 1), Err(Unsendable::TooLong { longest: MAX_TOKEN }));
    }

    #[test]
    fn client_ids_fit_in_a_header() {
        let check = |text: &str, expect: Result<(), Unsendable>| assert_eq!(check_client_id(text), expect, "{text:?}");
        check("1_abc", Ok(()));
        check("my app", Ok(()));
        check(" my-app", Err(Unsendable::Blank));
        check("my-app\n", Err(Unsendable::Blank));
        check("é", Err(Unsendable::NotAscii));
        check("", Err(Unsendable::Empty));
        check(&"a".repeat(MAX_CLIENT_ID + 1), Err(Unsendable::TooLong { longest: MAX_CLIENT_ID }));
    }

    #[test]
    fn one_trailing_line_break_is_removed() {
        let check = |text: &str, expect: &str| assert_eq!(without_line_break(text), expect, "{text:?}");
        check("key\n", "key");
        check("key\r\n", "key");
        check("key\n\n", "key\n");
        check("key ", "key ");
        check("key", "key");
    }
}
