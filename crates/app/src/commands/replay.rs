//! `postrider replay`: kept events, delivered once more.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use domain::Timestamp;
use http::Method;
use serde_json::{Value, json};

use super::account::{Account, AccountArgs, WhichSubscription, elements, moment, plain, second, text};
use crate::failure::{Exit, Failure};
use crate::terminal::{self, BAD, BOLD, DIM, GOOD, styled};

/// Interval at which `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Deliver kept events once more
///
/// Replayed events keep their ids and are marked with the header `X-Postrider-Replay`; receivers that drop known ids
/// drop them. The commands call the API as a client of a PIM, with its token.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider replay start --from 2h
  postrider replay start --from 2026-11-02T08:00:00Z --to 2026-11-02T09:00:00Z --only given-up --wait
  postrider replay start --event b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001
  postrider replay list

The caller comes from --pim-url, --client-id and --token, or from POSTRIDER_PIM_URL, POSTRIDER_CLIENT_ID and
POSTRIDER_TOKEN.")]
pub(crate) struct ReplayArgs {
    #[command(subcommand)]
    command: ReplayCommand,
}

#[derive(Subcommand, Debug)]
enum ReplayCommand {
    Start(StartArgs),
    List(ListArgs),
    Show(ShowArgs),
    Cancel(CancelArgs),
}

/// Start a replay of a time span, or of single events
#[derive(Args, Debug)]
struct StartArgs {
    /// Start of the time span of acceptance: RFC 3339, or how long ago (`2h`)
    #[arg(long, value_name = "TIME", value_parser = moment, required_unless_present = "events")]
    from: Option<Timestamp>,

    /// End of the time span, exclusive [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "from")]
    to: Option<Timestamp>,

    /// Only events that were given up, or dropped with a backlog; repeatable
    #[arg(long, value_enum, requires = "from")]
    only: Vec<Undelivered>,

    /// Id of a single event, instead of a time span; repeatable
    #[arg(long = "event", value_name = "ID", conflicts_with = "from")]
    events: Vec<String>,

    /// Only events that pass this filter, in addition to the subscription's own
    #[arg(long)]
    filter: Option<String>,

    /// Maximum number of events per second
    #[arg(long, value_name = "NUMBER")]
    rate: Option<f64>,

    /// Wait for its end; exits with 1 unless it is done
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Undelivered {
    /// Tried for the last time without success
    GivenUp,
    /// Dropped with the backlog of a suspension
    Dropped,
}

/// List the latest replays of a subscription
#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    common: Common,
}

/// Show the progress of a replay
#[derive(Args, Debug)]
struct ShowArgs {
    /// Id of the replay
    id: String,

    #[command(flatten)]
    common: Common,
}

/// Cancel a running replay
#[derive(Args, Debug)]
struct CancelArgs {
    /// Id of the replay
    id: String,

    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
struct Common {
    #[command(flatten)]
    which: WhichSubscription,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: AccountArgs,
}

/// Runs the command.
pub(crate) fn run(args: ReplayArgs) -> Result<(), Failure> {
    super::block_on(async {
        match args.command {
            ReplayCommand::Start(args) => start(&args).await,
            ReplayCommand::List(args) => list(&args).await,
            ReplayCommand::Show(args) => show(&args).await,
            ReplayCommand::Cancel(args) => cancel(&args).await,
        }
    })
}

async fn start(args: &StartArgs) -> Result<(), Failure> {
    let account = Account::new(&args.common.account)?;
    let path = account.subscription(&args.common.which).await?.path;
    let mut body = json!({});
    let mut put = |name: &str, value: Value| body[name] = value;
    if args.events.is_empty() {
        put("from", args.from.map(|time| time.to_string()).into());
        put("to", args.to.map(|time| time.to_string()).into());
    } else {
        put("event_ids", args.events.clone().into());
    }
    let only = args.only.iter().map(|which| match which {
        Undelivered::GivenUp => "given_up",
        Undelivered::Dropped => "dropped",
    });
    let only: Vec<Value> = only.map(Value::from).collect();
    if !only.is_empty() {
        put("only", only.into());
    }
    put("filter", args.filter.clone().into());
    put("rate", args.rate.into());
    let mut replay = account.call(Method::POST, &format!("{path}/replay"), Some(&body)).await?;
    if args.wait {
        let own = format!("{path}/replays/{}", text(&replay, "id"));
        while text(&replay, "status") == "running" {
            tokio::time::sleep(LOOK_EVERY).await;
            replay = account.get(&own).await?;
        }
    }
    print(&replay, args.common.json);
    if args.wait && text(&replay, "status") != "done" {
        return Err(Failure::message(
            Exit::Failed,
            format!("the replay has ended: {}", plain(text(&replay, "reason"))),
        ));
    }
    Ok(())
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    let account = Account::new(&args.common.account)?;
    let path = account.subscription(&args.common.which).await?.path;
    let replays = elements(account.get(&format!("{path}/replays")).await?);
    if replays.is_empty() && !args.common.json {
        terminal::note("the subscription has no replay");
    }
    replays.iter().for_each(|replay| print(replay, args.common.json));
    Ok(())
}

async fn show(args: &ShowArgs) -> Result<(), Failure> {
    let account = Account::new(&args.common.account)?;
    let path = account.subscription(&args.common.which).await?.path;
    print(&account.get(&format!("{path}/replays/{}", super::account::encoded(&args.id))).await?, args.common.json);
    Ok(())
}

async fn cancel(args: &CancelArgs) -> Result<(), Failure> {
    let account = Account::new(&args.common.account)?;
    let path = format!(
        "{}/replays/{}",
        account.subscription(&args.common.which).await?.path,
        super::account::encoded(&args.id)
    );
    account.call(Method::DELETE, &path, None).await?;
    print(&account.get(&path).await?, args.common.json);
    Ok(())
}

fn print(replay: &Value, json: bool) {
    if json {
        terminal::line(replay);
        return;
    }
    let status = text(replay, "status");
    let style = match status {
        "done" => GOOD,
        "failed" => BAD,
        _ => BOLD,
    };
    let started = styled(DIM, format!("started {}", second(text(replay, "created_at"))));
    terminal::line(format_args!("{}  {}  {started}", text(replay, "id"), styled(style, status)));
    let count = |name: &str| replay[name].as_u64().unwrap_or(0);
    let reached = replay["at"].as_str().map(|at| format!(", has come to {at}")).unwrap_or_default();
    terminal::line(format_args!(
        "  {} matched: {} delivered, {} failed, {} skipped, {} gone{reached}",
        count("matched"),
        count("delivered"),
        count("failed"),
        count("skipped"),
        count("gone")
    ));
    if let Some(reason) = replay["reason"].as_str() {
        terminal::line(format_args!("  {}", plain(reason)));
    }
}
