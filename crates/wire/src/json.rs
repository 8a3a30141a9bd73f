//! JSON for a public API: strict reading with a position for every fault, numbers kept as text, and a canonical form
//! that JavaScript receivers reproduce byte for byte.
//!
//! [`parse`] builds a tree; [`canonicalize`] converts bytes to canonical text in one pass without a tree; [`pieces()`]
//! splits an array into its elements, so that each can be read separately.

mod canonical;
mod escape;
mod number;
mod pieces;
mod place;
mod reader;
mod tree;

pub(crate) use canonical::Canonicalizer;
pub use canonical::canonicalize;
pub use escape::escape_into;
pub(crate) use escape::{escaped_len, unescape};
pub use number::Number;
pub use pieces::{Pieces, pieces};
pub use place::JsonError;
pub(crate) use place::{Problem, text_of};
pub use tree::parse;

/// Maximum nesting of arrays and objects (contract page 7).
pub const MAX_DEPTH: usize = 128;

/// A JSON value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as its text.
    Number(Number),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object: its members in the order sent, with unique keys.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member `key` of an object; `None` if it is missing or the value is not an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The value of a number.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The members of an object, in the order sent.
    pub fn as_object(&self) -> Option<&[(String, Value)]> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Type for messages: `a string`, `an object`, …
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// The canonical text: compact, as written by JavaScript's `JSON.stringify(JSON.parse(…))`, numbers by page 7.
    pub fn to_canonical(&self) -> String {
        let mut out = String::new();
        tree::write(&mut out, self);
        out
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

#[cfg(test)]
mod tests;
