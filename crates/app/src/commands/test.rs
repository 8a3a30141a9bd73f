//! `postrider test`: sends a test event to a subscription's destination.

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::account::{Account, AccountArgs, WhichSubscription, plain, text};
use super::events::full_type;
use crate::failure::{Exit, Failure};
use crate::terminal::{self, BAD, GOOD, styled};

/// Send a test event to a subscription's destination, now
///
/// The platform makes one attempt in the same way as a regular delivery, signed, also while the subscription is
/// suspended. The event's id begins with `test-`. It counts nowhere and is not retried. Exits with 1 if the destination
/// did not accept it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider test
  postrider test --type product.updated.delta --subscription 0192aabb-ccdd-7eff-8011-223344556677
  postrider test --data '{\"product\":{\"uuid\":\"6a9f8486-2c36-4680-b87f-6f5f8f01b6cf\"}}'

The caller comes from --pim-url, --client-id and --token, or from POSTRIDER_PIM_URL, POSTRIDER_CLIENT_ID and
POSTRIDER_TOKEN.")]
pub(crate) struct TestArgs {
    /// Event type; the prefix `com.akeneo.pim.v1.` is optional [default: the first of the subscription]
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,

    /// `data` of the event as JSON [default: the example of its type]
    #[arg(long, value_name = "JSON", value_parser = object)]
    data: Option<Value>,

    #[command(flatten)]
    which: WhichSubscription,

    /// Print the outcome as a JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: AccountArgs,
}

fn object(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.is_object() { Ok(value) } else { Err("expected a JSON object".to_owned()) }
}

/// Runs the command.
pub(crate) fn run(args: &TestArgs) -> Result<(), Failure> {
    super::block_on(send(args))
}

async fn send(args: &TestArgs) -> Result<(), Failure> {
    let account = Account::new(&args.account)?;
    let subscription = account.subscription(&args.which).await?;
    let body = json!({"type": args.event_type.as_deref().map(full_type), "data": args.data});
    let told = account.call(Method::POST, &format!("{}/test", subscription.path), Some(&body)).await?;
    let outcome = text(&told, "outcome");
    if args.json {
        terminal::line(&told);
    } else {
        let style = if outcome == "delivered" { GOOD } else { BAD };
        let status = told["status"].as_u64().map(|status| format!(", status {status}")).unwrap_or_default();
        terminal::line(format_args!(
            "{}{status} after {} ms  {}  {}",
            styled(style, outcome.replace('_', " ")),
            told["duration_ms"].as_u64().unwrap_or(0),
            text(&told, "event_id"),
            subscription.destination()
        ));
        if let Some(body) = told["body"].as_str() {
            terminal::line(format_args!("  {}", plain(body.trim())));
        }
    }
    if outcome == "delivered" {
        return Ok(());
    }
    let message = format!("the test event was not delivered: {}", plain(text(&told, "message")));
    Err(Failure::message(Exit::Failed, message))
}
