//! Network addresses permitted to destinations: the address guard's rules, without DNS.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

mod literal;
mod networks;
mod translated;

pub use literal::{address_literal, is_broken_address, is_localhost};
pub use translated::is_translator_prefix;

/// The operator's exceptions beyond the public internet; none by default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AddressPolicy {
    /// Networks permitted although the rules reject them (`allow_networks`).
    pub allow_networks: Vec<IpNet>,
    /// Prefixes of the operator's own translators from IPv6 to IPv4 (NAT64), in addition to the well-known one; see
    /// [`is_translator_prefix`].
    pub nat64_prefixes: Vec<Ipv6Net>,
}

impl AddressPolicy {
    /// A policy that permits these networks beyond the public internet.
    pub fn allowing(allow_networks: Vec<IpNet>) -> AddressPolicy {
        AddressPolicy { allow_networks, ..AddressPolicy::default() }
    }

    /// Whether connections to `address` are permitted. IPv4-mapped IPv6 counts as the IPv4 address. A translated IPv4
    /// address is permitted only if that one is public, whatever networks are allowed. Other forms that embed an IPv4
    /// address are always rejected (contract pages 4 and 7, guard).
    pub fn permits(&self, address: IpAddr) -> Result<(), ForbiddenAddress> {
        let address = address.to_canonical();
        let inside = match address {
            IpAddr::V6(address) => translated::inside(address, &self.nat64_prefixes),
            IpAddr::V4(_) => None,
        };
        if inside.is_none() && self.allows(address) {
            return Ok(());
        }
        match networks::forbidding(inside.map_or(address, IpAddr::V4)) {
            None => Ok(()),
            Some(rule) => Err(ForbiddenAddress { host: address.to_string(), address, inside, rule }),
        }
    }

    /// Whether `host` is an address, in any notation, or a local name that must not be connected to. Ordinary names
    /// pass: their addresses are checked on connection.
    pub fn check_host_literal(&self, host: &str) -> Result<(), ForbiddenAddress> {
        if is_localhost(host) {
            return self.localhost().map(|_| ()).map_err(|forbidden| forbidden.written_as(host));
        }
        literal::readings(host)
            .into_iter()
            .try_for_each(|address| self.permits(address).map_err(|forbidden| forbidden.written_as(host)))
    }

    /// The permitted addresses of `localhost`, independent of DNS (RFC 6761).
    pub fn localhost(&self) -> Result<Vec<IpAddr>, ForbiddenAddress> {
        let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        match (self.permits(v4), self.permits(v6)) {
            (Ok(()), Ok(())) => Ok(vec![v4, v6]),
            (Ok(()), Err(_)) => Ok(vec![v4]),
            (Err(_), Ok(())) => Ok(vec![v6]),
            (Err(forbidden), Err(_)) => Err(forbidden),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allow_networks.iter().any(|network| match (network, address) {
            // `::ffff:127.0.0.0/104` is equivalent to `127.0.0.0/8`; `::/0` does not cover IPv4.
            (IpNet::V6(network), IpAddr::V4(address)) => {
                network.prefix_len() >= 96 && network.contains(&address.to_ipv6_mapped())
            }
            (IpNet::V4(_), IpAddr::V4(_)) | (IpNet::V6(_), IpAddr::V6(_)) => network.contains(&address),
            (IpNet::V4(_), IpAddr::V6(_)) => false,
        })
    }
}

/// A forbidden address and the rule that forbids it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForbiddenAddress {
    host: String,
    address: IpAddr,
    /// The address that a translator would make of it.
    inside: Option<Ipv4Addr>,
    rule: &'static networks::Rule,
}

impl ForbiddenAddress {
    /// The forbidden address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The same error, naming the host as given.
    #[must_use]
    pub fn written_as(self, host: &str) -> ForbiddenAddress {
        ForbiddenAddress { host: host.to_owned(), ..self }
    }
}

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ForbiddenAddress { host, address, inside, rule } = self;
        let same = host.parse::<IpAddr>().is_ok_and(|parsed| parsed == *address);
        let named = if same { String::new() } else { format!(" {address},") };
        let translated = inside.map_or_else(String::new, |inside| format!(" the NAT64 form of {inside},"));
        write!(f, "{host} is{named}{translated} {} ({})", rule.what, rule.network)
    }
}

impl std::error::Error for ForbiddenAddress {}

#[cfg(test)]
mod tests;
