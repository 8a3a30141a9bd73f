//! `sim`: plays the worlds of many seeds and says what happened; the same seed plays the same world again.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use simulation::Plan;

/// Plays simulated worlds around the real engine.
#[derive(Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How many of a failed world's last steps are shown.
    #[arg(long, default_value_t = 40)]
    steps: usize,
    /// Shows how the rate follows an endpoint's capacity.
    #[arg(long)]
    plot: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let began = Instant::now();
    let every = (args.seeds / 20).max(1);
    let (totals, failed) = simulation::run::seeds(args.from, args.seeds, args.threads, args.steps, Plan::random, |totals| {
        if totals.worlds.is_multiple_of(every) {
            say(&format!("{:>6} worlds, {:>8} events, {:>9} attempts, {:.0?}", totals.worlds, totals.events, totals.attempts, began.elapsed()));
        }
    });
    say(&format!("{totals:#?}\nin {:.1?}", began.elapsed()));
    for failed in &failed {
        say(&failed.to_string());
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(text: &str) {
    // Nobody reads on: then there is nobody to tell.
    let _ = writeln!(std::io::stdout(), "{text}");
}
