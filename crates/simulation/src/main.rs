//! `sim`: plays the worlds of many seeds and reports the results; the same seed replays the same world.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use simulation::run::Kind;

/// Plays simulated worlds around the real engine.
#[derive(Parser)]
struct Args {
    /// Number of seeds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Number of threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Number of a failed world's last steps to show.
    #[arg(long, default_value_t = 40)]
    steps: usize,
    /// Worlds with slow storage, and a crash after each batch.
    #[arg(long)]
    restless: bool,
    /// Worlds without topics.
    #[arg(long, conflicts_with = "restless")]
    endpoints: bool,
    /// Worlds with temporary outages of the platform itself.
    #[arg(long, conflicts_with_all = ["restless", "endpoints"])]
    outages: bool,
    /// Worlds in which the platform's network or a single receiver is silent.
    #[arg(long, conflicts_with_all = ["restless", "endpoints", "outages"])]
    silence: bool,
    /// Worlds with lost connections to the store, and failovers of its server.
    #[arg(long, conflicts_with_all = ["restless", "endpoints", "outages", "silence"])]
    losses: bool,
    /// Worlds with a tenant that uses every resource at once, beside others.
    #[arg(long, conflicts_with_all = ["restless", "endpoints", "outages", "silence", "losses"])]
    hostile: bool,
    /// Worlds of several nodes over one store.
    #[arg(long, conflicts_with_all = ["restless", "endpoints", "outages", "silence", "losses", "hostile"])]
    cluster: bool,
    /// Shows how the rate adapts to an endpoint's capacity.
    #[arg(long)]
    plot: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.plot {
        return plot();
    }
    let began = Instant::now();
    let every = (args.seeds / 20).max(1);
    let kind = match &args {
        Args { restless: true, .. } => Kind::Restless,
        Args { endpoints: true, .. } => Kind::Endpoints,
        Args { outages: true, .. } => Kind::Outages,
        Args { silence: true, .. } => Kind::Silence,
        Args { losses: true, .. } => Kind::Losses,
        Args { hostile: true, .. } => Kind::Hostile,
        Args { cluster: true, .. } => Kind::Cluster,
        _ => Kind::Ordinary,
    };
    let (totals, failed) = simulation::run::seeds(args.from, args.seeds, args.threads, args.steps, kind, |totals| {
        if totals.worlds.is_multiple_of(every) {
            say(&format!(
                "{:>6} worlds, {:>8} events, {:>9} attempts, {:.0?}",
                totals.worlds,
                totals.events,
                totals.attempts,
                began.elapsed()
            ));
        }
    });
    say(&format!("{totals:#?}\nin {:.1?}", began.elapsed()));
    for failed in &failed {
        say(&failed.to_string());
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plot() -> ExitCode {
    match simulation::rates::figures_hold() {
        Ok((fixed, changing)) => {
            let steady = fixed.stretch(60, 600);
            say(
                "An endpoint that takes 25 events a second (#: delivered, x: answered 429, |: capacity; one for 2/s)\n",
            );
            say(&fixed.table(10));
            let (used, throttled) = (steady.used * 100.0, steady.throttled * 100.0);
            say(&format!(
                "found after {:?} s; from the minute on {used:.1} % used, {throttled:.2} % answered 429\n",
                fixed.found_after(0).unwrap_or_default()
            ));
            say("An endpoint whose capacity changes\n");
            say(&changing.table(10));
            for (from, capacity) in &changing.capacities {
                say(&format!(
                    "{capacity}/s from second {from} on: found after {:?} s",
                    changing.found_after(*from).unwrap_or_default()
                ));
            }
            ExitCode::SUCCESS
        }
        Err(violation) => {
            say(&violation.to_string());
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // The reader has closed the pipe: there is nothing to report to.
    let _ = writeln!(std::io::stdout(), "{text}");
}
