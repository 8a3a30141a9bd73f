//! `postrider completions`: completion scripts for shells.

use clap::{Args, Command};
use clap_complete::Shell;

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

/// Prints the script for a command line.
pub(crate) fn run(args: &CompletionsArgs, mut cli: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "postrider", &mut script);
    terminal::line(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
