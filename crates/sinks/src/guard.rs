//! The address guard at connect: a host becomes the addresses that were judged, and only those are connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use domain::address::{AddressPolicy, ForbiddenAddress, address_literal, is_localhost};

use crate::resolve::{LookupError, Resolver};

/// At most this many addresses of a name are tried.
const ADDRESSES_TRIED: usize = 8;

/// Why a host is not connected to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GuardError {
    /// One of its addresses is forbidden.
    #[error("{0}, which destinations may not have")]
    Forbidden(ForbiddenAddress),
    /// It has no address.
    #[error("{host}: {error}")]
    Lookup {
        /// The host as written.
        host: String,
        /// What the look-up said.
        error: LookupError,
    },
}

/// Judges hosts.
#[derive(Clone)]
pub struct Guard {
    resolver: Arc<Resolver>,
    policy: Option<Arc<AddressPolicy>>,
}

impl Guard {
    /// A guard with the operator's policy.
    pub fn new(resolver: Arc<Resolver>, policy: AddressPolicy) -> Guard {
        Guard { resolver, policy: Some(Arc::new(policy)) }
    }

    /// For hosts that the operator himself named: nothing is refused.
    #[must_use]
    pub fn exempt(&self) -> Guard {
        Guard { resolver: Arc::clone(&self.resolver), policy: None }
    }

    /// The addresses of `host` to connect to, all of them judged: a name is refused when any of its addresses is
    /// (contract page 7, guard).
    pub async fn judge(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, GuardError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match &self.policy {
            Some(policy) => {
                policy.check_host_literal(bare).map_err(GuardError::Forbidden)?;
                let addresses = self.addresses(bare, policy).await?;
                for address in &addresses {
                    let judged = policy.permits(*address);
                    judged.map_err(|forbidden| GuardError::Forbidden(forbidden.written_as(bare)))?;
                }
                addresses
            }
            None => {
                let everywhere = AddressPolicy { allow_networks: everything() };
                self.addresses(bare, &everywhere).await?
            }
        };
        Ok(addresses.into_iter().take(ADDRESSES_TRIED).map(|address| SocketAddr::new(address, port)).collect())
    }

    async fn addresses(&self, host: &str, policy: &AddressPolicy) -> Result<Vec<IpAddr>, GuardError> {
        if let Some(address) = address_literal(host) {
            return Ok(vec![address.to_canonical()]);
        }
        if is_localhost(host) {
            return policy.localhost().map_err(|forbidden| GuardError::Forbidden(forbidden.written_as(host)));
        }
        let found = self.resolver.addresses(host).await;
        let found = found.map_err(|error| GuardError::Lookup { host: host.to_owned(), error })?;
        Ok(found.iter().map(IpAddr::to_canonical).collect())
    }
}

fn everything() -> Vec<ipnet::IpNet> {
    vec![ipnet::IpNet::V4(ipnet::Ipv4Net::default()), ipnet::IpNet::V6(ipnet::Ipv6Net::default())]
}
