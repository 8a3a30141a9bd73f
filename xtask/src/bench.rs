//! `cargo xtask bench`: the benchmarks of all crates, found in what cargo knows of them.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use crate::shell;

/// Run the benchmarks
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Only those whose `crate/name` contains this text
    #[arg(value_name = "TEXT")]
    only: Option<String>,
}

/// Runs them, one after the other: they share the machine's cores.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<bool> {
    let mut all = true;
    for (package, name) in benchmarks()? {
        let title = format!("{package}/{name}");
        if args.only.as_ref().is_some_and(|only| !title.contains(only.as_str())) {
            continue;
        }
        shell::heading(&title);
        let command = ["bench", "--locked", "--quiet", "--package", &package, "--bench", &name];
        all &= shell::succeeds(&mut shell::cargo(&command))?;
    }
    Ok(all)
}

/// Crate and name of every benchmark.
fn benchmarks() -> anyhow::Result<Vec<(String, String)>> {
    let output = shell::cargo(&["metadata", "--format-version", "1", "--locked", "--no-deps"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    read(&serde_json::from_slice(&output.stdout)?).context("cargo metadata says something else than expected")
}

fn read(metadata: &Value) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for package in metadata.get("packages")?.as_array()? {
        for target in package.get("targets")?.as_array()? {
            if target.get("kind")?.as_array()?.iter().any(|kind| kind == "bench") {
                found.push((package.get("name")?.as_str()?.to_owned(), target.get("name")?.as_str()?.to_owned()));
            }
        }
    }
    found.sort();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_found_by_their_kind() {
        let metadata = serde_json::json!({"packages": [{"name": "wire", "targets": [
            {"name": "wire", "kind": ["lib"]},
            {"name": "event", "kind": ["bench"]},
        ]}]});
        assert_eq!(read(&metadata), Some(vec![("wire".to_owned(), "event".to_owned())]));
    }
}
