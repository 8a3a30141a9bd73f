//! `postrider pim events-api` and `pim check`: setup and diagnosis of a self-hosted PIM's Events API.

use std::path::PathBuf;

use aws_lc_rs::rand;
use clap::Args;
use domain::pim::{Origin, Pim};
use domain::{Secret, Timestamp};
use intake::{AttributeSource, BridgeStatus};
use store::{ChangeError, edit_pim};

use super::{cannot_change, find};
use crate::config::{Config, ConfigArgs};
use crate::failure::{Exit, Failure};
use crate::pim_attributes::HttpAttributes;
use crate::pim_client::{PimClient, credentials};
use crate::terminal::{self, BAD, BOLD, DIM, GOOD, styled};
use crate::{data, http_client, secret_input};

/// Ingest the Events API of a registered PIM, or change its secret
///
/// For Community and PaaS editions 5.0 to 7.0, which do not send CloudEvents. Prints the URL and the secret, and the
/// steps to take in the PIM.
#[derive(Args, Debug)]
pub(crate) struct EventsApiArgs {
    /// Name of the PIM
    name: String,

    /// Secret shown by the PIM next to the URL; if omitted, a new one is generated to be pasted there; `-` reads a line
    /// of standard input
    #[arg(long)]
    secret: Option<String>,

    /// File with the secret; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    secret_file: Option<PathBuf>,

    /// Stop ingesting
    #[arg(long, conflicts_with_all = ["secret", "secret_file"])]
    off: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Check whether Events API requests of a PIM arrive and are genuine
///
/// Shows the observations of the running platform, with a delay of a few seconds.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Name of the PIM
    name: String,

    /// Print a JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// A random secret.
pub(crate) fn new_secret() -> anyhow::Result<Secret> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system provides no random numbers"))?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// A secret as typed by the operator.
pub(crate) fn typed_secret(text: &str) -> Result<Secret, Failure> {
    if text.is_empty() || text.trim() != text {
        return Err(Failure::message(Exit::Usage, "the secret is empty, or has leading or trailing spaces"));
    }
    Ok(Secret::new(text))
}

/// Runs `pim events-api`.
pub(super) async fn set(args: &EventsApiArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let store = data::open_beside(&config).await?;
    let pim = find(&*store, &args.name).await?;
    let given = secret_input::given(args.secret.as_deref(), args.secret_file.as_deref())?;
    let secret = match (&given, args.off) {
        (_, true) => None,
        (Some(secret), _) => Some(typed_secret(secret)?),
        (None, false) => Some(new_secret()?),
    };
    let pim = edit_pim(&*store, pim.id, |pim| -> Result<(), ChangeError> {
        pim.events_api_secret.clone_from(&secret);
        pim.provenance.events_api_secret = Origin::Command;
        Ok(())
    })
    .await
    .map_err(cannot_change)?;
    if args.off {
        terminal::note(format_args!("the Events API of PIM {} is no longer ingested", styled(BOLD, &pim.name)));
    } else {
        explain(&config, &pim);
    }
    Ok(())
}

/// URL to which the PIM sends its requests.
fn url(config: &Config, pim: &Pim) -> String {
    let top = &config.settings.top;
    let base = top.public_url.as_ref().map_or_else(|| format!("http://{}", top.listen), |url| url.0.clone());
    format!("{}/ingest/akeneo/{}", base.trim_end_matches('/'), pim.name)
}

/// Explains the setup in the PIM. Only URL and secret go to standard output.
pub(super) fn explain(config: &Config, pim: &Pim) {
    let Some(secret) = &pim.events_api_secret else { return };
    terminal::note("URL and secret for its event subscription:");
    terminal::line(url(config, pim));
    terminal::line(secret.expose());
    terminal::note(format_args!(
        "\nIn the PIM:\n\
         \x20 1. Connect > Connection settings: open the connection, then its event subscription. Enable it and paste \
         the\n\
         \x20    URL and the secret. If the PIM generates the secret itself, pass it to Postrider instead:\n\
         \x20    postrider pim events-api {name} --secret -\n\
         \x20 2. Keep the webhook consumer running; nothing is sent without it:\n\
         \x20    bin/console messenger:consume webhook\n\
         \x20 3. If Postrider has a private address, add it to the PIM's list of private networks that webhooks may \
         reach.\n\
         \x20 4. Press the test button next to the URL, then run: postrider pim check {name}",
        name = pim.name
    ));
    if config.settings.top.public_url.is_none() {
        terminal::note(
            "\nThe URL is local to this machine: set `public_url` to the address under which the PIM reaches \
             Postrider.",
        );
    }
    if credentials(pim).is_none() {
        terminal::note(
            "\nDeltas contain only attribute types that are evident from the value. To get all types from the PIM, \
             register\n\
             credentials for its REST API (`--client` of `postrider pim add`, or `clients` in the configuration).",
        );
    }
}

/// Runs `pim check`.
pub(super) async fn check(args: &CheckArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let store = data::open_beside(&config).await?;
    let pim = find(&*store, &args.name).await?;
    if pim.events_api_secret.is_none() {
        let message = format!("the Events API of PIM {:?} is not ingested", pim.name);
        let hint = format!("set it up with `postrider pim events-api {}`", pim.name);
        return Err(Failure::message(Exit::Failed, message).hint(hint));
    }
    let kept = store.bridge_status(pim.id).await.map_err(anyhow::Error::from)?;
    let note = kept.map_or_else(BridgeStatus::default, |kept| BridgeStatus::from_text(&kept.text));
    let attributes = attributes(&config, &pim).await?;
    if args.json {
        terminal::line(as_json(&config, &pim, &note, &attributes));
    } else {
        show(&config, &pim, &note, &attributes);
    }
    match verdict(&note) {
        Ok(()) => Ok(()),
        Err((message, hint)) => Err(Failure::message(Exit::Failed, message).hint(hint)),
    }
}

/// Number of attributes with types from the PIM; `None` without credentials.
async fn attributes(config: &Config, pim: &Pim) -> Result<Option<Result<usize, String>>, Failure> {
    if credentials(pim).is_none() {
        return Ok(None);
    }
    let source = HttpAttributes::new(PimClient::new(http_client::client()?, config.settings.tokens.timeout));
    Ok(source.attribute_types(pim).await.map(|types| types.map(|types| types.len())).transpose())
}

/// Whether the Events API works, or the problem and a hint.
fn verdict(note: &BridgeStatus) -> Result<(), (&'static str, &'static str)> {
    match (note.verified_at, note.refused_at) {
        (None, None) => Err((
            "no request has arrived",
            "check that the event subscription is enabled, that the PIM's webhook consumer is running, and that this \
             address is \
             in the PIM's list of private networks; its event logs show its attempts",
        )),
        (None, Some(_)) => Err((
            "requests arrive, but none is genuine",
            "compare the secret in the PIM with the one from `postrider pim events-api`, and the clocks of both \
             machines",
        )),
        (Some(verified), Some(refused)) if refused > verified => Err((
            "the latest request was rejected",
            "if the secret was changed in the PIM, change it here with `postrider pim events-api NAME --secret SECRET`",
        )),
        (Some(_), _) => Ok(()),
    }
}

fn show(config: &Config, pim: &Pim, note: &BridgeStatus, attributes: &Option<Result<usize, String>>) {
    let at = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let row = |name: &str, text: String| terminal::line(format_args!("  {name:<16}{text}"));
    terminal::line(format_args!("{}  {}", styled(BOLD, &pim.name), url(config, pim)));
    let style = if note.verified_at.is_some() { GOOD } else { BAD };
    row("verified", styled(style, format_args!("{} requests, the latest {}", note.verified, at(note.verified_at))));
    row("test button", at(note.tested_at));
    row("events", format!("{} accepted, the latest {}", note.events, at(note.events_at)));
    if let Some(why) = &note.refusal {
        let text = format!("{} requests, the latest {}: {why}", note.refused, at(note.refused_at));
        row("refused", styled(BAD, text));
    }
    if let Some(why) = &note.bad_why {
        row("skipped", format!("{} unrecognisable events, the latest: {why}", note.bad));
    }
    if let Some(action) = &note.unknown_action {
        row("skipped", format!("{} events with an unknown action, the latest {action}", note.unknown));
    }
    if let Some(why) = &note.uncompared_why {
        let text = format!("{} events whose entity could not be compared, the latest: {why}", note.uncompared);
        row("no delta", text);
    }
    if let Some(reached) = note.reconciled.values().min() {
        row(
            "reconciled",
            format!(
                "up to {reached}; {} events created, the latest \
                                   {}",
                note.filled,
                at(note.filled_at)
            ),
        );
    }
    match attributes {
        None => row("attributes", styled(DIM, "no credentials for the PIM: types are inferred from values")),
        Some(Ok(number)) => row("attributes", format!("{number} types from the PIM")),
        Some(Err(why)) => row("attributes", styled(BAD, format_args!("not available from the PIM: {why}"))),
    }
}

fn as_json(
    config: &Config,
    pim: &Pim,
    note: &BridgeStatus,
    attributes: &Option<Result<usize, String>>,
) -> serde_json::Value {
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string());
    serde_json::json!({
        "name": pim.name,
        "url": url(config, pim),
        "works": verdict(note).is_ok(),
        "verified": {"requests": note.verified, "latest": at(note.verified_at)},
        "tested": at(note.tested_at),
        "events": {"taken": note.events, "latest": at(note.events_at)},
        "refused": {"requests": note.refused, "latest": at(note.refused_at), "why": note.refusal},
        "bad": {"events": note.bad, "why": note.bad_why},
        "uncompared": {"events": note.uncompared, "why": note.uncompared_why},
        "unknown": {"events": note.unknown, "action": note.unknown_action},
        "reconciled": note.reconciled.values().min().map(|reached| {
            serde_json::json!({"up_to": reached.to_string(), "events": note.filled, "latest": at(note.filled_at)})
        }),
        "attributes": attributes.as_ref().map(|found| match found {
            Ok(number) => serde_json::json!({"types": number}),
            Err(why) => serde_json::json!({"error": why}),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_reported() {
        let at = |second: i64| Some(Timestamp::from_micros(second * 1_000_000));
        let check = |verified_at, refused_at, expect: Option<&str>| {
            let note = BridgeStatus { verified_at, refused_at, ..BridgeStatus::default() };
            assert_eq!(verdict(&note).err().map(|(message, _)| message), expect);
        };
        check(None, None, Some("no request has arrived"));
        check(None, at(1), Some("requests arrive, but none is genuine"));
        check(at(1), at(2), Some("the latest request was rejected"));
        check(at(2), at(1), None);
        check(at(1), None, None);
    }
}
