//! The commands, one file each.

mod account;
pub(crate) mod backup;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod emit;
pub(crate) mod events;
pub(crate) mod filter;
pub(crate) mod health;
pub(crate) mod listen;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod openapi;
pub(crate) mod pim;
pub(crate) mod replay;
pub(crate) mod reseal;
pub(crate) mod serve;
pub(crate) mod test;

use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Runs the given command.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Pim(args) => pim::run(args),
        Command::Client(args) => client::run(&args),
        Command::Listen(args) => listen::run(args),
        Command::Emit(args) => emit::run(args),
        Command::Events(args) => events::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Test(args) => test::run(&args),
        Command::Filter(args) => filter::run(args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Reseal(args) => reseal::run(&args),
        Command::Config(args) => config::run(args),
        Command::Health(args) => health::run(&args),
        Command::OpenApi(args) => openapi::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
    }
}

/// Runs the asynchronous part of a command.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(crate::failure::Exit::Failed, error))?
        .block_on(work)
}
