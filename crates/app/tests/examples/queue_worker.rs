//! `examples/queue-worker`: nothing is lost between the PIM and the worker, and nothing is done twice.

use std::collections::HashSet;

use parts::tool::{JAVA, NODE, NPM};
use serde_json::Value;

use crate::played::{own_tests, play, tally, text};

#[test]
fn every_change_by_a_person_is_described_once() {
    let Some(played) = play("queue-worker", &[NODE, NPM, JAVA]) else { return };
    let accepted = played.json_lines("accepted.jsonl");
    let (own, others): (Vec<_>, Vec<_>) =
        accepted.iter().partition(|event| text(event, "/data/author/identifier") == "my-app");
    let (locked, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|event| text(event, "/data/asset/code") == "locked");
    assert_eq!((others.len(), locked.len()), (140, 1), "{}", played.printed);

    let outcomes = played.json_lines("worker.log");
    let described = with(&outcomes, "described");
    for (id, times) in tally(described.iter().copied()) {
        assert_eq!(times, 1, "event {id} was described {times} times");
    }
    assert_eq!(ids(others), described.into_iter().collect(), "lost, or described though nobody asked");
    assert_eq!(own.len(), 140, "each description is a change by the app: {}", played.printed);
    assert_eq!(ids(own), with(&outcomes, "own").into_iter().collect(), "the app's own changes");
    let duplicates: HashSet<_> = with(&outcomes, "duplicate").into_iter().collect();
    let replayed = ids(&accepted[..10]);
    assert!(duplicates.is_superset(&replayed), "replayed after the worker's restart: {}", played.printed);
    assert!(duplicates.len() > 10, "nothing came twice of which an answer got lost: {}", played.printed);
    // Every tenth of the 120 assets was initially locked, and the permanently locked one was tried three times.
    let failures = outcomes.iter().filter(|outcome| text(outcome, "/outcome") == "failed").count();
    assert!(failures >= 12 + 3, "{failures} attempts failed: {}", played.printed);
    assert!(played.printed.contains("1 message is in the dead-letter queue"), "{}", played.printed);
    own_tests("queue-worker", &["npm", "test"], &[]);
}

fn ids<'a>(events: impl IntoIterator<Item = &'a Value>) -> HashSet<&'a str> {
    events.into_iter().map(|event| text(event, "/id")).collect()
}

/// The events with an outcome, as often as they had it.
fn with<'a>(outcomes: &'a [Value], outcome: &str) -> Vec<&'a str> {
    outcomes.iter().filter(|line| text(line, "/outcome") == outcome).map(|line| text(line, "/event")).collect()
}
