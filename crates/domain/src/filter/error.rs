//! Filter errors, explained so that a person can correct them.

use std::fmt::Write;

/// A rejected filter: position, text found there, text expected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// One sentence with all of the below except the hint.
    pub message: String,
    /// Position in code points, from 1. One past the end if something is missing there.
    pub column: usize,
    /// Text at the position; `the end of the filter` if there is none.
    pub found: String,
    /// Acceptable text at the position.
    pub expected: String,
    /// Lines to print verbatim: the filter (or an excerpt), a caret under the position, a suggestion.
    pub hint: String,
}

/// An error as known to the lexer and the parser.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Byte offset in the filter.
    pub(super) at: usize,
    pub(super) found: String,
    pub(super) expected: String,
    pub(super) advice: String,
}

/// [`FilterError::found`] at the end of the text.
pub(super) const END: &str = "the end of the filter";

/// Length of the excerpt before and after the position, in code points; a filter has up to 500.
const SHOWN_BEFORE: usize = 50;
const SHOWN_AFTER: usize = 30;
/// Maximum length of the quoted text.
const LONGEST_FOUND: usize = 60;

impl Refusal {
    pub(super) fn into_error(self, text: &str) -> FilterError {
        let Refusal { at, found, expected, advice } = self;
        let before = text.get(..at).unwrap_or(text).chars().count();
        let found = shorten(&found);
        let shown = if found == END { found.clone() } else { format!("`{}`", on_one_line(&found)) };
        FilterError {
            message: format!("filter, column {}: found {shown}, expected {expected}", before + 1),
            column: before + 1,
            found,
            expected,
            hint: format!("{}\n{}", point_at(text, before), on_one_line(&advice)),
        }
    }
}

fn shorten(found: &str) -> String {
    match found.char_indices().nth(LONGEST_FOUND) {
        Some((end, _)) => format!("{}…", &found[..end]),
        None => found.to_owned(),
    }
}

/// Replaces line breaks and tabs, which would misplace the caret.
fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// An excerpt of the filter around a position, with a caret under it.
fn point_at(text: &str, place: usize) -> String {
    let skipped = if place > SHOWN_BEFORE + 1 { place - SHOWN_BEFORE } else { 0 };
    let mut chars = text.chars().skip(skipped);
    let mut line = String::new();
    let mut width = 0;
    if skipped > 0 {
        line.push('…');
        width += 1;
    }
    width += place - skipped;
    let shown: String = chars.by_ref().take(place - skipped + SHOWN_AFTER).collect();
    line.push_str(&on_one_line(&shown));
    if chars.next().is_some() {
        line.push('…');
    }
    // Writing to a string does not fail.
    let _ = write!(line, "\n{:width$}^", "");
    line
}
