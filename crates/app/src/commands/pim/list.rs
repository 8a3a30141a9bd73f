//! `postrider pim list`: the registered PIMs.

use clap::Args;
use domain::pim::{Origin, Probe, TokenCheck};

use super::{TRUSTS, day, open};
use crate::config::ConfigArgs;
use crate::data;
use crate::failure::Failure;
use crate::terminal::{self, BOLD, styled};

/// List the registered PIMs with the prefixes of their keys
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Lists the registered PIMs.
pub(super) async fn list(args: &ListArgs) -> Result<(), Failure> {
    let (config, store) = open(&args.config).await?;
    let pims = store.all_pims().await.map_err(anyhow::Error::from)?;
    if args.json {
        for pim in &pims {
            let keys = pim.keys.iter().map(|key| {
                serde_json::json!({
                    "prefix": key.prefix,
                    "created_at": key.created_at.to_string(),
                    "origin": key.origin.as_str(),
                })
            });
            terminal::line(serde_json::json!({
                "name": pim.name,
                "url": pim.url,
                "token_check": way(&pim.token_check),
                "trust_client_id": pim.keeps_clients_together(),
                "origin": pim.provenance.pim.as_str(),
                "withdrawn_at": pim.provenance.withdrawn_at.map(|at| at.to_string()),
                "keys": keys.collect::<Vec<_>>(),
                "static_tokens": pim.static_tokens.len(),
                "events_api": pim.events_api_secret.is_some(),
                "created_at": pim.created_at.to_string(),
            }));
        }
        return Ok(());
    }
    if pims.is_empty() {
        let folder = data::location(&config);
        terminal::note(format_args!(
            "no PIM is registered in {folder}; register one with `postrider pim add NAME --url URL`"
        ));
    }
    for pim in &pims {
        terminal::line(format_args!("{}  {}  token check {}", styled(BOLD, &pim.name), pim.url, way(&pim.token_check)));
        terminal::line(format_args!("    {}", from(pim.provenance.pim)));
        if let Some(at) = pim.provenance.withdrawn_at {
            let since = day(at);
            terminal::line(format_args!("    locked out since {since}: no longer in the configuration file"));
        }
        if pim.keeps_clients_together() {
            terminal::line(format_args!("    {TRUSTS}"));
        }
        for key in &pim.keys {
            terminal::line(format_args!(
                "    key {}…  created {}, {}",
                key.prefix,
                day(key.created_at),
                from(key.origin)
            ));
        }
        for token in &pim.static_tokens {
            terminal::line(format_args!("    static token of client {}", token.client_id));
        }
        if pim.events_api_secret.is_some() {
            terminal::line("    Events API ingested");
        }
    }
    Ok(())
}

fn from(origin: Origin) -> &'static str {
    match origin {
        Origin::Configuration => "from the configuration file",
        Origin::Command => "from a command",
        Origin::Api => "from the operator API",
    }
}

fn way(check: &TokenCheck) -> &'static str {
    match check {
        TokenCheck::Static => "static",
        TokenCheck::TokenInfo { .. } => "token-info",
        TokenCheck::Probe { probe: Probe::SystemInformation, .. } => "system-information",
        TokenCheck::Probe { probe: Probe::MeasurementFamilies, .. } => "measurement-families",
    }
}
