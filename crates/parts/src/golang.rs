//! Go programs, built from sources in this crate and from modules pinned in their `go.sum`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::place;
use crate::tool::{self, GO};

/// The program built from `sources` in the folder `name` of this crate.
pub fn program(name: &str, sources: &[&str]) -> anyhow::Result<PathBuf> {
    Ok(programs(name, sources, &["."])?.join(name))
}

/// A folder with the programs built from `packages`: those of the module in the folder `name` of this crate, or tools
/// listed in its `go.mod`.
pub fn programs(name: &str, sources: &[&str], packages: &[&str]) -> anyhow::Result<PathBuf> {
    GO.require()?;
    let folder = place::source(name);
    let mut recipe = tool::run(Command::new(GO.program).arg("version"))?;
    for source in sources {
        recipe.push_str(&fs::read_to_string(folder.join(source))?);
    }
    place::fetched(name, &recipe, |target| {
        // The trailing slash makes it a folder.
        let mut build = Command::new(GO.program);
        build.args(["build", "-o"]).arg(target.join("")).args(packages).current_dir(&folder);
        tool::run(&mut build).map(drop)
    })
}
