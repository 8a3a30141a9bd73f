//! Node.js with npm packages: a folder with `node_modules` per lock file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::place;
use crate::tool::{self, NODE, NPM};

/// A folder whose `node_modules` contains the packages of `package.json` and its `package-lock.json`, which pins
/// versions and hashes. Modules resolve imports from their own location, so copy importing files into a folder next to
/// it, with a link.
pub fn with_packages(name: &str, package: &str, lock: &str) -> anyhow::Result<PathBuf> {
    NODE.require()?;
    NPM.require()?;
    let version = tool::run(Command::new(NODE.program).arg("--version"))?;
    place::fetched(name, &format!("{version}{package}{lock}"), |folder| {
        fs::write(folder.join("package.json"), package)?;
        fs::write(folder.join("package-lock.json"), lock)?;
        // Packages must not run scripts.
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        tool::run(Command::new(NPM.program).args(install).current_dir(folder)).map(|_| ())
    })
}
