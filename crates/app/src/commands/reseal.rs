//! `postrider reseal`: the second step of changing the key that secrets are sealed with.

use clap::Args;

use crate::config::ConfigArgs;
use crate::failure::Failure;
use crate::{data, terminal};

/// Seal all stored secrets with the first encryption key, so that older keys can go
///
/// To change the key: put a new one first, in the key file or in `encryption.keys`, and leave the old one behind it; restart `serve`; run this, which
/// works while it runs; take the old key out. Backups from before still need the old key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider reseal --config /etc/postrider/postrider.toml")]
pub(crate) struct ResealArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs it.
pub(crate) fn run(args: &ResealArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    super::block_on(async {
        let count = data::open_beside(&config)?.reseal().await.map_err(anyhow::Error::from)?;
        terminal::line(match count {
            0 => "everything is sealed with the first key already".to_owned(),
            1 => "sealed one record with the first key".to_owned(),
            count => format!("sealed {count} records with the first key"),
        });
        Ok(())
    })
}
