//! `cargo xtask lint`: formatting, clippy, crate dependencies, licences and sources of dependencies.

use crate::tally::Tally;
use crate::{arrows, shell, supply};

/// Runs all checks.
pub(crate) fn run() -> anyhow::Result<bool> {
    Ok(checks()?.conclude())
}

/// The same, counted.
pub(crate) fn checks() -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    shell::heading("formatting");
    tally.check(
        "formatting: fix with `cargo fmt --all`",
        shell::succeeds(&mut shell::cargo(&["fmt", "--all", "--check"]))?,
    );
    shell::heading("clippy");
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    tally.check("clippy", shell::succeeds(&mut shell::cargo(&clippy))?);
    shell::heading("arrows between crates");
    tally.check("arrows between crates", arrows::run()?);
    shell::heading("licences and sources of dependencies");
    tally.check("licences and sources of dependencies", supply::run()?);
    Ok(tally)
}
