//! The platform's own logs: human-readable on a terminal, JSON otherwise, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::value::LogFormat;
use crate::failure::{Exit, Failure};

/// Libraries that log the actions of peers: each connection to each destination, or anything a client sends (`h2` logs
/// each unexpected `PING`). Anyone could flood the log that way. Subscription owners find what they need in their own
/// log; operators can raise the level, as in `info,h2=warn`.
const QUIET: &str = "krafka=error,h2=error,hyper=error,hyper_util=error,rustls=error,tokio_rustls=error,\
                     hickory_proto=error,hickory_resolver=error,lettre=error,google_cloud_auth=error,\
                     google_cloud_gax_internal=error,google_cloud_pubsub=error,tonic=error,tower=error,\
                     reqwest=error,opentelemetry=error,opentelemetry_sdk=error,opentelemetry_otlp=error";

/// The log filter, or an error in the setting.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(format!("{QUIET},{level}")).map_err(|error| {
        format!(
            "{level:?} is invalid ({error}); use a level such as info, or levels by module such as info,sinks=debug"
        )
    })
}

/// Starts logging; called once.
pub(crate) fn start(format: LogFormat, level: &str) -> Result<(), Failure> {
    let filter = filter(level).map_err(|error| Failure::message(Exit::Configuration, error))?;
    let human = match format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if human {
        builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(thread = thread.name(), place, message, "a fault in the platform: please report it");
    }));
    started.map_err(|error| Failure::message(Exit::Failed, format!("could not start logging: {error}")))
}
