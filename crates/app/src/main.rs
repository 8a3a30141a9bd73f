//! The binary `postrider`: an event platform that delivers a PIM's events to subscribers: filtered, signed and
//! rate-limited.

use std::process::ExitCode;

use clap::Parser;

mod cli;
mod commands;

mod config;
mod failure;
mod terminal;
mod traces;

mod asking;
mod console_parts;
mod data;
mod database;
mod destinations;
mod egress;
mod hardening;
mod log;
mod members;
mod metrics;
mod neighbours;
mod notifications;
mod nudging;
mod owners;
mod pim_attributes;
mod pim_client;
mod pim_entities;
mod pim_gateway;
mod platform;
mod registration;
mod running;
mod shards;
mod test_delivery;
mod tuning;
mod upkeep;
mod vault;

mod http_client;
mod receiver;
mod samples;
mod secret_input;
mod signals;

/// Configured in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
