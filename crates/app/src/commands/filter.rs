//! `postrider filter check`: parses, explains and tests a filter without a platform.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use domain::filter::{Facets, Filter};
use wire::json::{self, Value};

use crate::failure::{Exit, Failure};
use crate::terminal;

/// Check filters offline
#[derive(Args, Debug)]
pub(crate) struct FilterArgs {
    #[command(subcommand)]
    command: FilterCommand,
}

#[derive(Subcommand, Debug)]
enum FilterCommand {
    Check(CheckArgs),
}

/// Parse and explain a filter, and test it on events
///
/// With --events, also shows which events of the file would be delivered. Exits with 1 if the filter is invalid.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider filter check 'not user=\"system\"'
  postrider filter check 'attribute in [\"name\", \"price\"] and locale=\"fr_FR\"' --events events.jsonl
  postrider filter check 'user_type=\"api\"' --events - --ids < events.jsonl")]
struct CheckArgs {
    /// The filter, as in a subscription's `filter`
    filter: String,

    /// CloudEvents to test, one JSON object per line; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,

    /// Print only the ids of matching events, one per line
    #[arg(long, requires = "events")]
    ids: bool,
}

/// Runs the command.
pub(crate) fn run(args: FilterArgs) -> Result<(), Failure> {
    match args.command {
        FilterCommand::Check(args) => check(&args),
    }
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let filter = Filter::parse(&args.filter)
        .map_err(|error| Failure::message(Exit::Failed, format!("{}\n\n{}", error.message, error.hint)))?;
    if !args.ids {
        match &filter {
            None => terminal::line("no filter: every event of the subscribed types is delivered"),
            Some(filter) => {
                terminal::line("valid filter");
                terminal::line(filter.explain());
            }
        }
    }
    match &args.events {
        Some(path) => try_on(filter.as_ref(), path, args.ids),
        None => Ok(()),
    }
}

fn try_on(filter: Option<&Filter>, path: &Path, ids: bool) -> Result<(), Failure> {
    let (mut matching, mut all) = (0, 0);
    if !ids {
        terminal::line("");
    }
    for (index, line) in read_text(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{}, line {}", path.display(), index + 1);
        let event = json::parse(line.as_bytes())
            .map_err(|error| Failure::message(Exit::Failed, format!("{place}: invalid JSON: {error}")))?;
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("(none)");
        let data = event.get("data").map(Value::to_canonical).unwrap_or_default();
        let passes = filter.is_none_or(|filter| filter.matches(&Facets::of(text("type"), &data)));
        all += 1;
        matching += usize::from(passes);
        match (ids, passes) {
            (true, true) => terminal::line(text("id")),
            (true, false) => {}
            (false, true) => terminal::line(format_args!(
                "{}  {}  {}",
                terminal::styled(terminal::GOOD, "pass"),
                text("id"),
                text("type")
            )),
            (false, false) => terminal::line(format_args!(
                "{}  {}  {}",
                terminal::styled(terminal::DIM, "  no"),
                text("id"),
                text("type")
            )),
        }
    }
    if !ids {
        terminal::line(format_args!("\n{matching} of {all} events match"));
    }
    Ok(())
}

/// Reads a text file, or standard input for `-`.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|error| {
        Failure::new(Exit::Failed, anyhow::Error::from(error).context(format!("cannot read {}", path.display())))
    })
}
