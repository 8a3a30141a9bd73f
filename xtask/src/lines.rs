//! No line of source is longer than 120 columns, whether code or comments (which rustfmt does not change).

use crate::shell;
use crate::source::{self, File, Kind};

/// Folders with sources.
const FOLDERS: [&str; 4] = ["crates", "examples", "fuzz/fuzz_targets", "xtask"];
/// Maximum columns of a line.
const COLUMNS: usize = 120;

/// Runs the check and reports violations.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut wrong = Vec::new();
    for folder in FOLDERS {
        wrong.extend(source::files(folder)?.iter().flat_map(too_long));
    }
    for line in &wrong {
        shell::say(line);
    }
    if wrong.is_empty() {
        shell::say(format_args!("no line is longer than {COLUMNS} columns"));
    } else {
        shell::say(format_args!("{} lines are longer than {COLUMNS} columns", wrong.len()));
    }
    Ok(wrong.is_empty())
}

/// The overlong lines of a file. Raw literals are exempt: their text cannot be wrapped.
fn too_long(file: &File) -> Vec<String> {
    let long: Vec<(usize, usize)> = (1..)
        .zip(file.text.lines())
        .map(|(number, line)| (number, line.chars().count()))
        .filter(|(_, columns)| *columns > COLUMNS)
        .collect();
    if long.is_empty() {
        return Vec::new();
    }
    let pieces = source::pieces(&file.text);
    let raw: Vec<_> = pieces
        .iter()
        .filter(|piece| piece.kind == Kind::Raw)
        .map(|piece| piece.line..=piece.line + piece.text.matches('\n').count())
        .collect();
    let free = |number: &usize| raw.iter().any(|lines| lines.contains(number));
    let counted = long.iter().filter(|(number, _)| !free(number));
    counted.map(|(number, columns)| format!("{}:{number}: {columns} columns", file.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: String, expect: &[&str]) {
        assert_eq!(too_long(&File { path: "a.rs".to_owned(), text }), expect);
    }

    #[test]
    fn comments_and_texts_count_and_quotations_do_not() {
        let x = |times: usize| "x".repeat(times);
        check(format!("// {}\n/// {}\n", x(117), x(117)), &["a.rs:2: 121 columns"]);
        check(format!("\n    say(\"{}\");", x(120)), &["a.rs:2: 132 columns"]);
        check(format!("// {}", "é".repeat(117)), &[]);
        check(format!("let json = r#\"{{\n{}\n}}\"#;\n{}", x(200), x(121)), &["a.rs:4: 121 columns"]);
    }
}
