//! `postrider pim`: registers the PIMs that may send events and whose clients may call the API.

mod add;
mod events_api;
mod list;

use std::sync::Arc;

use clap::{Args, Subcommand};
use domain::pim::{Origin, Pim, is_name};
use domain::{Clock, Secret, Timestamp};
use store::{Backend, ChangeError, edit_pim};

use crate::config::{Config, ConfigArgs};
use crate::failure::{Exit, Failure};
use crate::terminal::{self, BOLD, styled};
use crate::{data, registration};

/// Register PIMs and manage their producer keys
///
/// Works on the data folder, also while `postrider serve` runs; changes apply from the next request. Run it as the
/// service's user and with its configuration, such as `sudo -u postrider postrider pim list --config
/// /etc/postrider/postrider.toml`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider pim add main --url https://pim.example.com
  postrider pim add shop --url https://pim.example.com --token-check system-information --events-api
  postrider client token add shop my_app
  postrider pim check shop
  postrider pim add dev --url http://127.0.0.1:8081 --token-check static --static-token my_app=my_token
  postrider pim rotate-key main
  postrider pim rename main shop")]
pub(crate) struct PimArgs {
    #[command(subcommand)]
    command: PimCommand,
}

#[derive(Subcommand, Debug)]
enum PimCommand {
    Add(add::AddArgs),
    List(list::ListArgs),
    RotateKey(RotateArgs),
    Rename(RenameArgs),
    Remove(RemoveArgs),
    EventsApi(events_api::EventsApiArgs),
    Check(events_api::CheckArgs),
}

/// Create a new producer key for a PIM
///
/// The newest old key stays valid so that producers can be switched one by one. Afterwards, run the command again with
/// --drop-old.
#[derive(Args, Debug)]
struct RotateArgs {
    /// Name of the PIM
    name: String,

    /// Revoke old keys immediately
    #[arg(long)]
    drop_old: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Rename a PIM
///
/// Its keys, subscribers and subscriptions are kept. If the configuration file contains the PIM, change the name there
/// as well before the next start. The URL of its Events API contains the name: paste the new URL into the PIM.
#[derive(Args, Debug)]
struct RenameArgs {
    /// Name of the PIM
    name: String,

    /// New name: lower-case letters, digits and `-`
    new_name: String,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Remove a PIM: revokes its keys, subscribers and subscriptions
#[derive(Args, Debug)]
struct RemoveArgs {
    /// Name of the PIM
    name: String,

    /// Confirm the removal; without this flag the command only prints a warning
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Warning wherever the header is trusted.
const TRUSTS: &str = "any token of this PIM can act as any of its clients: clients are not separated from each other";

/// Runs the command.
pub(crate) fn run(args: PimArgs) -> Result<(), Failure> {
    super::block_on(async {
        match args.command {
            PimCommand::Add(args) => add::add(args).await,
            PimCommand::List(args) => list::list(&args).await,
            PimCommand::RotateKey(args) => rotate_key(&args).await,
            PimCommand::Rename(args) => rename(&args).await,
            PimCommand::Remove(args) => remove(&args).await,
            PimCommand::EventsApi(args) => events_api::set(&args).await,
            PimCommand::Check(args) => events_api::check(&args).await,
        }
    })
}

pub(super) async fn open(config: &ConfigArgs) -> Result<(Config, Arc<dyn Backend>), Failure> {
    let config = config.load()?;
    let store = data::open_beside(&config).await?;
    Ok((config, store))
}

fn must_be_a_name(name: &str) -> Result<(), Failure> {
    if is_name(name) {
        return Ok(());
    }
    Err(Failure::message(Exit::Usage, format!("invalid PIM name {name:?}"))
        .hint("1 to 63 lower-case letters, digits and `-`, starting with a letter or digit"))
}

pub(super) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

async fn rotate_key(args: &RotateArgs) -> Result<(), Failure> {
    let (_, store) = open(&args.config).await?;
    let pim = find(&*store, &args.name).await?;
    let (key, kept) = registration::new_key()?;
    edit_pim(&*store, pim.id, |pim| -> Result<(), ChangeError> {
        let newest_old = pim.keys.iter().max_by_key(|key| key.created_at).cloned();
        pim.keys = newest_old.filter(|_| !args.drop_old).into_iter().chain([kept.clone()]).collect();
        Ok(())
    })
    .await
    .map_err(cannot_change)?;
    show_once(&key);
    Ok(())
}

async fn rename(args: &RenameArgs) -> Result<(), Failure> {
    must_be_a_name(&args.new_name)?;
    let (_, store) = open(&args.config).await?;
    let pim = find(&*store, &args.name).await?;
    let renamed = edit_pim(&*store, pim.id, |pim| -> Result<(), ChangeError> {
        pim.name.clone_from(&args.new_name);
        Ok(())
    })
    .await
    .map_err(cannot_change)?;
    terminal::note(format_args!("renamed PIM {} to {}", pim.name, styled(BOLD, &renamed.name)));
    if renamed.provenance.pim == Origin::Configuration {
        terminal::note("change the name in the configuration file as well before the next start");
    }
    if renamed.events_api_secret.is_some() {
        terminal::note(format_args!("its Events API has a new URL: see `postrider pim check {}`", renamed.name));
    }
    Ok(())
}

async fn remove(args: &RemoveArgs) -> Result<(), Failure> {
    let (_, store) = open(&args.config).await?;
    let pim = find(&*store, &args.name).await?;
    if !args.yes {
        return Err(Failure::message(
            Exit::Failed,
            format!("removing {:?} permanently revokes its keys, subscribers and subscriptions", pim.name),
        )
        .hint("confirm with --yes"));
    }
    store.remove_pim(pim.id, Clock::system().wall()).await.map_err(cannot_change)?;
    terminal::note(format_args!("removed PIM {}", pim.name));
    Ok(())
}

pub(super) async fn find(store: &dyn Backend, name: &str) -> Result<Pim, Failure> {
    let pims = store.all_pims().await.map_err(anyhow::Error::from)?;
    let names: Vec<_> = pims.iter().map(|pim| pim.name.clone()).collect();
    pims.into_iter().find(|pim| pim.name == name).ok_or_else(|| {
        let failure = Failure::message(Exit::Failed, format!("no PIM is registered with the name {name:?}"));
        match domain::nearest::nearest(name, names.iter().map(String::as_str)) {
            Some(meant) => failure.hint(format!("did you mean {meant:?}?")),
            None => failure.hint("`postrider pim list` shows the registered ones"),
        }
    })
}

/// The key alone on standard output, for use in scripts.
fn show_once(key: &Secret) {
    terminal::note("producer key, shown only once:");
    terminal::line(key.expose());
}

pub(super) fn cannot_change(error: ChangeError) -> Failure {
    let taken = matches!(error, ChangeError::Taken { .. });
    let failure = Failure::new(Exit::Failed, error);
    if taken { failure.hint("`postrider pim list` shows the registered ones") } else { failure }
}
