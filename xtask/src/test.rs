//! `cargo xtask test`: everything that must be green, ending with one line of counts.

use std::time::Instant;

use anyhow::{anyhow, bail};
use clap::Args;

use crate::tally::Tally;
use crate::targets::{self, Target};
use crate::{libtest, lint, shell};

/// Run lints, all tests, and the further suites
///
/// Tests with third-party brokers and clients download them to target/parts.
///
/// Ends with one line `N passed, N failed, N skipped`, after the reasons of everything skipped.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Skip the long suites and the tests with brokers, and reduce the load of the others
    #[arg(long)]
    fast: bool,

    /// Only suites whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// A suite: its name, whether it is for full runs only, and its function.
struct Suite {
    name: &'static str,
    long: bool,
    run: fn(&TestArgs) -> anyhow::Result<Tally>,
}

/// All suites, in the order in which they run.
const SUITES: &[Suite] = &[
    Suite { name: "lint", long: false, run: |_| lint::checks() },
    Suite { name: "unit and integration tests", long: false, run: unit_and_integration },
    Suite {
        name: "documentation tests",
        long: false,
        run: |_| libtest::cargo_test("documentation tests", &["--workspace", "--doc"], &[]),
    },
    Suite { name: "simulation, beside what mostly waits", long: false, run: simulation_beside_others },
    Suite { name: "end to end", long: false, run: end_to_end },
    Suite { name: "end to end on PostgreSQL", long: true, run: |_| end_to_end_on_postgres() },
    Suite { name: "fuzz smoke", long: true, run: |_| fuzz_smoke() },
];

/// Runs the command.
pub(crate) fn run(args: &TestArgs) -> anyhow::Result<bool> {
    let (mut tally, mut times) = (Tally::default(), Vec::new());
    for suite in SUITES {
        if args.only.as_ref().is_some_and(|only| !suite.name.contains(only.as_str())) {
            continue;
        }
        if suite.long && args.fast {
            tally.skip(suite.name, "a long suite, skipped by --fast");
            continue;
        }
        shell::heading(suite.name);
        let began = Instant::now();
        tally.add((suite.run)(args)?);
        times.push(format!("{} {} s", suite.name, began.elapsed().as_secs()));
    }
    shell::say(format_args!("\nwith builds: {}", times.join(", ")));
    if shell::in_ci() {
        tally.judge_for_ci();
    }
    Ok(tally.conclude())
}

/// Third-party brokers and clients take seconds to start, and minutes to download the first time.
fn parts(args: &TestArgs) -> &'static [(&'static str, &'static str)] {
    if args.fast { &[("POSTRIDER_PARTS", "none")] } else { &[] }
}

/// The package with the binary, whose test programs run it.
const BINARY: &str = "postrider";

/// Names of the test programs of the binary, or of all other packages.
fn programs(of_binary: bool) -> anyhow::Result<Vec<String>> {
    let (of, others): (Vec<Target>, Vec<Target>) =
        targets::of_kind("test")?.into_iter().partition(|target| (target.package == BINARY) == of_binary);
    if let Some(twice) = of.iter().find(|target| others.iter().any(|other| other.name == target.name)) {
        bail!("two test programs are named {}; cargo selects by name, so rename one", twice.name);
    }
    Ok(of.into_iter().map(|target| target.name).collect())
}

/// Flags of `cargo test` for these test programs. All suites select the whole workspace: another selection has other
/// features, and compiles half of the dependencies a second time.
fn selected(programs: &[String]) -> Vec<String> {
    let named = programs.iter().flat_map(|name| ["--test".to_owned(), name.clone()]);
    std::iter::once("--workspace".to_owned()).chain(named).collect()
}

fn unit_and_integration(args: &TestArgs) -> anyhow::Result<Tally> {
    let flags = selected(&programs(false)?);
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--lib", "--bins"]).collect();
    libtest::cargo_test("tests", &flags, parts(args))
}

/// Kinds of worlds with their flag of `sim`, and how many of them a full run plays. `cargo xtask sim` plays more.
const WORLDS: [(&str, Option<&str>, u64); 6] = [
    ("worlds", None, 10_000),
    ("restless worlds", Some("--restless"), 2_000),
    ("worlds with trouble of the platform's own", Some("--outages"), 2_000),
    ("worlds with silence", Some("--silence"), 2_000),
    ("worlds with lost connections", Some("--losses"), 2_000),
    ("worlds of several nodes", Some("--cluster"), 10_000),
];

/// Random worlds under virtual time; a failure prints its seed, which replays the same world.
fn simulation(args: &TestArgs) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    // Built with its own tests.
    let built = shell::succeeds(&mut shell::cargo(&[
        "test",
        "--locked",
        "--quiet",
        "--workspace",
        "--no-run",
        "--test",
        "worlds",
    ]))?;
    for (kind, flag, full) in WORLDS {
        let seeds = if args.fast { 1_000 } else { full }.to_string();
        // It takes what others leave of the processors.
        let mut program = std::process::Command::new("nice");
        let played = program.args(["-n", "19"]).arg(shell::built("sim")).args(flag).args(["--seeds", &seeds]);
        tally.check(&format!("simulation of {seeds} {kind}"), built && shell::succeeds(played)?);
    }
    Ok(tally)
}

/// Test programs of the binary that measure latencies and memory: nothing may run beside their tests.
const MEASURING: [&str; 2] = ["e2e", "events_api"];

/// Browser, documentation, examples and packages: their tests mostly wait, so two of them run at a time, and the
/// simulation beside them.
fn simulation_beside_others(args: &TestArgs) -> anyhow::Result<Tally> {
    let others: Vec<String> =
        programs(true)?.into_iter().filter(|program| !MEASURING.contains(&program.as_str())).collect();
    std::thread::scope(|scope| {
        let simulation = scope.spawn(|| simulation(args));
        let mut tally = outside("browser, documentation, examples, packages", &others, args, "--test-threads=2")?;
        let played = simulation.join().map_err(|_| anyhow!("the simulation's thread panicked"))?;
        tally.add(played?);
        Ok(tally)
    })
}

/// The real binary from outside.
fn end_to_end(args: &TestArgs) -> anyhow::Result<Tally> {
    outside("end to end", &MEASURING.map(str::to_owned), args, "--test-threads=1")
}

/// Runs test programs of the binary.
fn outside(name: &str, programs: &[String], args: &TestArgs, threads: &str) -> anyhow::Result<Tally> {
    let size = if args.fast { "small" } else { "full" };
    let flags = selected(programs);
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--", threads]).collect();
    libtest::talkative_cargo_test(name, &flags, &[&[("POSTRIDER_E2E", size)], parts(args)].concat())
}

/// The real binary on PostgreSQL.
fn end_to_end_on_postgres() -> anyhow::Result<Tally> {
    // These always are.
    let skip = ["--skip", "cluster::", "--skip", "postgres::"];
    let flags = [&["--workspace", "--test", "e2e", "--", "--test-threads=1"][..], &skip].concat();
    let flags = [&flags[..], &ON_POSTGRES[..]].concat();
    let environment = [("POSTRIDER_E2E", "small"), ("POSTRIDER_TEST_BACKEND", "postgres")];
    libtest::talkative_cargo_test("end to end on PostgreSQL", &flags, &environment)
}

/// End-to-end tests that are run on PostgreSQL as well, with less load.
const ON_POSTGRES: [&str; 8] =
    ["kill", "deliveries::", "fates::", "kept::", "pims::", "stop::", "slow::", "strangers::"];

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
        // Thousands of lines about its corpus: only a failure is of interest.
        let output = command.output()?;
        if !output.status.success() {
            shell::say(String::from_utf8_lossy(&output.stderr));
        }
        tally.check(&format!("fuzz target {target}"), output.status.success());
    }
    Ok(tally)
}
