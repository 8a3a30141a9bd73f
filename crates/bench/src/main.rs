//! Measures the platform as a whole: the real `postrider serve` with producers and receivers on the same machine, each
//! figure compared with the ceiling that the same machine reaches in the same run without a platform.
//!
//! Reading order: the extent of a run ([`plan`]), the result of a measurement ([`table`]), what it is compared with
//! ([`recorded`]), the participants ([`sample`], [`tls`], [`client`], [`producer`], [`receiver`], [`topic`], [`kafka`],
//! [`pubsub`], [`delay`], [`database`], [`platform`], [`catalogue`]), the ceilings ([`ceiling`]), and the measurements
//! ([`measure`]).

mod plan;
mod recorded;
mod table;

mod catalogue;
mod client;
mod database;
mod delay;
mod kafka;
mod platform;
mod producer;
mod pubsub;
mod receiver;
mod sample;
mod tls;
mod topic;

mod ceiling;
mod measure;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use crate::plan::Plan;
use crate::recorded::Recorded;
use crate::table::Table;

/// Measure the platform against the ceilings of the machine
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    /// Run for about a minute: fewer and shorter rounds
    #[arg(long)]
    quick: bool,
    /// Only measurements whose name contains this text: ingest, delivery, fan-out, https, backlog, restart, filters,
    /// traces, kafka, pubsub, latency, postgres, cluster, fairness, storage, idle, flat, console
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
    /// Only count instructions per event, with valgrind; fails if a count is more than 5 % above the recorded one
    #[arg(long)]
    check: bool,
    /// Only run at full speed for this many minutes
    #[arg(long, value_name = "MINUTES", conflicts_with = "check")]
    soak: Option<u32>,
    /// With `--check`: record the counts
    #[arg(long, requires = "check")]
    record: bool,
}

fn main() -> anyhow::Result<ExitCode> {
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
    if cli.check {
        let mut recorded = Recorded::read()?;
        runtime.block_on(measure::instructions(&plan, &mut table, &mut recorded))?;
        if cli.record {
            recorded.write()?;
            return Ok(ExitCode::SUCCESS);
        }
        return Ok(if table.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if let Some(minutes) = cli.soak {
        runtime.block_on(measure::soak(&plan, minutes, &mut table))?;
        return Ok(if table.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    runtime.block_on(measure::all(&plan, cli.only.as_deref().unwrap_or(""), &mut table))?;
    table.end();
    Ok(ExitCode::SUCCESS)
}
