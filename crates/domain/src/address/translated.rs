//! IPv6 addresses translated from IPv4 addresses (RFC 6052), as used by networks with DNS64.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;

/// The well-known prefix (RFC 6052, 2.1).
pub(crate) const WELL_KNOWN: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
/// Permitted lengths of a translator's prefix (RFC 6052, 2.2).
const LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];
/// The byte of an address that carries no part of the IPv4 address.
const UNUSED: usize = 8;

/// Whether a network can be the prefix of a translator: its length is one of 32, 40, 48, 56, 64 and 96.
pub fn is_translator_prefix(network: &Ipv6Net) -> bool {
    LENGTHS.contains(&network.prefix_len())
}

/// The IPv4 address embedded in `address`, if its prefix is one of `prefixes` or the well-known one.
pub(super) fn inside(address: Ipv6Addr, prefixes: &[Ipv6Net]) -> Option<Ipv4Addr> {
    let prefix = prefixes.iter().chain([&WELL_KNOWN]).filter(|prefix| is_translator_prefix(prefix));
    let prefix = prefix.filter(|prefix| prefix.contains(&address)).max_by_key(|prefix| prefix.prefix_len())?;
    let bytes = address.octets();
    let behind = (usize::from(prefix.prefix_len()) / 8..bytes.len()).filter(|index| *index != UNUSED);
    let mut inside = [0; 4];
    for (byte, index) in inside.iter_mut().zip(behind) {
        *byte = *bytes.get(index)?;
    }
    Some(inside.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefix: &str, address: &str) {
        let prefixes = [prefix.parse().unwrap()];
        assert_eq!(inside(address.parse().unwrap(), &prefixes), Some(Ipv4Addr::new(192, 0, 2, 33)), "{address}");
    }

    #[test]
    fn the_examples_of_rfc_6052() {
        check("2001:db8::/32", "2001:db8:c000:221::");
        check("2001:db8:100::/40", "2001:db8:1c0:2:21::");
        check("2001:db8:122::/48", "2001:db8:122:c000:2:2100::");
        check("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::");
        check("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::");
        check("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33");
        check("2001:db8::/32", "64:ff9b::192.0.2.33");
    }

    #[test]
    fn other_addresses_have_no_embedded_one() {
        assert_eq!(inside("2001:db8::1".parse().unwrap(), &[]), None);
        assert_eq!(inside("64:ff9b:1::192.0.2.33".parse().unwrap(), &[]), None);
        let no_prefix = ["2001:db8::/33".parse().unwrap()];
        assert_eq!(inside("2001:db8:c000:221::".parse().unwrap(), &no_prefix), None);
    }
}
