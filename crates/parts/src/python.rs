//! Python with PyPI packages: a virtual environment per list of pinned packages.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::place;
use crate::tool::{self, PYTHON};

/// Interpreter of a virtual environment with `requirements`: lines such as `cloudevents==2.2.0`. Pin all versions,
/// including those of dependencies (`pip freeze`), so that tests are reproducible.
pub fn with_packages(name: &str, requirements: &str) -> anyhow::Result<PathBuf> {
    PYTHON.require()?;
    let version = tool::run(Command::new(PYTHON.program).arg("--version"))?;
    let folder = place::fetched(name, &format!("{version}{requirements}"), |folder| {
        let list = folder.join("requirements.txt");
        fs::write(&list, requirements).with_context(|| format!("cannot write {}", list.display()))?;
        tool::run(Command::new(PYTHON.program).args(["-m", "venv"]).arg(folder.join("venv")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        tool::run(Command::new(folder.join("venv/bin/python")).args(pip).arg(list))?;
        Ok(())
    })?;
    Ok(folder.join("venv/bin/python"))
}
