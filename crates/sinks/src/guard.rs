//! The address guard at connect: a host becomes the addresses that were judged, and only those are connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use domain::address::{AddressPolicy, ForbiddenAddress, address_literal, is_localhost};
use fair::Holder;

use crate::resolve::{Begun, LookupError, Resolver};

/// At most this many addresses of a name are tried.
const ADDRESSES_TRIED: usize = 8;

/// Why a host is not connected to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GuardError {
    /// One of its addresses is forbidden.
    #[error("{0}, which is forbidden for destinations")]
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

    /// Waits until the look-up of `host`, where it needs one, runs: that time is the platform's. See [`Guard::judge`].
    pub async fn admit(&self, host: &str, holder: Holder) -> Admitted {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // What is refused as it is written is not looked up.
        let is_name = address_literal(host).is_none() && !is_localhost(host);
        let lookup = if is_name { Some(self.resolver.begin(host, holder).await) } else { None };
        Admitted { host: host.to_owned(), lookup }
    }

    /// The addresses of a host to connect to, all of them judged: a name is refused when any of its addresses is
    /// (contract page 7, guard).
    pub async fn judge(&self, admitted: Admitted, port: u16) -> Result<Vec<SocketAddr>, GuardError> {
        let Admitted { host, lookup } = admitted;
        let addresses = match &self.policy {
            Some(policy) => {
                policy.check_host_literal(&host).map_err(GuardError::Forbidden)?;
                let addresses = addresses(&host, lookup, policy).await?;
                for address in &addresses {
                    let judged = policy.permits(*address);
                    judged.map_err(|forbidden| GuardError::Forbidden(forbidden.written_as(&host)))?;
                }
                addresses
            }
            None => {
                let everywhere = AddressPolicy::allowing(everything());
                addresses(&host, lookup, &everywhere).await?
            }
        };
        Ok(addresses.into_iter().take(ADDRESSES_TRIED).map(|address| SocketAddr::new(address, port)).collect())
    }
}

/// A host whose look-up, where it needs one, runs.
pub struct Admitted {
    /// Without brackets.
    host: String,
    lookup: Option<Begun>,
}

impl Admitted {
    /// The host, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

async fn addresses(host: &str, lookup: Option<Begun>, policy: &AddressPolicy) -> Result<Vec<IpAddr>, GuardError> {
    let Some(lookup) = lookup else {
        return match address_literal(host) {
            Some(address) => Ok(vec![address.to_canonical()]),
            None => policy.localhost().map_err(|forbidden| GuardError::Forbidden(forbidden.written_as(host))),
        };
    };
    let found = lookup.answer().await;
    let found = found.map_err(|error| GuardError::Lookup { host: host.to_owned(), error })?;
    Ok(found.iter().map(IpAddr::to_canonical).collect())
}

fn everything() -> Vec<ipnet::IpNet> {
    vec![ipnet::IpNet::V4(ipnet::Ipv4Net::default()), ipnet::IpNet::V6(ipnet::Ipv6Net::default())]
}
