//! Places in the sources that name a destination type. A new type needs its own files and changes at these places only;
//! "Adding a destination type" in ARCHITECTURE.md has the same list.

use std::collections::BTreeSet;

use anyhow::Context;

use crate::shell;
use crate::source::{self, File, Kind, Piece};

/// Files that name destination types, besides those of a single type.
const PLACES: [&str; 5] = [
    "crates/domain/src/destination.rs",
    "crates/wire/src/api/destination.rs",
    "crates/sinks/src/lib.rs",
    "crates/app/src/destinations.rs",
    "crates/app/src/config/settings.rs",
];

/// Folders with one file for each type.
const OWN: [&str; 3] = ["crates/domain/src/destination/", "crates/wire/src/api/destination/", "crates/sinks/src/"];

/// Crates that are not shipped, or contain only samples for tests.
const NOT_SHIPPED: [&str; 5] = [
    "crates/bench/",
    "crates/parts/",
    "crates/simulation/",
    "crates/store/src/conformance/",
    "crates/domain/src/testing.rs",
];

/// Also a scheme and a protocol: only names of Rust types refer to the destination type.
const SCHEME: &str = "https";

/// Runs the check and reports violations.
pub(crate) fn run() -> anyhow::Result<bool> {
    let (types, wrong) = check_project()?;
    for line in &wrong {
        shell::say(line);
    }
    if wrong.is_empty() {
        shell::say(format_args!("{types} types of destination are named in {} files of all", PLACES.len()));
    }
    Ok(wrong.is_empty())
}

/// The number of types, and the violations.
fn check_project() -> anyhow::Result<(usize, Vec<String>)> {
    let guide = std::fs::read_to_string(shell::root().join("ARCHITECTURE.md")).context("no ARCHITECTURE.md")?;
    let mut files = source::files("crates")?;
    files.retain(|file| file.path.split('/').nth(2) == Some("src"));
    let types = types(&files);
    let wrong = check(&types, &files, &guide);
    Ok((types.len(), wrong))
}

/// The types: the names with a file in each folder.
fn types(files: &[File]) -> BTreeSet<String> {
    let within = |folder: &str| -> BTreeSet<String> {
        let names = files.iter().filter_map(|file| file.path.strip_prefix(folder)?.strip_suffix(".rs"));
        names.filter(|name| !name.contains('/')).map(str::to_owned).collect()
    };
    let [first, others @ ..] = OWN;
    others.into_iter().fold(within(first), |known, folder| &known & &within(folder))
}

fn check(types: &BTreeSet<String>, files: &[File], guide: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files {
        let own = types.iter().any(|name| is_own(&file.path, name));
        if own || NOT_SHIPPED.iter().any(|folder| file.path.starts_with(folder)) || file.path.ends_with("/tests.rs") {
            continue;
        }
        let named = named(types, &file.text);
        let listed = PLACES.contains(&file.path.as_str());
        if let Some((name, line)) = named.first()
            && !listed
        {
            wrong.push(format!(
                "{}:{line}: names the type of destination `{name}`; ask its descriptor instead, or add the file to \
                 xtask/src/places.rs and ARCHITECTURE.md, \"Adding a destination type\"",
                file.path
            ));
        }
        if listed && named.is_empty() {
            wrong.push(format!("{} names no type of destination any more: remove it from the list", file.path));
        }
    }
    for place in PLACES {
        if !files.iter().any(|file| file.path == place) {
            wrong.push(format!("{place} is in xtask/src/places.rs but does not exist"));
        }
        if !guide.contains(&format!("`{place}`")) {
            wrong.push(format!("{place} is not in ARCHITECTURE.md, \"Adding a destination type\""));
        }
    }
    wrong
}

/// Whether a file belongs to one type: its name or its folder's name is the type's.
fn is_own(path: &str, name: &str) -> bool {
    path.split('/').any(|part| part == name || part.strip_suffix(".rs") == Some(name))
}

/// The types named in a source's code, without tests, each with the line of its first occurrence.
fn named<'t>(types: &'t BTreeSet<String>, source: &str) -> Vec<(&'t str, usize)> {
    let pieces = source::pieces(shipped(source));
    let first = |name: &'t String| {
        let piece = pieces.iter().find(|piece| names(piece, name))?;
        Some((name.as_str(), piece.line))
    };
    types.iter().filter_map(first).collect()
}

/// A source without the tests at its end.
fn shipped(source: &str) -> &str {
    let tests = source.find("#[cfg(test)]\nmod tests {").unwrap_or(source.len());
    source.get(..tests).unwrap_or(source)
}

/// Whether a piece names a type: as a word of an identifier, or as a string literal that is exactly the name.
fn names(piece: &Piece<'_>, name: &str) -> bool {
    match piece.kind {
        Kind::Code if name == SCHEME => words(piece.text).any(|word| word == "Https"),
        Kind::Code => words(piece.text).any(|word| word.eq_ignore_ascii_case(name)),
        Kind::Text | Kind::Raw => name != SCHEME && piece.text == name,
        Kind::Comment => false,
    }
}

/// The words of identifiers: `KafkaSink` and `kafka_sink` have two.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !character.is_alphanumeric()).flat_map(|part| {
        let starts = part.char_indices().filter(|(index, character)| *index > 0 && character.is_uppercase());
        let starts: Vec<usize> = std::iter::once(0).chain(starts.map(|(index, _)| index)).collect();
        let ends: Vec<usize> = starts.iter().copied().skip(1).chain([part.len()]).collect();
        starts.into_iter().zip(ends).filter_map(|(start, end)| part.get(start..end)).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_named(source: &str, expect: &[(&str, usize)]) {
        let types = ["https", "kafka"].map(str::to_owned).into();
        assert_eq!(named(&types, source), expect, "{source}");
    }

    #[test]
    fn types_of_destination_are_named_only_where_a_new_one_has_to_be_added() {
        let (types, wrong) = check_project().unwrap();
        assert_eq!(wrong, Vec::<String>::new());
        assert!(types >= 3, "{types} types");
    }

    #[test]
    fn a_type_is_named_by_identifiers_and_by_its_bare_name() {
        check_named("use sinks::kafka::KafkaSink;", &[("kafka", 1)]);
        check_named("match of {\n    DestinationType::Https => 1,\n}", &[("https", 2)]);
        check_named("max_kafka_clients: Count", &[("kafka", 1)]);
        check_named("let types = [\"https\", \"kafka\"];", &[("kafka", 1)]);
        check_named("let scheme = \"https\"; code::HTTPS_REQUIRED; // Kafka", &[]);
        check_named("say(\"Pub/Sub and kafka\");", &[]);
        check_named("fn a() {}\n#[cfg(test)]\nmod tests { use kafka; }", &[]);
        check_named("#[cfg(test)]\nmod reference_page;\nuse kafka;", &[("kafka", 3)]);
    }

    #[test]
    fn files_outside_the_list_are_reported() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let mut files: Vec<File> = PLACES.iter().map(|place| file(place, "Destination::Kafka")).collect();
        for folder in OWN {
            files.push(file(&format!("{folder}kafka.rs"), "Destination::Kafka"));
        }
        files.push(file("crates/domain/src/destination/headers.rs", ""));
        let types = types(&files);
        assert_eq!(types, ["kafka".to_owned()].into());
        let guide: String = PLACES.iter().map(|place| format!("`{place}` ")).collect();
        assert_eq!(check(&types, &files, &guide), Vec::<String>::new());
        files.push(file("crates/sinks/src/kafka/pool.rs", "KafkaDestination"));
        files.push(file("crates/engine/src/core.rs", "\nDestination::Kafka(_) => 1"));
        files[0].text.clear();
        let wrong = check(&types, &files, "");
        assert!(wrong[0].starts_with("crates/domain/src/destination.rs names no type"), "{wrong:?}");
        assert!(
            wrong[1].starts_with("crates/engine/src/core.rs:2: names the type of destination `kafka`"),
            "{wrong:?}"
        );
        assert_eq!(wrong.len(), 2 + PLACES.len(), "and the guide names none of the places: {wrong:?}");
    }
}
