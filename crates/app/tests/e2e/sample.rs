//! The events of the tests: the real ones of ../shared if present, else the project's own sample.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Events to post, and the expected results of filters.
pub(crate) struct Sample {
    /// One CloudEvent per line.
    pub(crate) lines: Vec<String>,
    /// The same, parsed.
    pub(crate) events: Vec<Value>,
    /// (filter, number of matching events, SHA-256 of their ids joined by newlines).
    pub(crate) vectors: Vec<(String, usize, String)>,
}

impl Sample {
    /// Reads the best available sample.
    pub(crate) fn read() -> Sample {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let real = shared.join("realdata/events.jsonl");
        if real.is_file() {
            return Sample::of(&real, &shared.join("contract/filter-vectors.jsonl"));
        }
        assert!(std::env::var("CI").as_deref() != Ok("true"), "../shared/realdata is missing, and CI=true");
        println!(
            "left out: ../shared/realdata/events.jsonl is missing; the project's own sample of 240 events is used"
        );
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        Sample::of(&own.join("events.jsonl"), &own.join("filter-vectors.jsonl"))
    }

    fn of(events: &PathBuf, vectors: &PathBuf) -> Sample {
        let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
        let lines: Vec<_> = read(events).lines().map(str::to_owned).collect();
        let vectors = read(vectors).lines().filter_map(vector).collect();
        Sample { events: lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect(), lines, vectors }
    }

    /// All event types in it.
    pub(crate) fn types(&self) -> Vec<String> {
        let mut types: Vec<_> = self.events.iter().map(|event| text(event, "type").to_owned()).collect();
        types.sort();
        types.dedup();
        types
    }
}

/// A line of filter vectors; those about errors have no matches.
fn vector(line: &str) -> Option<(String, usize, String)> {
    let vector: Value = serde_json::from_str(line).unwrap();
    let matches = vector["matches"].as_u64()?;
    Some((text(&vector, "filter").to_owned(), matches as usize, text(&vector, "sha256_of_ids").to_owned()))
}

/// Text of a member.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// An event of `event_type` with an id.
pub(crate) fn event(id: &str, event_type: &str) -> String {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "pim",
        "type": format!("com.akeneo.pim.v1.{event_type}"),
        "time": "2026-11-02T08:00:00Z",
        "data": {
            "product": {"uuid": "4a40cffc-a02d-5dd1-877c-5876596015f4"},
            "author": {"identifier": "erp", "type": "api"},
        },
    })
    .to_string()
}

/// Full names of types.
pub(crate) fn types(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("com.akeneo.pim.v1.{name}")).collect()
}

/// Whether the long tests run with their full load.
pub(crate) fn is_full() -> bool {
    std::env::var("POSTRIDER_E2E").as_deref() != Ok("small")
}
