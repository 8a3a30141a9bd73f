//! `postrider events`: kept events, and what became of them.

use clap::{Args, Subcommand};
use domain::Timestamp;
use domain::event_type::{EventTypes, PIM_PREFIX};
use serde_json::Value;

use super::account::{Account, AccountArgs, WhichSubscription, elements, encoded, moment, plain, second, text};
use crate::failure::Failure;
use crate::terminal::{self, BAD, BOLD, DIM, GOOD, styled};

/// Items per request.
const PAGE: usize = 100;

/// Find kept events, and explain what became of them
///
/// Events stay readable after their delivery, by default for 24 hours. The commands call the API as a client of a PIM,
/// with its token, and see what that client may see: events of the types its subscriptions included.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider events list --since 1h --entity 6a9f8486-2c36-4680-b87f-6f5f8f01b6cf
  postrider events show b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001
  postrider events explain b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001

The caller comes from --pim-url, --client-id and --token, or from POSTRIDER_PIM_URL, POSTRIDER_CLIENT_ID and
POSTRIDER_TOKEN.")]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Subcommand, Debug)]
enum EventsCommand {
    List(ListArgs),
    Show(ShowArgs),
    Explain(ExplainArgs),
}

/// List kept events, newest first
#[derive(Args, Debug)]
struct ListArgs {
    /// Only events of this type; the prefix `com.akeneo.pim.v1.` is optional
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,

    /// Only events about this entity: its uuid or code
    #[arg(long, value_name = "KEY")]
    entity: Option<String>,

    /// Only events with this id
    #[arg(long)]
    id: Option<String>,

    /// Only events by this author
    #[arg(long)]
    author: Option<String>,

    /// Only events accepted at this time or later: RFC 3339, or how long ago (`2h`)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,

    /// Only events accepted before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,

    /// Maximum number of events
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: AccountArgs,
}

/// Show a kept event as it is delivered
#[derive(Args, Debug)]
struct ShowArgs {
    /// Id of the event
    id: String,

    /// Print one JSON object, on one line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: AccountArgs,
}

/// Explain what became of an event, for one subscription or for each
#[derive(Args, Debug)]
struct ExplainArgs {
    /// Id of the event
    id: String,

    /// Id of the subscription [default: all of the client]
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: AccountArgs,
}

/// Runs the command.
pub(crate) fn run(args: EventsArgs) -> Result<(), Failure> {
    super::block_on(async {
        match args.command {
            EventsCommand::List(args) => list(&args).await,
            EventsCommand::Show(args) => show(&args).await,
            EventsCommand::Explain(args) => explain(&args).await,
        }
    })
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    let account = Account::new(&args.account)?;
    let event_type = args.event_type.as_deref().map(full_type);
    let mut query = String::new();
    for (name, value) in [
        ("type", event_type),
        ("entity", args.entity.clone()),
        ("id", args.id.clone()),
        ("author", args.author.clone()),
        ("start_time", args.since.map(|time| time.to_string())),
        ("end_time", args.until.map(|time| time.to_string())),
    ] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encoded(&value)));
        }
    }
    let (mut left, mut cursor, mut any) = (args.limit as usize, String::new(), false);
    loop {
        let path = format!("/api/v1/events?limit={}{query}{cursor}", left.min(PAGE));
        let mut page = account.get(&path).await?;
        let items = elements(page["items"].take());
        left = left.saturating_sub(items.len());
        any |= !items.is_empty();
        for item in &items {
            terminal::line(if args.json { item.to_string() } else { row(item) });
        }
        match page["next"].as_str() {
            Some(next) if left > 0 => cursor = format!("&cursor={}", encoded(next)),
            Some(_) if !args.json => {
                terminal::note("there are more: raise --limit, or narrow the search");
                return Ok(());
            }
            _ => break,
        }
    }
    if !any && !args.json {
        terminal::note("no such event is kept, or none that this client's subscriptions included");
    }
    Ok(())
}

fn row(item: &Value) -> String {
    let part = |name: &str| plain(text(item, name));
    let accepted_at = styled(DIM, second(text(item, "accepted_at")));
    let by = Some(part("author")).filter(|author| !author.is_empty()).map(|author| format!("  by {author}"));
    let (event_type, id) = (short_type(&part("type")).to_owned(), part("id"));
    format!("{accepted_at}  {id}  {}  {}{}", styled(BOLD, event_type), part("entity"), by.unwrap_or_default())
}

async fn show(args: &ShowArgs) -> Result<(), Failure> {
    let shown = Account::new(&args.account)?.get(&format!("/api/v1/events/{}", encoded(&args.id))).await?;
    if args.json {
        terminal::line(&shown);
        return Ok(());
    }
    terminal::note(format_args!("accepted at {}", text(&shown, "accepted_at")));
    // Escapes of control characters stay escapes.
    terminal::line(serde_json::to_string_pretty(&shown["event"]).unwrap_or_default());
    Ok(())
}

async fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let account = Account::new(&args.account)?;
    let which = WhichSubscription { subscription: args.subscription.clone() };
    let subscriptions = match args.subscription {
        Some(_) => vec![account.subscription(&which).await?],
        None => account.subscriptions().await?,
    };
    if subscriptions.is_empty() {
        terminal::note("this client has no subscription");
    }
    let mut unknown = None;
    let mut explained = 0;
    for subscription in &subscriptions {
        let told = match account.get(&format!("{}/events/{}", subscription.path, encoded(&args.id))).await {
            Ok(told) => told,
            Err(failure) if subscriptions.len() > 1 => {
                unknown = Some(failure);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        explained += 1;
        if args.json {
            let mut line = told;
            line["subscription_id"] = subscription.id().into();
            terminal::line(&line);
            continue;
        }
        terminal::line(format_args!("{}  {}", subscription.id(), styled(DIM, subscription.destination())));
        terminal::line(format_args!("  {}  {}", fate(text(&told, "fate")), plain(text(&told, "message"))));
        if let Some(next) = told["next_attempt_at"].as_str() {
            terminal::line(format_args!("  next attempt at {next}"));
        }
        elements(told["attempts"].clone()).iter().for_each(|one| terminal::line(format_args!("  {}", attempt(one))));
    }
    match unknown {
        // The event is known to none of them.
        Some(failure) if explained == 0 => Err(failure),
        _ => Ok(()),
    }
}

fn fate(name: &str) -> String {
    let style = match name {
        "delivered" => GOOD,
        "given_up" | "dropped" => BAD,
        _ => BOLD,
    };
    styled(style, name.replace('_', " "))
}

fn attempt(attempt: &Value) -> String {
    let mut line = format!("{}  {}", text(attempt, "started_at"), text(attempt, "outcome"));
    if let Some(status) = attempt["status"].as_u64() {
        line.push_str(&format!(", status {status}"));
    }
    if let Some(reason) = attempt["error_reason"].as_str() {
        line.push_str(&format!(", {reason}"));
    }
    line.push_str(&format!(", {} ms", attempt["duration_ms"].as_u64().unwrap_or(0)));
    if let Some(id) = attempt["replay_id"].as_str() {
        line.push_str(&format!(", replay {id}"));
    }
    if let Some(body) = attempt["body"].as_str() {
        line.push_str(&format!(": {}", plain(body.trim())));
    }
    line
}

/// The full name of a known type given without its prefix.
pub(super) fn full_type(name: &str) -> String {
    let known = EventTypes::new();
    let full = format!("{PIM_PREFIX}{name}");
    if !known.contains(name) && known.contains(&full) { full } else { name.to_owned() }
}

fn short_type(name: &str) -> &str {
    name.strip_prefix(PIM_PREFIX).unwrap_or(name)
}
