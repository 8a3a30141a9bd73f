//! `cargo xtask bench`: measures the platform as a whole against the ceilings of the machine, and runs the benchmarks
//! of all crates.

use clap::Args;

use crate::shell;
use crate::targets::{self, Target};

/// Measure the platform as a whole, and run the benchmarks of the crates
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Only those whose `crate/name` contains this text; `platform` is the platform as a whole, `fairness` that
    /// measurement of it and the costs of requests by size
    #[arg(value_name = "TEXT")]
    only: Option<String>,
    /// Only the platform as a whole, in about a minute
    #[arg(long)]
    quick: bool,
}

/// Runs them sequentially, because they share the machine's cores.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<bool> {
    let wanted = |title: &str| args.only.as_ref().is_none_or(|only| title.contains(only.as_str()));
    let mut all = true;
    let fairness = args.only.as_deref() == Some("fairness");
    if wanted("platform") || fairness {
        all &= platform(args.quick, fairness)?;
    }
    let benchmarks = if args.quick { Vec::new() } else { targets::of_kind("bench")? };
    for Target { package, name } in benchmarks {
        let title = format!("{package}/{name}");
        let is_part_of_it = fairness && title == "intake/linear";
        if !wanted(&title) && !is_part_of_it {
            continue;
        }
        shell::heading(&title);
        // One selection of features for all: their dependencies are built once.
        let command = ["bench", "--locked", "--quiet", "--workspace", "--bench", &name];
        all &= shell::succeeds(&mut shell::cargo(&command))?;
    }
    Ok(all)
}

/// Builds the real program and measures it, all or only how fair it is.
fn platform(quick: bool, fairness: bool) -> anyhow::Result<bool> {
    shell::heading("platform");
    let build = ["build", "--locked", "--release", "--package", "postrider", "--package", "bench"];
    if !shell::succeeds(&mut shell::cargo(&build))? {
        return Ok(false);
    }
    let mut run = shell::cargo(&["run", "--locked", "--release", "--quiet", "--package", "bench", "--"]);
    if quick {
        run.arg("--quick");
    }
    if fairness {
        run.args(["--only", "fairness"]);
    }
    shell::succeeds(&mut run)
}
