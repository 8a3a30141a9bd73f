//! `cargo xtask bench`: the platform as a whole beside what the machine can do without it, and the benchmarks of all crates,
//! found in what cargo knows of them.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use crate::shell;

/// Measure the platform as a whole, and run the benchmarks of the crates
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Only those whose `crate/name` contains this text; `platform` is the platform as a whole
    #[arg(value_name = "TEXT")]
    only: Option<String>,
    /// Only the platform as a whole, in about a minute
    #[arg(long)]
    quick: bool,
}

/// Runs them, one after the other: they share the machine's cores.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<bool> {
    let wanted = |title: &str| args.only.as_ref().is_none_or(|only| title.contains(only.as_str()));
    let mut all = true;
    if wanted("platform") {
        all &= platform(args.quick)?;
    }
    let benchmarks = if args.quick { Vec::new() } else { benchmarks()? };
    for (package, name) in benchmarks {
        let title = format!("{package}/{name}");
        if !wanted(&title) {
            continue;
        }
        shell::heading(&title);
        let command = ["bench", "--locked", "--quiet", "--package", &package, "--bench", &name];
        all &= shell::succeeds(&mut shell::cargo(&command))?;
    }
    Ok(all)
}

/// Builds the real program and measures it.
fn platform(quick: bool) -> anyhow::Result<bool> {
    shell::heading("platform");
    let build = ["build", "--locked", "--release", "--package", "postrider", "--package", "bench"];
    if !shell::succeeds(&mut shell::cargo(&build))? {
        return Ok(false);
    }
    let mut run = shell::cargo(&["run", "--locked", "--release", "--quiet", "--package", "bench", "--"]);
    if quick {
        run.arg("--quick");
    }
    shell::succeeds(&mut run)
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
