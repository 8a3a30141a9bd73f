//! `postrider config`: the effective configuration, or the reference of all settings.

use clap::Args;

use crate::config::{self, ConfigArgs};
use crate::failure::Failure;
use crate::terminal;

/// Show the configuration in force, secrets masked, and where each value comes from
///
/// A configuration that `serve` would refuse is refused here in the same way, with exit code 3: use it to check a file
/// before you restart.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider config --config /etc/postrider/postrider.toml
  POSTRIDER_DELIVERY_RATE_HIGHEST=50 postrider config
  postrider config --reference > postrider.toml")]
pub(crate) struct ConfigCommandArgs {
    /// Print all settings with their documentation and defaults instead: a file to start from
    #[arg(long)]
    reference: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs it.
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
