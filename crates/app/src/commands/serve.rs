//! `postrider serve`: the platform.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::ConfigArgs;
use crate::failure::{Exit, Failure};
use crate::platform::Platform;
use crate::signals::Stop;
use crate::{hardening, log, terminal};

/// Run the platform
///
/// Starts without configuration: data goes to ./data, and the API listens on http://127.0.0.1:8080. Next, register a
/// PIM with `postrider pim add`. Ctrl-C or SIGTERM stops the platform gracefully: it accepts no more requests,
/// completes attempts in flight and saves the progress of all subscriptions. A second Ctrl-C terminates it immediately;
/// attempts in flight are repeated after the next start.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider serve
  postrider serve --config /etc/postrider/postrider.toml
  postrider serve --data-dir /var/lib/postrider --listen 0.0.0.0:8080
  postrider serve --allow-http-destinations true --allow-networks 127.0.0.0/8     (for development)")]
pub(crate) struct ServeArgs {
    /// Write the URL of the API to this file once it is ready
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    log::start(config.settings.log.format, &config.settings.log.level)?;
    hardening::no_core_dumps();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    super::block_on(async {
        let stop = Stop::listen()?;
        let platform = Platform::start(&config).await?;
        announce(&platform, args.ready_file.as_deref())?;
        let failed = tokio::select! {
            () = stop.wait() => None,
            task = platform.failed() => Some(task),
        };
        tracing::info!("stopping: completing attempts in flight; press Ctrl-C again to terminate immediately");
        platform.stop().await;
        tracing::info!("stopped");
        match failed {
            None => Ok(()),
            Some(task) => Err(Failure::message(Exit::Failed, format!("{task} ended because of a fault"))
                .hint("the log says why; please report it. Start again: nothing that was acknowledged is lost")),
        }
    })
}

fn announce(platform: &Platform, ready_file: Option<&Path>) -> Result<(), Failure> {
    let url = format!("http://{}", platform.address);
    tracing::info!(%url, version = env!("CARGO_PKG_VERSION"), "ready");
    terminal::announce(format_args!("listening on {url}"));
    if let Some(address) = platform.metrics_address {
        terminal::announce(format_args!("metrics on http://{address}/metrics"));
    }
    match ready_file {
        None => Ok(()),
        Some(path) => std::fs::write(path, format!("{url}\n")).map_err(|error| {
            Failure::new(Exit::Failed, anyhow::Error::from(error).context(format!("cannot write {}", path.display())))
        }),
    }
}
