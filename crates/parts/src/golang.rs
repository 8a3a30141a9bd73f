//! Go programs, built from sources in this crate and from modules pinned in their `go.sum`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::place;
use crate::tool::{self, GO};

/// The program built from `sources` in the folder `name` of this crate.
pub fn program(name: &str, sources: &[&str]) -> anyhow::Result<PathBuf> {
    GO.require()?;
    let folder = place::source(name);
    let mut recipe = tool::run(Command::new(GO.program).arg("version"))?;
    for source in sources {
        recipe.push_str(&fs::read_to_string(folder.join(source))?);
    }
    let built = place::fetched(name, &recipe, |target| {
        let program = target.join(name);
        tool::run(Command::new(GO.program).args(["build", "-o"]).arg(program).current_dir(&folder)).map(drop)
    })?;
    Ok(built.join(name))
}
