//! `cargo xtask docs`: regenerates the pages of `docs/` from the code. Their tests compare them with it.

use crate::shell;

/// Common part of the names of tests that generate a page.
const PAGES: &str = "reference_page";

/// Runs the command.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut command = shell::cargo(&["test", "--locked", "--quiet", "--workspace"]);
    command.args(["--lib", "--bins", "--test", "docs", "--test", "browser", PAGES]).env("UPDATE_EXPECT", "1");
    shell::succeeds(&mut command)
}
