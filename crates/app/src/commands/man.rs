//! `postrider man`: manual pages, generated from the command line's own help.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};

use crate::failure::Failure;

/// Write the manual pages into a folder
///
/// One page per command, in section 1. The Debian package installs them.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  postrider man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Output folder; created if missing
    #[arg(value_name = "FOLDER")]
    to: PathBuf,
}

/// Writes the pages of a command line.
pub(crate) fn run(args: &ManArgs, cli: Command) -> Result<(), Failure> {
    fs::create_dir_all(&args.to)
        .and_then(|()| clap_mangen::generate_to(cli, &args.to))
        .with_context(|| format!("cannot write the manual pages into {}", args.to.display()))?;
    Ok(())
}
