//! Prometheus' own parser of rules and of its query language.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::{golang, tool};

/// Series used by an alert.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Selector {
    /// Name of the alert.
    pub alert: String,
    /// Name of the metric.
    pub metric: String,
    /// Labels in its query.
    pub labels: Vec<String>,
}

/// Series used by the alerts of a rule file; an error contains Prometheus' complaint.
pub fn rules(file: &Path) -> anyhow::Result<Vec<Selector>> {
    let program = golang::program("prometheus", &["go.mod", "go.sum", "main.go"])?;
    let printed = tool::run(Command::new(program).arg(file))?;
    serde_json::from_str(&printed).context("unexpected output of the rule parser")
}
