//! The filter language: one optional expression per subscription, parsed when set, evaluated per event.
//!
//! Reading order: the tree ([`expr`]), parsing (`lexer`, `parser`), syntax errors ([`error`]), the properties of an
//! event that filters test ([`facets`]), fast evaluation (`program`), and explanations in plain words (`explain`).

pub mod error;
mod explain;
pub mod expr;
pub mod facets;
mod lexer;
mod parser;
mod program;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use error::FilterError;
pub use expr::{Condition, Expr, Field};
pub use facets::Facets;
use program::Program;

/// Maximum length of a filter in code points (contract page 3).
pub const MAX_LENGTH: usize = 500;
/// Maximum total number of `and`, `or`, `not` and `in` in a filter (contract page 3).
pub const MAX_OPERATORS: usize = 10;
/// Maximum nesting of parentheses (contract page 3).
pub const MAX_NESTING: usize = 10;
/// Author types that `user_type` can be compared with (contract page 3).
pub const USER_TYPES: [&str; 5] = ["user", "api", "job", "system", "unknown-user-type"];

/// A parsed filter expression. Keeps its source text; cheap to clone.
#[derive(Clone)]
pub struct Filter(Arc<Inner>);

struct Inner {
    text: Box<str>,
    expr: Expr,
    program: Program,
}

impl Filter {
    /// Maximum number of characters of a filter (contract page 3).
    pub const MAX_CHARACTERS: usize = MAX_LENGTH;

    /// Parses a filter; blank text means no filter.
    pub fn parse(text: &str) -> Result<Option<Filter>, FilterError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let expr = parser::parse(text)?;
        let program = Program::compile(&expr);
        Ok(Some(Filter(Arc::new(Inner { text: text.into(), expr, program }))))
    }

    /// The text as sent.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The expression.
    pub fn expr(&self) -> &Expr {
        &self.0.expr
    }

    /// Whether the event with these facets passes. Allocates nothing.
    pub fn matches(&self, facets: &Facets<'_>) -> bool {
        self.0.program.run(facets)
    }

    /// The part that excludes the event, in filter syntax: the condition that does not hold, or the alternatives of
    /// which none holds. `None` if the event passes.
    pub fn unmet(&self, facets: &Facets<'_>) -> Option<String> {
        self.0.expr.unmet(facets).map(ToString::to_string)
    }

    /// Whether it tests `attribute`, `scope`, `channel` or `locale`, which only the two delta types have. Such a
    /// condition is always false for events of other types.
    pub fn uses_delta_fields(&self) -> bool {
        self.0.expr.conditions().any(|condition| condition.field.is_delta_field())
    }

    /// Its meaning in plain words; several lines if conditions are joined.
    pub fn explain(&self) -> String {
        explain::explain(&self.0.expr)
    }
}

/// Filters are equal if their texts are.
impl PartialEq for Filter {
    fn eq(&self, other: &Filter) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Filter, D::Error> {
        let text = String::deserialize(deserializer)?;
        Filter::parse(&text)
            .map_err(serde::de::Error::custom)?
            .ok_or_else(|| serde::de::Error::custom("a filter must not be blank; omit it for none"))
    }
}
