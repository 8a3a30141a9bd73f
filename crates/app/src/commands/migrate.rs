//! `postrider migrate`: moves a platform from the data folder to a database.

use clap::Args;
use domain::Secret;
use store::moving::{FRAMES, IDS, Row, TABLES, Table};
use store_postgres::moving::{Destination, Progress};
use store_sqlite::moving::{Source, Whereabouts};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::config::value::Backend;
use crate::config::{Config, ConfigArgs};
use crate::failure::{Exit, Failure};
use crate::{data, database, terminal};

/// Chunks on their way.
const CHUNKS: usize = 4;

/// Move the platform's data from the data folder to PostgreSQL
///
/// Moves everything: events, also undelivered and held ones, registrations, subscriptions with their progress, logs,
/// product states, replays. Stop `postrider serve` first. If the command is interrupted, run it again: it continues.
/// Until it is complete, neither side can be served; afterwards, only the database. The file is kept unchanged, except
/// for a mark. Use the same encryption keys on both sides.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider migrate --to postgres://postrider@db.example.com/postrider --store-password-file /run/secrets/password
  postrider migrate --cancel")]
pub(crate) struct MigrateArgs {
    /// URL of an empty database, as in `store.url`
    #[arg(long, value_name = "URL", required_unless_present = "cancel")]
    to: Option<String>,

    /// Give up a move that is not complete: the data folder can be served again
    #[arg(long, conflicts_with = "to")]
    cancel: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub(crate) fn run(args: &MigrateArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    match &args.to {
        Some(url) => super::block_on(migrate(config, url)),
        None => cancel(&config),
    }
}

fn source(config: &Config) -> Result<Source, Failure> {
    let folder = &config.settings.top.data_dir;
    if !store_sqlite::has_database(folder) {
        let message = format!("{} is not a data folder: it contains no database", folder.display());
        return Err(Failure::message(Exit::Data, message).hint("specify the platform's folder with --data-dir"));
    }
    Source::open(folder).map_err(|error| {
        Failure::new(Exit::Data, error).hint("stop `postrider serve` first: data that change cannot be moved")
    })
}

fn failed(error: impl Into<anyhow::Error>) -> Failure {
    Failure::new(Exit::Data, error)
}

fn cancel(config: &Config) -> Result<(), Failure> {
    let source = source(config)?;
    match source.whereabouts().map_err(failed)? {
        Whereabouts::Here => terminal::note("nothing is being moved"),
        Whereabouts::Moving(_) => {
            source.mark(&Whereabouts::Here).map_err(failed)?;
            terminal::note("gave the move up; drop the incomplete database before another one");
        }
        Whereabouts::Moved(to) => {
            let message = format!("the data were moved to the database {to} completely");
            return Err(Failure::message(Exit::Data, message));
        }
    }
    Ok(())
}

async fn migrate(mut config: Config, url: &str) -> Result<(), Failure> {
    let source = source(&config)?;
    let vault = data::session_vault(&config)?;
    config.settings.store.backend = Backend::Postgres;
    config.settings.store.url = Some(Secret::new(url));
    let destination = database::destination(&config, vault).await?;
    let id = match source.whereabouts().map_err(failed)? {
        Whereabouts::Here => Uuid::now_v7(),
        Whereabouts::Moving(id) => id,
        Whereabouts::Moved(to) => {
            terminal::note(format_args!("the data were moved to the database {to} already"));
            return Ok(());
        }
    };
    let whole = source.whole().map_err(failed)?;
    if destination.progress(id).await.map_err(failed)? != Progress::Complete {
        // In this order: at any moment at most one side can be served.
        source.mark(&Whereabouts::Moving(id)).map_err(failed)?;
        destination.begin(id, &whole).await.map_err(failed)?;
        let source = copy(source, &destination).await?;
        destination.complete(&whole).await.map_err(failed)?;
        return done(&source, &destination);
    }
    done(&source, &destination)
}

fn done(source: &Source, destination: &Destination) -> Result<(), Failure> {
    source.mark(&Whereabouts::Moved(destination.name().to_owned())).map_err(failed)?;
    terminal::note(format_args!(
        "the platform is in the database {} now; set store.backend = \"postgres\" and store.url before the next start",
        destination.name()
    ));
    Ok(())
}

/// Copies all rows, and checks that they are there.
async fn copy(mut source: Source, destination: &Destination) -> Result<Source, Failure> {
    for table in TABLES.into_iter().chain([IDS, FRAMES]) {
        let from = if table.name == FRAMES.name { destination.reached().await.map_err(failed)? } else { 0 };
        let (rows, mut received) = mpsc::channel(CHUNKS);
        let sending = tokio::task::spawn_blocking(move || {
            let sent = source.send(table, from, &rows);
            (source, sent)
        });
        let mut stored = Ok(());
        while let Some(chunk) = received.recv().await {
            stored = store(destination, table, &chunk).await;
            if stored.is_err() {
                break;
            }
        }
        drop(received);
        let (back, sent) = sending.await.map_err(|error| failed(anyhow::Error::from(error)))?;
        source = back;
        stored?;
        let sent = sent.map_err(failed)?;
        let there = destination.count(table).await.map_err(failed)?;
        // Some ids are in the file twice; rows of frames that were here before are not sent again.
        if there < sent && table.name != IDS.name {
            let message = format!("only {there} of {sent} rows of {} have arrived", table.name);
            return Err(Failure::message(Exit::Data, message).hint("run the command again"));
        }
        if there > 0 {
            terminal::line(format_args!("{}: {there}", table.name));
        }
    }
    Ok(source)
}

async fn store(destination: &Destination, table: Table, rows: &[Row]) -> Result<(), Failure> {
    destination.put(table, rows).await.map_err(failed)
}
