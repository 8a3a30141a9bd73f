//! Nodes whose clocks differ: the time since the start of the machine by a time namespace, the time of day by
//! libfaketime. No clock of a node decides about another one's lease.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use parts::tool::Tool;

use super::checker::Watched;
use super::load::Load;
use super::nodes::{Launch, Nodes};
use crate::postgres::failover::pair;

const FAKETIME: Tool = Tool { program: "faketime", version: "--version", package: "faketime" };
const LEASE: &str = "3s";
/// Days since the start of the machine.
const UPTIME: [&str; 4] = ["--boottime", "10000000", "--monotonic", "10000000"];

/// A command in a time namespace of its own, if this machine allows it.
fn namespace() -> anyhow::Result<Vec<String>> {
    let line: Vec<_> = ["unshare", "--time"].into_iter().chain(UPTIME).map(str::to_owned).collect();
    let mut uptime = Command::new("unshare");
    let said = uptime.args(&line[1..]).args(["cat", "/proc/uptime"]).stderr(Stdio::null()).output()?;
    let seconds = String::from_utf8_lossy(&said.stdout).split('.').next().and_then(|text| text.parse().ok());
    anyhow::ensure!(seconds.is_some_and(|seconds: u64| seconds > 10_000_000), "no time namespaces");
    Ok(line)
}

/// The library that changes the time of day.
fn library() -> anyhow::Result<String> {
    FAKETIME.require()?;
    let said = parts::tool::run(Command::new("faketime").args(["-f", "+0", "sh", "-c", "echo $LD_PRELOAD"]))?;
    let path = said.trim().split(':').next_back().unwrap_or_default().to_owned();
    anyhow::ensure!(!path.is_empty(), "faketime preloads nothing");
    Ok(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_of_nodes_that_differ_and_step_do_no_harm() {
    let (line, library) = match namespace().and_then(|line| Ok((line, library()?))) {
        Ok(found) => found,
        Err(error) => return parts::left_out("clocks that differ", &error),
    };
    let folder = tempfile::tempdir().unwrap();
    let (now, next) = (folder.path().join("time"), folder.path().join("next"));
    let step = |offset: &str| {
        fs::write(&next, format!("{offset}\n")).unwrap();
        fs::rename(&next, &now).unwrap();
    };
    step("+20");
    let plain = Launch::with_lease(LEASE);
    let long_ago = Launch { line: [line, plain.line.clone()].concat(), ..plain.clone() };
    let environment = vec![
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", now.to_str().unwrap().to_owned()),
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let ahead = Launch { environment, ..plain.clone() };
    let (primary, _standby) = pair("on");
    let mut nodes = Nodes::start(&primary.url("platform"), [plain, long_ago, ahead]);
    nodes.settled(&primary).await;
    let watched = Watched::start(&nodes, Duration::from_millis(1)).await;
    let load = Load::start(&nodes);
    load.goes_on().await;
    for (node, offset) in [(0, "-20"), (1, "+86400"), (2, "-86400"), (0, "+20")] {
        step(offset);
        tokio::time::sleep(Duration::from_secs(2)).await;
        nodes.kill(node);
        nodes.run(node);
        nodes.settled(&primary).await;
        load.goes_on().await;
    }
    let seen = watched.end(&nodes, load).await;
    seen.check(&format!("clocks that differ and step, four nodes killed, lease of {LEASE}"), &nodes);
    assert!(seen.lanes < Duration::from_secs(15), "deliveries paused for {:?}\n{}", seen.lanes, nodes.logs());
}
