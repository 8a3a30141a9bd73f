//! `cargo xtask bench`: measures the platform as a whole against the ceilings of the machine, and runs the benchmarks
//! of all crates.

use std::process::Command;

use clap::Args;

use crate::shell;
use crate::targets::{self, Target};

/// Measure the platform as a whole, and run the benchmarks of the crates
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Only those whose `crate/name` contains this text; `platform` is the platform as a whole, `cluster`, `console`
    /// and `postgres` are these measurements of it, `fairness` that one and the costs of requests by size, `soak` the
    /// platform at full speed for long
    #[arg(value_name = "TEXT")]
    only: Option<String>,
    /// Only the platform as a whole, in about a minute
    #[arg(long)]
    quick: bool,
    /// Only count the platform's instructions per event, with valgrind; fails if a count is more than 5 % above the
    /// recorded one (crates/bench/instructions.txt)
    #[arg(long, conflicts_with_all = ["only", "quick"])]
    check: bool,
    /// Duration of `soak`
    #[arg(long, default_value_t = 30)]
    minutes: u32,
    /// With `--check`: record the counts
    #[arg(long, requires = "check")]
    record: bool,
}

/// Profile of what is measured: as it is shipped.
const PROFILE: &str = "shipped";
/// Measurements of the platform that can be run on their own.
const PARTS: [&str; 4] = ["cluster", "console", "fairness", "postgres"];

/// Runs them sequentially, because they share the machine's cores.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<bool> {
    if args.check {
        return platform(if args.record { &["--check", "--record"] } else { &["--check"] });
    }
    if args.only.as_deref() == Some("soak") {
        return platform(&["--soak", &args.minutes.to_string()]);
    }
    let wanted = |title: &str| args.only.as_ref().is_none_or(|only| title.contains(only.as_str()));
    let mut all = true;
    let part = args.only.as_deref().filter(|only| PARTS.contains(only));
    if wanted("platform") || part.is_some() {
        let quick = args.quick.then_some("--quick");
        let only = part.map(|part| ["--only", part]);
        all &= platform(&quick.into_iter().chain(only.into_iter().flatten()).collect::<Vec<_>>())?;
    }
    let benchmarks = if args.quick { Vec::new() } else { targets::of_kind("bench")? };
    for Target { package, name } in benchmarks {
        let title = format!("{package}/{name}");
        let is_part_of_it = part == Some("fairness") && title == "intake/linear";
        if !wanted(&title) && !is_part_of_it {
            continue;
        }
        shell::heading(&title);
        // One selection of features for all: their dependencies are built once.
        let command = ["bench", "--locked", "--quiet", "--profile", PROFILE, "--workspace", "--bench", &name];
        all &= shell::succeeds(&mut shell::cargo(&command))?;
    }
    Ok(all)
}

/// Builds the real program and measures it.
fn platform(options: &[&str]) -> anyhow::Result<bool> {
    shell::heading("platform");
    let build = ["build", "--locked", "--profile", PROFILE, "--package", "postrider", "--package", "bench"];
    if !shell::succeeds(&mut shell::cargo(&build))? {
        return Ok(false);
    }
    shell::succeeds(Command::new(shell::built_as(PROFILE, "bench")).args(options))
}
