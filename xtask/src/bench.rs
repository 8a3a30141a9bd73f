//! `cargo xtask bench`: the benchmarks of the crates and of the whole.

use clap::Args;

use crate::shell;

/// Run the benchmarks
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Only those whose name contains this text
    #[arg(value_name = "TEXT")]
    only: Option<String>,
}

/// Crate and benchmark.
const BENCHMARKS: &[(&str, &str)] =
    &[("domain", "filter"), ("wire", "event"), ("store-sqlite", "append"), ("sinks", "deliveries")];

/// Runs them.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<bool> {
    let mut all = true;
    for (package, name) in BENCHMARKS {
        if args.only.as_ref().is_some_and(|only| !format!("{package}/{name}").contains(only.as_str())) {
            continue;
        }
        shell::heading(format_args!("{package}: {name}"));
        all &= shell::succeeds(&mut shell::cargo(&[
            "bench",
            "--locked",
            "--quiet",
            "--package",
            package,
            "--bench",
            name,
        ]))?;
    }
    Ok(all)
}
