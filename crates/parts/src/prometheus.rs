//! Prometheus' own reader of rules and of its query language.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::{golang, tool};

/// Series that an alert asks for.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Selector {
    /// The alert.
    pub alert: String,
    /// The metric's name.
    pub metric: String,
    /// Labels that it asks about.
    pub labels: Vec<String>,
}

/// What the alerts of a file of rules ask for; an error says what Prometheus does not take.
pub fn rules(file: &Path) -> anyhow::Result<Vec<Selector>> {
    let program = golang::program("prometheus", &["go.mod", "go.sum", "main.go"])?;
    let printed = tool::run(Command::new(program).arg(file))?;
    serde_json::from_str(&printed).context("the reader of rules said something else than expected")
}
