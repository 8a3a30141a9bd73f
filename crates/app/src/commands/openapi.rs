//! `postrider openapi`: the description of the API, without a running platform.

use clap::Args;

use crate::config::ConfigArgs;
use crate::failure::Failure;
use crate::{terminal, tuning};

/// Print the OpenAPI document of an installation
///
/// OpenAPI 3.1, as served by a running platform at `/openapi.json`: with the URL, event types and destination types of
/// the configuration. Use it to generate clients.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider openapi > openapi.json
  postrider openapi --public-url https://events.example.com")]
pub(crate) struct OpenApiArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs it.
pub(crate) fn run(args: &OpenApiArgs) -> Result<(), Failure> {
    let settings = args.config.load()?.settings;
    let public_url = tuning::public_url(&settings, settings.top.listen);
    let published = api::publish(&tuning::api_settings(&settings, public_url), &tuning::event_types(&settings));
    terminal::line(published.openapi.trim_end());
    Ok(())
}
