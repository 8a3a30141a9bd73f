//! The command line: one variant for each command, whose flags stand beside what it does in `commands`.

use clap::{Parser, Subcommand};

use crate::commands::{backup, client, config, demo, emit, filter, listen, pim, reseal, serve};

/// Takes in a PIM's events and delivers them, filtered, signed and paced, to everybody who subscribed.
#[derive(Parser, Debug)]
#[command(name = "postrider", version, max_term_width = 110, after_help = AFTER, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Start here:
  postrider demo                see it work: platform, receiver and a sample PIM in one terminal
  postrider serve               run the platform

Exit codes:
  0  it worked
  1  it failed
  2  the command line makes no sense
  3  the configuration is refused
  4  the data folder cannot be used (in use, its encryption key is missing, made by a newer version)";

/// What it can do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Pim(pim::PimArgs),
    Client(client::ClientArgs),
    Listen(listen::ListenArgs),
    Emit(emit::EmitArgs),
    Filter(filter::FilterArgs),
    Backup(backup::BackupArgs),
    Reseal(reseal::ResealArgs),
    Config(config::ConfigCommandArgs),
}

#[cfg(test)]
mod reference_page;
