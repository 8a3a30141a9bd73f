//! `postrider config`: the effective configuration, or the reference of all settings.

use clap::Args;

use crate::config::{self, ConfigArgs};
use crate::failure::Failure;
use crate::terminal;

/// Print the effective configuration with the origin of each value
///
/// Secrets are masked. A configuration that `serve` would reject is rejected in the same way, with exit code 3: use
/// this command to check a file before a restart.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider config --config /etc/postrider/postrider.toml
  POSTRIDER_DELIVERY_RATE_HIGHEST=50 postrider config
  postrider config --reference > postrider.toml")]
pub(crate) struct ConfigCommandArgs {
    /// Print all settings with their documentation and defaults instead, as a template
    #[arg(long)]
    reference: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub(crate) fn run(args: ConfigCommandArgs) -> Result<(), Failure> {
    if args.reference {
        terminal::line(config::reference().trim_end());
        return Ok(());
    }
    let config = args.config.load()?;
    for warning in &config.warnings {
        terminal::note(format_args!("warning: {warning}"));
    }
    terminal::line(config.effective().trim_end());
    Ok(())
}
