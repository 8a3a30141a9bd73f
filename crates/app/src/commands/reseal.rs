//! `postrider reseal`: the second step of an encryption key rotation.

use clap::Args;

use crate::config::ConfigArgs;
use crate::failure::Failure;
use crate::{data, terminal};

/// Re-encrypt all stored secrets with the first encryption key
///
/// To rotate the key: add the new key before the old one, in the key file or in `encryption.keys`; restart `serve`; run
/// this command while it runs; then remove the old key. Older backups still need the old key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider reseal --config /etc/postrider/postrider.toml")]
pub(crate) struct ResealArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub(crate) fn run(args: &ResealArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    super::block_on(async {
        let count = data::open_beside(&config).await?.reseal().await.map_err(anyhow::Error::from)?;
        terminal::line(match count {
            0 => "all secrets are already encrypted with the first key".to_owned(),
            1 => "re-encrypted 1 record with the first key".to_owned(),
            count => format!("re-encrypted {count} records with the first key"),
        });
        Ok(())
    })
}
