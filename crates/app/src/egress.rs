//! Outgoing connections: TLS roots and the addresses that destinations may have.

use std::sync::Arc;

use anyhow::Context;
use domain::address::AddressPolicy;
use sinks::connect::Connector;
use sinks::resolve::Resolver;
use sinks::tls::{TlsClient, roots_from_pem};

use crate::config::settings::Settings;
use crate::failure::{Exit, Failure};

/// The policy for all outgoing connections.
pub(crate) fn connector(settings: &Settings) -> Result<Connector, Failure> {
    let tls = tls(settings).map_err(|error| Failure::new(Exit::Configuration, error))?;
    Ok(Connector::new(Arc::new(Resolver::system()), addresses(settings), tls))
}

/// TLS with the public roots and the operator's.
pub(crate) fn tls(settings: &Settings) -> anyhow::Result<TlsClient> {
    let mut roots = Vec::new();
    for path in &settings.top.extra_roots {
        let named = || path.display().to_string();
        let text = std::fs::read(path).with_context(named)?;
        roots.extend(roots_from_pem(&text).with_context(named)?);
    }
    Ok(TlsClient::new(&roots)?)
}

/// The addresses that destinations may have.
pub(crate) fn addresses(settings: &Settings) -> AddressPolicy {
    AddressPolicy {
        allow_networks: settings.top.allow_networks.clone(),
        nat64_prefixes: settings.top.nat64_prefixes.iter().map(|prefix| prefix.0).collect(),
    }
}
