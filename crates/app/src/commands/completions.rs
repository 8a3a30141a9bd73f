//! `postrider completions`: completion scripts for shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::terminal;

/// Print the completion script of a shell
///
/// The Debian package installs the scripts of bash, fish and zsh.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider completions bash > /etc/bash_completion.d/postrider
  postrider completions zsh > ~/.zfunc/_postrider")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs it.
pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "postrider", &mut script);
    terminal::line(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
