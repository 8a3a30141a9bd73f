//! `postrider backup`: a copy of the data folder.

use std::path::PathBuf;

use clap::Args;

use crate::config::ConfigArgs;
use crate::failure::{Exit, Failure};
use crate::{data, terminal};

/// Back up the data folder; the platform may be running
///
/// The copy contains everything acknowledged before the backup began: events, PIMs, subscribers, subscriptions, the
/// log. To restore it, copy it into an empty data folder. The encryption key is not included unless you pass
/// --with-key: with both, anyone can read the secrets.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider backup /var/backups/postrider/$(date +%F)
  postrider backup --with-key /mnt/safe/postrider-$(date +%F)")]
pub(crate) struct BackupArgs {
    /// Target folder; created if missing
    #[arg(value_name = "FOLDER")]
    to: PathBuf,

    /// Copy the key file as well
    #[arg(long)]
    with_key: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub(crate) fn run(args: &BackupArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let copy = data::back_up(&config, &args.to)?;
    terminal::line(format_args!("copied the database to {}", copy.database.display()));
    match (&copy.key_file, args.with_key) {
        (Some(file), true) => {
            let key = data::copy_key_file(file, &args.to)?;
            terminal::line(format_args!("copied the key file to {}", key.display()));
        }
        (Some(file), false) => terminal::note(format_args!(
            "the key file {} is not included; store a copy elsewhere: the backup cannot be used without it",
            file.display()
        )),
        (None, true) => {
            return Err(Failure::message(Exit::Failed, "the database was copied, but there is no key file to copy")
                .hint("the keys come from the setting `encryption.keys`; back them up with the configuration"));
        }
        (None, false) => terminal::note(
            "the keys from the setting `encryption.keys` are not included; the backup cannot be used without them",
        ),
    }
    Ok(())
}
