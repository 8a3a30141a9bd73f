//! The project's own commands: `cargo xtask test`, `lint`, `bench`, `arrows`, `lines`, `docs`, `sim`, `dist`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod arrows;
mod bench;
mod dist;
mod docs;
mod lines;
mod lint;
mod places;
mod sim;
mod supply;
mod test;

mod libtest;
mod shell;
mod source;
mod tally;
mod targets;

/// Postrider's own commands
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Test(test::TestArgs),
    /// Check formatting, clippy and crate dependencies: required for every commit
    Lint,
    Bench(bench::BenchArgs),
    /// Regenerate the pages of docs/ from the code
    Docs,
    /// Check the dependencies of crates, and where destination types are named
    Arrows,
    /// List the lines of source that are longer than 120 columns
    Lines,
    Sim(sim::SimArgs),
    Dist(dist::DistArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Lint => lint::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Docs => docs::run(),
        Command::Arrows => arrows::run(),
        Command::Lines => lines::run(),
        Command::Sim(args) => sim::run(&args),
        Command::Dist(args) => dist::run(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            shell::say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
