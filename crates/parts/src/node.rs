//! Node.js with packages of npm: a folder with `node_modules` for each lock file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::place;
use crate::tool::{self, NODE, NPM};

/// A folder whose `node_modules` holds what `package.json` and its `package-lock.json` name: all versions are pinned there, and what they hold by
/// its hash. Modules resolve their imports from where they lie, so copy into a folder beside it, with a link, what is to import them.
pub fn with_packages(name: &str, package: &str, lock: &str) -> anyhow::Result<PathBuf> {
    NODE.require()?;
    NPM.require()?;
    let version = tool::run(Command::new(NODE.program).arg("--version"))?;
    place::fetched(name, &format!("{version}{package}{lock}"), |folder| {
        fs::write(folder.join("package.json"), package)?;
        fs::write(folder.join("package-lock.json"), lock)?;
        // No package's own script is run.
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        tool::run(Command::new(NPM.program).args(install).current_dir(folder)).map(|_| ())
    })
}
