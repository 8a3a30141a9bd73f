//! The database of `store.backend = "postgres"`.

use std::sync::Arc;

use store::Backend;
use store::vault::Vault;
use store_postgres::moving::Destination;
use store_postgres::{OpenError, PostgresStore, Target};

use crate::config::value::Backend as Chosen;
use crate::config::{Config, Settings};
use crate::data;
use crate::failure::{Exit, Failure};
use sinks::tls::roots_from_pem;

/// Whether the data are in a database.
pub(crate) fn is_used(config: &Config) -> bool {
    config.settings.store.backend == Chosen::Postgres
}

/// Hosts and name of the database, if the data are in one.
pub(crate) fn name(config: &Config) -> Option<String> {
    is_used(config).then(|| target(&config.settings).ok().flatten().map(|target| target.name().to_owned()))?
}

/// Where the database is, if one is named; or the wrong setting, and the reason.
pub(crate) fn target(settings: &Settings) -> Result<Option<Target>, (&'static str, String)> {
    let store = &settings.store;
    let (key, files) =
        if store.roots.is_empty() { ("extra_roots", &settings.top.extra_roots) } else { ("store.roots", &store.roots) };
    let mut roots = Vec::new();
    for path in files {
        let wrong = |error: &dyn std::fmt::Display| (key, format!("{}: {error}", path.display()));
        let text = std::fs::read(path).map_err(|error| wrong(&error))?;
        roots.extend(roots_from_pem(&text).map_err(|error| wrong(&error))?);
    }
    let Some(url) = &store.url else { return Ok(None) };
    let password = store.password.as_ref().map(|password| password.expose());
    let target = Target::parse(url.expose(), password, &roots, store.roots.is_empty());
    target.map(Some).map_err(|error| ("store.url", error.to_string()))
}

/// Opens the database for `serve`.
pub(crate) async fn open_to_serve(config: &Config, vault: Vault) -> Result<Arc<dyn Backend>, Failure> {
    let settings = settings(&config.settings, vault)?;
    let store = PostgresStore::open_to_serve(settings).await.map_err(cannot_open)?;
    Ok(Arc::new(store))
}

/// Opens the database beside serving processes.
pub(crate) async fn open_beside(config: &Config, vault: Vault, create: bool) -> Result<Arc<dyn Backend>, Failure> {
    let settings = settings(&config.settings, vault)?;
    Ok(Arc::new(PostgresStore::open_beside(settings, create).await.map_err(cannot_open)?))
}

/// Opens the database as the destination of a move.
pub(crate) async fn destination(config: &Config, vault: Vault) -> Result<Destination, Failure> {
    Destination::open(settings(&config.settings, vault)?).await.map_err(cannot_open)
}

fn settings(settings: &Settings, vault: Vault) -> Result<store_postgres::Settings, Failure> {
    let target = target(settings).map_err(|(key, problem)| format!("`{key}`: {problem}"));
    let target = target.and_then(|target| target.ok_or_else(|| "`store.url` is missing".to_owned()));
    let target = target.map_err(|problem| Failure::message(Exit::Configuration, problem))?;
    let mut store = store_postgres::Settings::new(target, vault);
    store.tail_bytes = usize::try_from(settings.delivery.hot_tail.0).unwrap_or(usize::MAX);
    store.max_log_bytes = settings.storage.max_log_size.0;
    store.max_state_bytes = settings.storage.max_product_states.0;
    store.max_entry_bytes = settings.storage.max_log_entries.0;
    store.dedup_window = settings.ingest.dedup_window;
    store.keep = data::keep_bounds(settings);
    store.connections = settings.store.connections.0;
    store.patience = settings.store.timeout;
    store.lease = settings.store.lease;
    Ok(store)
}

fn cannot_open(error: OpenError) -> Failure {
    let hint = match &error {
        OpenError::Empty(_) => Some(
            "specify the service's configuration with --config; `postrider serve` and `postrider pim add --create` \
             create the tables",
        ),
        OpenError::Vault(_) | OpenError::OtherKeys { .. } => {
            Some("keys are read from the setting `encryption.keys`, or else from the key file in the data folder")
        }
        _ => None,
    };
    let failure = Failure::new(Exit::Data, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
