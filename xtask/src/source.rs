//! Splits Rust source into code, comments and literals, as far as the checks need.

use anyhow::Context;

use crate::shell;

/// The kind of a piece of source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Code,
    Comment,
    /// A literal that can be split across lines.
    Text,
    /// A raw literal: its exact text counts.
    Raw,
}

/// Part of a source file, literals without their quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece<'s> {
    pub(crate) kind: Kind,
    pub(crate) text: &'s str,
    /// Its first line, counted from 1.
    pub(crate) line: usize,
}

/// A source file of the project.
pub(crate) struct File {
    /// Relative to the project's root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All source files below a folder of the project, sorted by name.
pub(crate) fn files(folder: &str) -> anyhow::Result<Vec<File>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let whole = shell::root().join(&folder);
        let listing = std::fs::read_dir(&whole).with_context(|| format!("cannot read {}", whole.display()))?;
        for entry in listing {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.ends_with(".rs") {
                let text = std::fs::read_to_string(entry.path()).with_context(|| format!("cannot read {path}"))?;
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Splits a source into pieces.
pub(crate) fn pieces(source: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while !rest.is_empty() {
        let (kind, around, length) = next(rest);
        let (whole, behind) = rest.split_at(length);
        let text = whole.get(around.0..length - around.1).unwrap_or_default();
        pieces.push(Piece { kind, text, line });
        line += whole.matches('\n').count();
        rest = behind;
    }
    pieces
}

/// The next piece: its kind, the lengths of its opening and closing quotes, and its total length.
fn next(source: &str) -> (Kind, (usize, usize), usize) {
    if source.starts_with("//") {
        return (Kind::Comment, (0, 0), source.find('\n').unwrap_or(source.len()));
    }
    if source.starts_with("/*") {
        return (Kind::Comment, (0, 0), source.find("*/").map_or(source.len(), |end| end + 2));
    }
    if let Some((before, closing)) = raw(source) {
        let end = source[before..].find(&closing).map_or(source.len(), |end| before + end + closing.len());
        return (Kind::Raw, (before, closing.len().min(end - before)), end);
    }
    if source.starts_with('"') {
        let end = closing_quote(source, '"');
        return (Kind::Text, (1, usize::from(end > 1)), end);
    }
    if let Some(behind) = source.strip_prefix('\'') {
        // A quote that opens no literal belongs to a lifetime.
        let character = behind.chars().next().map_or(0, char::len_utf8);
        let is_literal = behind.starts_with('\\') || behind[character..].starts_with('\'');
        let length = if is_literal { closing_quote(source, '\'') } else { 1 };
        return (Kind::Code, (0, 0), length);
    }
    (Kind::Code, (0, 0), code(source))
}

/// The opening of a raw literal, and its closing.
fn raw(source: &str) -> Option<(usize, String)> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| source.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"')))?;
    let hashes = source[prefix.len()..].find('"')?;
    Some((prefix.len() + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

/// Length of a literal that begins here.
fn closing_quote(source: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, character) in source.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return index + 1,
            _ => {}
        }
    }
    source.len()
}

/// Length of the code up to a comment or a literal. Words are skipped whole, so that `for"` does not open a raw
/// literal.
fn code(source: &str) -> usize {
    let word = source.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(source.len());
    if word > 0 {
        return word;
    }
    source.find(|character: char| character.is_alphanumeric() || "_/\"'".contains(character)).map_or(
        source.len(),
        // A slash, or a single underscore, that opens nothing.
        |end| end.max(1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, kind: Kind, expect: &[(&str, usize)]) {
        let found = pieces(source);
        let found: Vec<_> = found.iter().filter(|piece| piece.kind == kind).collect();
        assert_eq!(found.iter().map(|piece| (piece.text, piece.line)).collect::<Vec<_>>(), expect, "{source}");
    }

    #[test]
    fn comments_literals_and_code_are_distinguished() {
        let source = "let a = \"x // \\\" y\"; // \"z\"\nlet b = r#\"two\n\"lines\"\"#;\nfn c<'a>() { '\"' } /* d */";
        check(source, Kind::Text, &[("x // \\\" y", 1)]);
        check(source, Kind::Comment, &[("// \"z\"", 1), ("/* d */", 4)]);
        check(source, Kind::Raw, &[("two\n\"lines\"", 2)]);
        let whole: String = pieces("fn c<'a>(b: u8) -> '\\'' { a / b }").iter().map(|piece| piece.text).collect();
        assert_eq!(whole, "fn c<'a>(b: u8) -> '\\'' { a / b }");
        check("super\"text\"; b\"bytes\"; br\"raw\"", Kind::Text, &[("text", 1), ("bytes", 1)]);
        check("super\"text\"; b\"bytes\"; br\"raw\"", Kind::Raw, &[("raw", 1)]);
    }
}
