//! `examples/multi-tenant`: events are routed by subject, and nothing more is done for a tenant that removes the app.

use std::collections::HashSet;

use parts::tool::{GO, PYTHON};

use crate::played::{Played, own_tests, play, text};

#[test]
fn a_tenant_that_removes_the_app_is_served_no_more_and_the_other_goes_on() {
    let Some(played) = play("multi-tenant", &[PYTHON, GO]) else { return };
    assert_eq!(handled(&played, "tenant-a"), ids(&played, &["a-before"]), "{}", played.printed);
    assert_eq!(handled(&played, "tenant-b"), ids(&played, &["b-before", "b-after"]), "{}", played.printed);
    let late = played.written("consumer.log").matches("revoked by pubsub").count();
    assert_eq!(late, 0, "the platform went on to deliver for tenant-a");
    assert!(played.printed.contains("tenant-a: 401,"), "{}", played.printed);
    assert!(played.printed.contains(r#"tenant-b: 200, "status":"active""#), "{}", played.printed);
    own_tests("multi-tenant", &[".venv/bin/python", "-m", "unittest"], &[]);
}

fn handled(played: &Played, tenant: &str) -> HashSet<String> {
    let lines = played.json_lines("handled.jsonl");
    lines.iter().filter(|line| text(line, "/tenant") == tenant).map(|line| text(line, "/event").to_owned()).collect()
}

/// Ids of events posted by the PIMs.
fn ids(played: &Played, names: &[&str]) -> HashSet<String> {
    let posted = names.iter().flat_map(|name| played.json_lines(&format!("{name}.jsonl")));
    let ids: HashSet<_> = posted.map(|event| text(&event, "/id").to_owned()).collect();
    assert!(ids.len() >= 100, "{names:?} were not posted");
    ids
}
