//! The targets of the workspace: test programs and benchmarks.

use anyhow::{Context, bail};
use serde_json::Value;

use crate::shell;

/// A target and its crate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Target {
    pub(crate) package: String,
    pub(crate) name: String,
}

/// All targets of a kind (`test`, `bench`), by crate and name.
pub(crate) fn of_kind(kind: &str) -> anyhow::Result<Vec<Target>> {
    let output = shell::cargo(&["metadata", "--format-version", "1", "--locked", "--no-deps"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    read(&serde_json::from_slice(&output.stdout)?, kind).context("unexpected output of cargo metadata")
}

fn read(metadata: &Value, kind: &str) -> Option<Vec<Target>> {
    let mut found = Vec::new();
    for package in metadata.get("packages")?.as_array()? {
        for target in package.get("targets")?.as_array()? {
            if target.get("kind")?.as_array()?.iter().any(|of| of == kind) {
                found.push(Target {
                    package: package.get("name")?.as_str()?.to_owned(),
                    name: target.get("name")?.as_str()?.to_owned(),
                });
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
    fn targets_are_found_by_their_kind() {
        let metadata = serde_json::json!({"packages": [{"name": "wire", "targets": [
            {"name": "wire", "kind": ["lib"]},
            {"name": "event", "kind": ["bench"]},
        ]}]});
        let event = Target { package: "wire".to_owned(), name: "event".to_owned() };
        assert_eq!(read(&metadata, "bench"), Some(vec![event]));
        assert_eq!(read(&metadata, "test"), Some(Vec::new()));
    }
}
