//! Node by node to another version, under load.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use parts::tool;

use super::checker::Watched;
use super::load::Load;
use super::nodes::{Launch, NODES, Nodes};
use crate::postgres::failover::pair;
use crate::running::BINARY;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A copy of the binary that says another version of itself: every occurrence of the number is replaced by one of the
/// same length.
fn earlier(folder: &Path) -> (PathBuf, String) {
    let last = VERSION.chars().last().unwrap();
    let other = format!("{}{}", &VERSION[..VERSION.len() - 1], if last == '9' { '8' } else { '9' });
    let copy = folder.join("postrider");
    std::fs::copy(BINARY, &copy).unwrap();
    let replace = format!("s/{}/{other}/g", VERSION.replace('.', "\\."));
    tool::run(Command::new("sed").env("LC_ALL", "C").args(["-i", &replace]).arg(&copy)).unwrap();
    let said = tool::run(Command::new(&copy).arg("--version")).unwrap();
    assert_eq!(said.trim(), format!("postrider {other}"));
    (copy, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_node_by_node_loses_nothing_and_hands_over() {
    let folder = tempfile::tempdir().unwrap();
    let (binary, other) = earlier(folder.path());
    let (primary, _standby) = pair("on");
    let new = Launch::with_lease("10s");
    let old = Launch { line: vec![binary.to_str().unwrap().to_owned()], ..new.clone() };
    let mut nodes = Nodes::start(&primary.url("platform"), vec![old; NODES]);
    nodes.settled(&primary).await;
    let watched = Watched::start(&nodes, Duration::from_millis(1)).await;
    let load = Load::start(&nodes);
    load.goes_on().await;
    let versions = || primary.query("platform", "SELECT DISTINCT version FROM node ORDER BY version").unwrap();
    assert_eq!(versions(), other);
    for node in 0..NODES {
        let began = Instant::now();
        nodes.stop(node);
        println!("node {node} stopped within {:.1} s", began.elapsed().as_secs_f64());
        nodes.run_by(node, new.clone());
        nodes.settled(&primary).await;
        let failures = load.failures(began, node);
        assert!(failures.is_empty(), "{failures:?}\n{}", nodes.logs());
        load.goes_on().await;
    }
    let seen = watched.end(&nodes, load).await;
    seen.check("upgrade node by node, default lease", &nodes);
    // Shards are handed over without waiting for the lease.
    assert!(seen.lanes < Duration::from_secs(8), "deliveries paused for {:?}\n{}", seen.lanes, nodes.logs());
    assert!(versions().contains(VERSION), "{}", versions());
}
