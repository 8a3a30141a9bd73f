//! The binary `postrider`: an event platform that delivers a PIM's events, filtered, signed and paced, to whoever subscribed.

use std::process::ExitCode;

use clap::Parser;

mod cli;
mod commands;

mod config;
mod failure;
mod terminal;

mod http_client;
mod samples;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
