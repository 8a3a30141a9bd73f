//! One text with the licences of all components. Equal texts appear once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use crate::bill::{Bill, Id, Part};

/// Prefixes of licence and notice files, in any case.
const NAMES: [&str; 5] = ["license", "licence", "copying", "notice", "unlicense"];

/// Licence text for crates that ship none, below their authors' names.
const MIT: &str = "\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the \"Software\"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
";

/// The text. `ours` is the project's own Apache-2.0 licence, also used for crates that ship none.
pub(crate) fn text(bill: &Bill, ours: &str) -> anyhow::Result<String> {
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, part) in &bill.parts {
        for text in texts(id, part, ours)? {
            by_text.entry(text).or_default().push(format!("{} {} ({})", id.0, id.1, part.licence));
        }
    }
    let mut all = String::from(
        "Postrider is licensed under the Apache License 2.0 (LICENSE). Its binary contains the libraries below, each\n\
         under the licences that follow its name. SQLite, in libsqlite3-sys, is in the public domain.\n",
    );
    // Sorted by the first crate of each text.
    let mut groups: Vec<_> = by_text.into_iter().collect();
    groups.sort_by(|a, b| a.1.cmp(&b.1));
    for (text, names) in groups {
        let line = "=".repeat(100);
        _ = write!(all, "\n{line}\n{}\n{line}\n\n{}\n", names.join("\n"), text.trim_end());
    }
    Ok(all)
}

fn texts(id: &Id, part: &Part, ours: &str) -> anyhow::Result<Vec<String>> {
    let shipped = shipped(&part.folder)?;
    if !shipped.is_empty() {
        return Ok(shipped);
    }
    let offered: Vec<&str> = part.licence.split(" OR ").collect();
    if offered.contains(&"Apache-2.0") {
        return Ok(vec![normal(ours)]);
    }
    if offered.contains(&"MIT") && !part.authors.is_empty() {
        return Ok(vec![format!("Copyright (c) {}\n\n{MIT}", part.authors.join(", "))]);
    }
    bail!("{} {} is licensed under {} but ships no licence text", id.0, id.1, part.licence)
}

fn shipped(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if NAMES.iter().any(|prefix| name.starts_with(prefix)) && entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    files.iter().map(|file| Ok(normal(&String::from_utf8_lossy(&fs::read(file)?)))).collect()
}

/// Normalises line endings and trailing blanks.
fn normal(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(folder: &Path, licence: &str, authors: &[&str]) -> Part {
        Part {
            licence: licence.to_owned(),
            authors: authors.iter().map(|author| (*author).to_owned()).collect(),
            description: None,
            repository: None,
            checksum: String::new(),
            folder: folder.to_owned(),
            uses: Default::default(),
            bundles: None,
        }
    }

    #[test]
    fn equal_texts_stand_once_and_missing_ones_are_found_elsewhere_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| {
            let of = folder.path().join(name);
            fs::create_dir(&of).unwrap();
            of
        };
        let (a, b, bare) = (of("a"), of("b"), of("bare"));
        fs::write(a.join("LICENSE-MIT"), "The same text \r\nin both\r\n").unwrap();
        fs::write(b.join("licence.md"), "The same text\nin both\n\n").unwrap();
        fs::write(b.join("README.md"), "not a licence").unwrap();
        let id = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        let mut bill = Bill { version: "1.0.0".to_owned(), parts: BTreeMap::new(), used_directly: Default::default() };
        bill.parts.insert(id("a"), part(&a, "MIT", &[]));
        bill.parts.insert(id("b"), part(&b, "MIT", &[]));
        bill.parts.insert(id("c"), part(&bare, "MIT OR Apache-2.0", &["C"]));
        bill.parts.insert(id("d"), part(&bare, "MIT", &["D"]));
        let all = text(&bill, "the Apache licence").unwrap();
        assert!(all.contains("a 1.0.0 (MIT)\nb 1.0.0 (MIT)\n=") && all.matches("The same text\nin both").count() == 1);
        assert!(all.contains("the Apache licence") && all.contains("Copyright (c) D\n\nPermission is hereby granted"));
        assert!(!all.contains("not a licence"), "{all}");
        bill.parts.insert(id("e"), part(&bare, "Zlib", &["E"]));
        let refused = text(&bill, "the Apache licence").unwrap_err().to_string();
        assert_eq!(refused, "e 1.0.0 is licensed under Zlib but ships no licence text");
    }
}
