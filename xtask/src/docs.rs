//! `cargo xtask docs`: writes the pages of `docs/` that are made from the code anew. Their tests compare them with it.

use crate::shell;

/// What the tests that make such a page have in their names.
const PAGES: &str = "reference_page";

/// Runs it.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut command = shell::cargo(&["test", "--locked", "--quiet", "--workspace"]);
    command.args(["--lib", "--bins", "--test", "docs", PAGES]).env("UPDATE_EXPECT", "1");
    shell::succeeds(&mut command)
}
