//! Why a filter was refused, told so that a person can put it right.

use std::fmt::Write;

/// A refused filter: where, what was found there, what was expected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// One sentence with all of the below but the hint.
    pub message: String,
    /// Where, in code points, from 1. One past the end when something is missing there.
    pub column: usize,
    /// What stands there; `the end of the filter` when nothing does.
    pub found: String,
    /// What could stand there.
    pub expected: String,
    /// Lines to print as they are: the filter (or the part of it around the place), a caret under the place, an advice.
    pub hint: String,
}

/// What the lexer and the parser know about a refusal.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Byte offset in the filter.
    pub(super) at: usize,
    pub(super) found: String,
    pub(super) expected: String,
    pub(super) advice: String,
}

/// What [`FilterError::found`] says where the text ends.
pub(super) const END: &str = "the end of the filter";

/// How much of the filter is shown before and after the place, in code points; a whole one is up to 500.
const SHOWN_BEFORE: usize = 50;
const SHOWN_AFTER: usize = 30;
/// How much is quoted of what was found.
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

/// Line breaks and tabs of a filter would move the caret away from its place.
fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// The filter's text around a place, and a caret under it.
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
