//! Measures the platform as a whole: the real `postrider serve`, with producers and receivers beside it on the same machine, and
//! each figure beside the ceiling that the same machine reaches in the same run without a platform.
//!
//! Reading order: what is said of a figure ([`table`]), the parts that play ([`sample`], [`client`], [`producer`], [`receiver`], [`topic`], [`kafka`], [`pubsub`],
//! [`platform`], [`catalogue`]), the ceilings ([`ceiling`]), and the measurements ([`measure`]).

mod table;

mod catalogue;
mod client;
mod kafka;
mod platform;
mod producer;
mod pubsub;
mod receiver;
mod sample;
mod topic;

mod ceiling;
mod measure;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use crate::measure::Plan;
use crate::table::Table;

/// Measure the platform beside what the machine can do without it
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    /// A run of about a minute: fewer and shorter rounds
    #[arg(long)]
    quick: bool,
    /// Only measurements whose name contains this text: ingest, delivery, fan-out, kafka, pubsub, latency, fairness, storage, idle, flat
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The program that is measured; by default the `postrider` beside this one
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// A folder on the disk that is measured; by default the one for temporary files
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Seconds of each round
    #[arg(long)]
    seconds: Option<f64>,
    /// Rounds, of which the median counts
    #[arg(long)]
    rounds: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let beside = std::env::current_exe().context("this program does not know where it is")?.with_file_name("postrider");
    let plan = Plan {
        server: cli.server.unwrap_or(beside),
        folder: cli.folder.unwrap_or_else(std::env::temp_dir),
        round: Duration::from_secs_f64(cli.seconds.unwrap_or(if cli.quick { 1.0 } else { 3.0 })),
        rounds: cli.rounds.unwrap_or(if cli.quick { 2 } else { 5 }).max(1),
        quick: cli.quick,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut table = Table::start(&plan);
    runtime.block_on(measure::all(&plan, cli.only.as_deref().unwrap_or(""), &mut table))?;
    table.end();
    Ok(())
}
