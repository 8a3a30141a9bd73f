//! Measures the platform as a whole: the real `postrider serve` with producers and receivers on the same machine, each
//! figure compared with the ceiling that the same machine reaches in the same run without a platform.
//!
//! Reading order: the extent of a run ([`plan`]), the result of a measurement ([`table`]), the participants
//! ([`sample`], [`client`], [`producer`], [`receiver`], [`topic`], [`kafka`], [`pubsub`], [`platform`],
//! [`catalogue`]), the ceilings ([`ceiling`]), and the measurements ([`measure`]).

mod plan;
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

use crate::plan::Plan;
use crate::table::Table;

/// Measure the platform against the ceilings of the machine
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    /// Run for about a minute: fewer and shorter rounds
    #[arg(long)]
    quick: bool,
    /// Only measurements whose name contains this text: ingest, delivery, fan-out, kafka, pubsub, latency, fairness,
    /// storage, idle, flat
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Program to measure [default: the `postrider` next to this one]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Folder on the disk to measure [default: the folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Duration of each round in seconds
    #[arg(long)]
    seconds: Option<f64>,
    /// Number of rounds; the median counts
    #[arg(long)]
    rounds: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let beside = std::env::current_exe().context("the path of this program is unknown")?.with_file_name("postrider");
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
