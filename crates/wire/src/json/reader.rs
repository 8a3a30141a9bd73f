//! Tokenizes JSON text: the only place with the grammar of strings, numbers and words.

use domain::scan::plain_until;

use super::escape::hex4;
use super::place::Problem;

/// A position in a text, moving forward.
pub(crate) struct Reader<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

const UNCLOSED: &str = "expected a closing quote for the string that begins here";

/// A string token with checked escapes.
pub(crate) struct Quoted<'a> {
    /// Text between the quotes.
    pub(crate) raw: &'a str,
    /// Whether `JSON.stringify` would write it the same; may be `false` even so.
    pub(crate) canonical: bool,
}

type Result<T> = std::result::Result<T, Box<Problem>>;

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// The byte at the position.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips white space.
    pub(crate) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The problem that something else is here.
    pub(crate) fn expected(&self, what: &str) -> Box<Problem> {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => "the end of the text".to_owned(),
            Some(found) if found.is_control() || found == '\u{feff}' => format!("U+{:04X}", u32::from(found)),
            Some(found) => format!("`{found}`"),
        };
        Problem::new(self.at, format!("expected {what}, found {found}"))
    }

    /// Consumes one required byte.
    pub(crate) fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.expected(what));
        }
        self.at += 1;
        Ok(())
    }

    /// Only white space may follow.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.skip_blanks();
        if self.at < self.text.len() { Err(self.expected("nothing after the value")) } else { Ok(()) }
    }

    /// Reads the string whose opening quote is here.
    pub(crate) fn string(&mut self) -> Result<Quoted<'a>> {
        let opening = self.at;
        let bytes = self.text.as_bytes();
        let start = opening + 1;
        let mut canonical = true;
        self.at = start;
        loop {
            self.at = plain_until(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    let raw = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Quoted { raw, canonical });
                }
                Some(b'\\') => canonical &= self.escape(bytes)?,
                Some(_) => return Err(self.expected("a string without raw control characters (escape them)")),
                None => return Err(Problem::new(opening, UNCLOSED)),
            }
        }
    }

    /// Reads the string whose opening quote is here, lone surrogates included; returns the text between the quotes.
    pub(crate) fn any_string(&mut self) -> Result<&'a str> {
        let opening = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            self.at = plain_until(bytes, self.at);
            match (bytes.get(self.at), bytes.get(self.at + 1)) {
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(self.text.get(opening + 1..self.at - 1).unwrap_or_default());
                }
                (Some(b'\\'), Some(b'u')) if hex4(bytes, self.at + 2).is_some() => self.at += 6,
                (Some(b'\\'), _) => _ = self.escape(bytes)?,
                (Some(_), _) => {
                    return Err(self.expected("a string without raw control characters (escape them)"));
                }
                (None, _) => return Err(Problem::new(opening, UNCLOSED)),
            }
        }
    }

    /// Consumes the escape here; returns whether `JSON.stringify` writes it the same.
    fn escape(&mut self, bytes: &[u8]) -> Result<bool> {
        let (length, canonical) = match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => (2, true),
            Some(b'/') => (2, false),
            Some(b'u') => {
                let Some(code) = hex4(bytes, self.at + 2) else {
                    return Err(Problem::new(self.at, "expected four hex digits after `\\u`"));
                };
                match code {
                    0xD800..0xDC00 => {
                        let low = match bytes.get(self.at + 6..self.at + 8) {
                            Some(b"\\u") => hex4(bytes, self.at + 8),
                            _ => None,
                        };
                        if !low.is_some_and(|low| (0xDC00..0xE000).contains(&low)) {
                            let message = format!("lone surrogate `\\u{code:04X}`: a low surrogate must follow");
                            return Err(Problem::new(self.at, message));
                        }
                        (12, false)
                    }
                    0xDC00..0xE000 => {
                        let message = format!("lone surrogate `\\u{code:04X}`: a high surrogate must precede it");
                        return Err(Problem::new(self.at, message));
                    }
                    _ => (6, false),
                }
            }
            _ => return Err(Problem::new(self.at, "expected one of `\"\\/bfnrtu` after the backslash")),
        };
        self.at += length;
        Ok(canonical)
    }

    /// Reads the number that begins here.
    pub(crate) fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(Problem::new(start, "expected a number without leading zeros"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    /// Reads `true`, `false` or `null`.
    pub(crate) fn word(&mut self) -> Result<&'static str> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        for word in ["true", "false", "null"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(word);
            }
        }
        Err(self.expected("a value"))
    }
}
