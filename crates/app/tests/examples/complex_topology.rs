//! `examples/complex-topology`: subscriptions are split and moved while events flow, and none is lost.

use std::collections::HashMap;

use parts::tool::{GO, JAVA, PYTHON};

use crate::played::{Played, own_tests, play, text};

/// In the order in which the deletions of tenant-a use them.
const WAYS: [&str; 3] = ["pubsub", "https", "kafka"];

#[test]
fn destinations_change_while_events_flow_and_none_is_lost() {
    let Some(played) = play("complex-topology", &[PYTHON, GO, JAVA]) else { return };
    for tenant in ["tenant-a", "tenant-b"] {
        let options = ways(&played, tenant, "options");
        assert_eq!(options.first(), Some(&"pubsub"), "{}", played.printed);
        assert_eq!(options.last(), Some(&"https"), "{}", played.printed);
        assert!(!options.contains(&"kafka"), "{}", played.printed);
    }
    let staying = ways(&played, "tenant-b", "deletions");
    assert!(staying.iter().all(|way| *way == "pubsub"), "{}", played.printed);

    // A change applies to all events accepted after its response. So in the order of acceptance the routes do not mix,
    // except for the few events in flight at that time.
    let moving = ways(&played, "tenant-a", "deletions");
    let rank = |way: &str| WAYS.iter().position(|known| *known == way).unwrap();
    let back = moving.windows(2).filter(|pair| rank(pair[0]) > rank(pair[1])).count();
    assert!(back <= 2, "{back} events went a way that was closed: {moving:?}");
    for way in WAYS {
        assert!(moving.iter().filter(|taken| **taken == way).count() >= 10, "{way}: {}", played.printed);
    }
    let tests = [".venv/bin/python", "-m", "unittest"];
    own_tests("complex-topology", &tests, &[("PYTHONPATH", "../multi-tenant")]);
}

/// Route by which each event was handled, in the order of acceptance. All of them were handled.
fn ways(played: &Played, tenant: &str, kind: &str) -> Vec<&'static str> {
    let lines = played.json_lines("handled.jsonl");
    let of_tenant = lines.iter().filter(|line| text(line, "/tenant") == tenant);
    let handled: HashMap<_, _> = of_tenant.map(|line| (text(line, "/event"), text(line, "/via"))).collect();
    let posted = played.json_lines(&format!("{tenant}-{kind}.jsonl"));
    assert_eq!(posted.len(), 250, "{tenant}-{kind} were not posted");
    let way = |id: &str| {
        let taken = handled.get(id).unwrap_or_else(|| panic!("event {id} of {tenant} is lost:\n{}", played.printed));
        WAYS.into_iter().find(|way| way == taken).unwrap()
    };
    posted.iter().map(|event| way(text(event, "/id"))).collect()
}
