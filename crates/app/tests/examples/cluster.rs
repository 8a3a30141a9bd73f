//! `examples/cluster`: a node is killed and all are restarted while events flow; none is refused or lost.

use std::collections::HashSet;

use parts::tool::{NGINX, PYTHON};

use crate::played::{play, text};

#[test]
fn nodes_die_and_restart_while_events_flow_and_none_is_lost() {
    let Some(played) = play("cluster", &[PYTHON, NGINX]) else { return };
    let posted = played.json_lines("posted.jsonl");
    let posted: HashSet<_> = posted.iter().map(|event| text(event, "/id")).collect();
    assert_eq!(posted.len(), 600);
    let received = played.json_lines("receiver.log");
    let received_ids: HashSet<_> = received.iter().map(|line| text(line, "/event")).collect();
    assert_eq!(received_ids, posted, "{}", played.printed);
    let duplicates = received.len() - received_ids.len();
    assert!(duplicates < 100, "{duplicates} duplicates: {}", played.printed);
    let report = played.written("report.txt");
    assert!(report.contains("600 events accepted, 0 of them missing"), "{report}");
}
