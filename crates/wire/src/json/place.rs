//! Errors in JSON text: position and cause, with a path collected on the way out.

use std::fmt;

use super::escape::escape_into;

/// Why and where a text was rejected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid JSON at line {line}, column {column}: {message}")]
pub struct JsonError {
    /// Byte offset of the position.
    pub offset: usize,
    /// Its line, from 1.
    pub line: u32,
    /// Its column in code points, from 1.
    pub column: u32,
    /// Text expected and found, or the fault, with the path if there is one.
    pub message: String,
    /// The innermost enclosing value, such as `[7].data.values`; empty at the top.
    pub path: String,
}

/// A fault on its way up through the enclosing values.
pub(crate) struct Problem {
    offset: usize,
    message: String,
    /// Innermost step first.
    steps: Vec<Step>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl Problem {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Box<Problem> {
        Box::new(Problem { offset, message: message.into(), steps: Vec::new() })
    }

    pub(crate) fn within_key(mut self: Box<Self>, key: impl Into<String>) -> Box<Self> {
        self.steps.push(Step::Key(key.into()));
        self
    }

    pub(crate) fn within_index(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.steps.push(Step::Index(index));
        self
    }

    /// The error for the sender of `text`.
    pub(crate) fn placed(&self, text: &[u8]) -> JsonError {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) => push_key(&mut path, key),
            }
        }
        let message =
            if path.is_empty() { self.message.clone() } else { format!("{} (in {})", self.message, Quoted(&path)) };
        let before = text.get(..self.offset).unwrap_or(text);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        // Each code point has one byte other than a continuation byte.
        let column = before[line_start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
        JsonError {
            offset: self.offset,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            message,
            path,
        }
    }
}

/// Maximum length of a path, so that a message never repeats a whole document.
const LONGEST_PATH: usize = 200;

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(LONGEST_PATH) {
            Some((cut, _)) => write!(f, "`{}…`", &self.0[..cut]),
            None => write!(f, "`{}`", self.0),
        }
    }
}

fn push_key(path: &mut String, key: &str) {
    let simple = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if simple {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        path.push('[');
        escape_into(path, key);
        path.push(']');
    }
}

/// The text of `bytes`, or the position of the first byte that is not UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, Box<Problem>> {
    std::str::from_utf8(bytes).map_err(|fault| {
        let at = fault.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        Problem::new(at, format!("expected UTF-8, found the invalid byte 0x{byte:02X}"))
    })
}
