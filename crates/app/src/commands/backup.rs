//! `postrider backup`: a copy of the data folder, also while the platform runs.

use std::path::PathBuf;

use clap::Args;

use crate::config::ConfigArgs;
use crate::failure::{Exit, Failure};
use crate::{data, terminal};

/// Copy the data folder, also while the platform runs
///
/// The copy holds all that was acknowledged before it began: events, PIMs, subscribers, subscriptions, the log. Restoring it is copying it into an
/// empty data folder. The key that its secrets are sealed with is not in it, unless --with-key says so: whoever has both can read the secrets.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider backup /var/backups/postrider/$(date +%F)
  postrider backup --with-key /mnt/safe/postrider-$(date +%F)")]
pub(crate) struct BackupArgs {
    /// The folder that the copy is put in; made if it is not there
    #[arg(value_name = "FOLDER")]
    to: PathBuf,

    /// Copy the key file as well
    #[arg(long)]
    with_key: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs it.
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
            "the key file {} is not in it; keep a copy of it elsewhere: without it the backup cannot be used",
            file.display()
        )),
        (None, true) => {
            return Err(Failure::message(Exit::Failed, "there is no key file to copy, the database was copied").hint(
                "the keys are those of the setting `encryption.keys`; keep them where the configuration is kept",
            ));
        }
        (None, false) => terminal::note(
            "the keys of the setting `encryption.keys` are not in it; without them the backup cannot be used",
        ),
    }
    Ok(())
}
