//! `cargo xtask test`: everything that must be green, ending with one line of counts.

use clap::Args;

use crate::tally::Tally;
use crate::{libtest, lint, shell, sim};

/// Lints, all tests, and the further suites
///
/// Tests against brokers and clients of others fetch them into target/parts.
///
/// Ends with one line `N passed, N failed, N skipped`, after the reasons for whatever was skipped or left out.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Leave the long suites and the tests against brokers out, and make the load of the others small
    #[arg(long)]
    fast: bool,

    /// Only suites whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// A suite: a name, whether it is for full runs only, and how it runs.
struct Suite {
    name: &'static str,
    long: bool,
    run: fn(&TestArgs) -> anyhow::Result<Tally>,
}

/// All suites, in the order in which they run.
const SUITES: &[Suite] = &[
    Suite { name: "lint", long: false, run: |_| lint::checks() },
    Suite {
        name: "unit, integration and documentation tests",
        long: false,
        run: |args| libtest::cargo_test("tests", &["--workspace", "--exclude", "postrider"], parts(args)),
    },
    Suite {
        name: "unit tests of the binary",
        long: false,
        run: |_| libtest::cargo_test("tests of the binary", &["--package", "postrider", "--bins"], &[]),
    },
    Suite { name: "simulation", long: false, run: simulation },
    Suite { name: "end to end", long: false, run: end_to_end },
    Suite { name: "fuzz smoke", long: true, run: |_| fuzz_smoke() },
];

/// Runs it.
pub(crate) fn run(args: &TestArgs) -> anyhow::Result<bool> {
    let mut tally = Tally::default();
    for suite in SUITES {
        if args.only.as_ref().is_some_and(|only| !suite.name.contains(only.as_str())) {
            continue;
        }
        if suite.long && args.fast {
            tally.skip(suite.name, "a long suite, left out by --fast");
            continue;
        }
        shell::heading(suite.name);
        tally.add((suite.run)(args)?);
    }
    if shell::in_ci() {
        tally.judge_for_ci();
    }
    Ok(tally.conclude())
}

/// Brokers and clients of others take seconds to start, and minutes to fetch the first time.
fn parts(args: &TestArgs) -> &'static [(&'static str, &'static str)] {
    if args.fast { &[("POSTRIDER_PARTS", "none")] } else { &[] }
}

/// Random worlds under virtual time; a failure names its seed, which plays the same world again.
fn simulation(args: &TestArgs) -> anyhow::Result<Tally> {
    let seeds = if args.fast { "1000" } else { "10000" };
    let mut tally = Tally::default();
    tally.check(&format!("simulation of {seeds} worlds"), sim::play(&["--seeds", seeds])?);
    Ok(tally)
}

/// The real binary from outside, the documentation and the integration examples. One test at a time: they measure latencies and memory.
fn end_to_end(args: &TestArgs) -> anyhow::Result<Tally> {
    let size = if args.fast { "small" } else { "full" };
    let flags = ["--package", "postrider", "--test", "*", "--", "--test-threads=1"];
    let environment = [&[("POSTRIDER_E2E", size)], parts(args)].concat();
    libtest::talkative_cargo_test("end to end", &flags, &environment)
}

/// Seconds for each fuzz target: enough to find what is plainly broken.
const FUZZ_SECONDS: &str = "-max_total_time=10";

fn fuzz_smoke() -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let manifest = shell::root().join("fuzz/Cargo.toml");
    if !manifest.is_file() {
        tally.skip("fuzz smoke", "there are no fuzz targets");
        return Ok(tally);
    }
    let tools = shell::root().join("target/tools");
    let fuzz = tools.join("bin/cargo-fuzz");
    if !fuzz.is_file() {
        let folder = tools.to_string_lossy().into_owned();
        let install = ["install", "cargo-fuzz", "--locked", "--quiet", "--root", &folder];
        if !shell::succeeds(&mut shell::cargo(&install))? {
            tally.skip("fuzz smoke", "cargo-fuzz could not be installed");
            return Ok(tally);
        }
    }
    let list = std::process::Command::new(&fuzz).args(["fuzz", "list"]).current_dir(shell::root()).output()?;
    for target in String::from_utf8_lossy(&list.stdout).lines() {
        shell::heading(format_args!("fuzz {target}"));
        // Without sanitizers it runs on the stable toolchain.
        let mut command = std::process::Command::new(&fuzz);
        command.args(["fuzz", "run", "-s", "none", target, "--", FUZZ_SECONDS]).current_dir(shell::root());
        tally.check(&format!("fuzz target {target}"), shell::succeeds(&mut command)?);
    }
    Ok(tally)
}
