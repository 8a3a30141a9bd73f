//! Allowed dependencies between the crates (ARCHITECTURE.md), checked on cargo's resolution, and other rules for the
//! sources.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{lines, places, shell};

/// Crates of ours that a crate may use, directly or indirectly.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    // Atomic counters, for everyone who counts.
    ("meter", &[]),
    // Fair shares of the resources that tenants share.
    ("fair", &[]),
    // Background tasks that do not end unnoticed.
    ("supervise", &[]),
    ("delivery", &["domain"]),
    ("wire", &["domain"]),
    ("store", &["domain", "meter"]),
    ("store-sqlite", &["store", "meter", "fair"]),
    ("store-postgres", &["store", "meter", "fair"]),
    ("sinks", &["domain", "wire", "fair", "supervise"]),
    ("engine", &["delivery", "store", "sinks", "meter"]),
    // Which node owns which shard, and calls from node to node.
    ("cluster", &["domain", "store", "sinks", "meter"]),
    ("intake", &["domain", "wire", "store", "fair", "meter"]),
    ("notify", &["domain", "wire", "store", "sinks", "meter", "fair"]),
    ("api", &["wire", "store", "domain", "intake", "meter", "fair"]),
    // A client of the API, which it reaches through a port.
    ("console", &["domain"]),
    ("postrider", &["store-sqlite", "store-postgres", "engine", "notify", "api", "console", "supervise", "cluster"]),
    // Only for tests: not part of the product.
    ("simulation", &["engine", "store-sqlite", "fair", "cluster"]),
    // External software: brokers and servers for tests, generators for releases.
    ("parts", &[]),
    // Measures the program from outside; only uses what fills a data folder, and brokers as destinations.
    ("bench", &["store-sqlite", "store-postgres", "parts"]),
    // Packages of a release, from a binary.
    ("dist", &["parts"]),
    ("xtask", &["dist"]),
];

/// Crates that decide without IO: they must not depend on async code.
const WITHOUT_TOKIO: [&str; 3] = ["domain", "delivery", "wire"];

/// Other providers of cryptography and TLS than the platform's own, aws-lc-rs.
const OTHER_TLS: [&str; 4] = ["ring", "openssl-sys", "native-tls", "mbedtls"];

/// Runs the check and reports violations.
pub(crate) fn run() -> anyhow::Result<bool> {
    let wrong = check(&Graph::of_workspace()?)?;
    for line in &wrong {
        shell::say(line);
    }
    if wrong.is_empty() {
        shell::say("all dependencies between crates are allowed");
    }
    Ok(wrong.is_empty() & places::run()? & lines::run()?)
}

fn check(graph: &Graph) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for member in &graph.members {
        let Some(allowed) = allowed(member) else {
            wrong.push(format!(
                "{member} is not in the table of arrows; add it to xtask/src/arrows.rs and ARCHITECTURE.md"
            ));
            continue;
        };
        for used in graph.direct(member).filter(|used| graph.members.contains(*used)) {
            if !allowed.contains(used.as_str()) {
                wrong.push(format!("{member} must not use {used}"));
            }
        }
    }
    for member in WITHOUT_TOKIO {
        if graph.closure(member).contains("tokio") {
            wrong.push(format!("{member} depends on tokio but must decide without IO"));
        }
    }
    let shipped = graph.closure("postrider");
    if shipped.is_empty() {
        bail!("no crate postrider");
    }
    for other in OTHER_TLS {
        if shipped.contains(other) {
            wrong.push(format!("postrider depends on {other}; its only provider of cryptography is aws-lc-rs"));
        }
    }
    Ok(wrong)
}

/// All crates of ours that one may use, directly or indirectly; `None` if it is not in the table.
fn allowed(member: &str) -> Option<BTreeSet<&'static str>> {
    let (_, direct) = ARROWS.iter().find(|(name, _)| *name == member)?;
    let mut all: BTreeSet<&'static str> = direct.iter().copied().collect();
    for next in *direct {
        all.extend(allowed(next).unwrap_or_default());
    }
    Some(all)
}

/// Dependencies of the product, without those for tests.
#[derive(Default)]
struct Graph {
    members: BTreeSet<String>,
    uses: BTreeMap<String, BTreeSet<String>>,
    /// Dependencies of the queried crates.
    made_of: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of_workspace() -> anyhow::Result<Graph> {
        let output = shell::cargo(&["metadata", "--format-version", "1", "--locked"]).output()?;
        if !output.status.success() {
            bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let mut graph =
            Graph::read(&serde_json::from_slice(&output.stdout)?).context("unexpected output of cargo metadata")?;
        for name in WITHOUT_TOKIO.into_iter().chain(["postrider"]) {
            graph.made_of.insert(name.to_owned(), made_of(name)?);
        }
        Ok(graph)
    }

    fn read(metadata: &Value) -> Option<Graph> {
        let mut graph = Graph::default();
        let mut names = BTreeMap::new();
        for package in metadata.get("packages")?.as_array()? {
            names.insert(package.get("id")?.as_str()?, package.get("name")?.as_str()?.to_owned());
        }
        for id in metadata.get("workspace_members")?.as_array()? {
            graph.members.insert(names.get(id.as_str()?)?.clone());
        }
        for node in metadata.get("resolve")?.get("nodes")?.as_array()? {
            let uses = graph.uses.entry(names.get(node.get("id")?.as_str()?)?.clone()).or_default();
            for used in node.get("deps")?.as_array()? {
                let shipped = |kind: &Value| kind.get("kind").is_none_or(|kind| kind.is_null() || kind == "build");
                if used.get("dep_kinds")?.as_array()?.iter().any(shipped) {
                    uses.insert(names.get(used.get("pkg")?.as_str()?)?.clone());
                }
            }
        }
        Some(graph)
    }

    fn direct(&self, name: &str) -> impl Iterator<Item = &String> {
        self.uses.get(name).into_iter().flatten()
    }

    /// All dependencies of a crate.
    fn closure(&self, name: &str) -> BTreeSet<String> {
        self.made_of.get(name).cloned().unwrap_or_default()
    }
}

/// All crates built into a crate here. Not from the metadata, where features enabled by tests count for everyone.
fn made_of(name: &str) -> anyhow::Result<BTreeSet<String>> {
    let tree =
        ["tree", "--locked", "--package", name, "--edges", "normal,build", "--prefix", "none", "--format", "{p}"];
    let output = shell::cargo(&tree).output()?;
    if !output.status.success() {
        bail!("cargo tree failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(uses: &[(&str, &[&str])]) -> Graph {
        let mut graph = Graph::default();
        for name in ARROWS.iter().map(|(name, _)| *name) {
            graph.members.insert(name.to_owned());
        }
        graph.made_of.insert("postrider".to_owned(), BTreeSet::from(["api".to_owned()]));
        for (name, used) in uses {
            graph.uses.entry((*name).to_owned()).or_default().extend(used.iter().map(|name| (*name).to_owned()));
        }
        graph
    }

    fn check_graph(uses: &[(&str, &[&str])], expect: &[&str]) {
        assert_eq!(check(&graph(uses)).unwrap(), expect);
    }

    fn check_made_of(name: &str, part: &str, expect: &[&str]) {
        let mut graph = graph(&[]);
        graph.made_of.entry(name.to_owned()).or_default().insert(part.to_owned());
        assert_eq!(check(&graph).unwrap(), expect);
    }

    #[test]
    fn arrows_point_one_way() {
        check_graph(&[("engine", &["delivery", "wire"]), ("store-sqlite", &["domain"])], &[]);
        check_graph(&[("api", &["engine"])], &["api must not use engine"]);
        check_graph(&[("domain", &["wire"])], &["domain must not use wire"]);
        check_made_of("wire", "tokio", &["wire depends on tokio but must decide without IO"]);
        check_made_of(
            "postrider",
            "ring",
            &["postrider depends on ring; its only provider of cryptography is aws-lc-rs"],
        );
        check_made_of("postrider", "tokio", &[]);
    }
}
