//! The address guard at connect: resolves a host to judged addresses, the only ones connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use domain::address::{AddressPolicy, ForbiddenAddress, address_literal, is_localhost};
use fair::Holder;

use crate::resolve::{Begun, LookupError, Resolver};

/// Maximum number of a name's addresses that are tried.
const ADDRESSES_TRIED: usize = 8;

/// Cause of a refused host.
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
        /// Error of the look-up.
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

    /// A guard that refuses nothing: for hosts configured by the operator.
    #[must_use]
    pub fn exempt(&self) -> Guard {
        Guard { resolver: Arc::clone(&self.resolver), policy: None }
    }

    /// Waits until the look-up of `host` runs, if it needs one: this time is the platform's. See [`Guard::judge`].
    pub async fn admit(&self, host: &str, holder: Holder) -> Admitted {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // A literal that is refused is not looked up.
        let is_name = address_literal(host).is_none() && !is_localhost(host);
        let lookup = if is_name { Some(self.resolver.begin(host, holder).await) } else { None };
        Admitted { host: host.to_owned(), lookup }
    }

    /// The addresses of a host to connect to, all of them judged: a name is refused if any of its addresses is
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

/// A host whose look-up, if it needs one, is running.
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
