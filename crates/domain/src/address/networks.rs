//! The forbidden networks (contract pages 4 and 7, address guard) and their descriptions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A forbidden network.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Rule {
    /// The network.
    pub(crate) network: IpNet,
    /// Description of its addresses, with an article: it follows "is".
    pub(crate) what: &'static str,
}

const fn v4(address: [u8; 4], prefix: u8, what: &'static str) -> Rule {
    let [a, b, c, d] = address;
    Rule { network: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)), what }
}

const fn v6(first: [u16; 4], prefix: u8, what: &'static str) -> Rule {
    let [a, b, c, d] = first;
    Rule { network: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)), what }
}

const fn v6_whole(segments: [u16; 8], prefix: u8, what: &'static str) -> Rule {
    let [a, b, c, d, e, f, g, h] = segments;
    Rule { network: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)), what }
}

/// Narrow rules precede the wide ones that contain them: the first match is the reason given.
pub(super) static RULES: [Rule; 42] = [
    v4([169, 254, 169, 254], 32, "a cloud metadata address"),
    v4([169, 254, 170, 2], 32, "a cloud metadata address"),
    v4([100, 100, 100, 200], 32, "a cloud metadata address"),
    v4([192, 0, 0, 192], 32, "a cloud metadata address"),
    v4([168, 63, 129, 16], 32, "a cloud metadata address"),
    v4([0, 0, 0, 0], 8, "an address of \"this network\""),
    v4([10, 0, 0, 0], 8, "a private address"),
    v4([100, 64, 0, 0], 10, "an address of carrier-grade NAT"),
    v4([127, 0, 0, 0], 8, "a loopback address"),
    v4([169, 254, 0, 0], 16, "a link-local address"),
    v4([172, 16, 0, 0], 12, "a private address"),
    v4([192, 0, 0, 0], 24, "an address for network protocols"),
    v4([192, 0, 2, 0], 24, "a documentation address"),
    v4([192, 88, 99, 0], 24, "a 6to4 relay address"),
    v4([192, 168, 0, 0], 16, "a private address"),
    v4([198, 18, 0, 0], 15, "an address for benchmarks"),
    v4([198, 51, 100, 0], 24, "a documentation address"),
    v4([203, 0, 113, 0], 24, "a documentation address"),
    v4([224, 0, 0, 0], 4, "a multicast address"),
    v4([255, 255, 255, 255], 32, "the broadcast address"),
    v4([240, 0, 0, 0], 4, "a reserved address"),
    v6_whole([0, 0, 0, 0, 0, 0, 0, 1], 128, "a loopback address"),
    v6_whole([0, 0, 0, 0, 0, 0, 0, 0], 128, "the unspecified address"),
    v6_whole([0, 0, 0, 0, 0, 0, 0, 0], 96, "an IPv4-compatible address"),
    v6_whole([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "an IPv4-translated address"),
    v6([0x64, 0xff9b, 1, 0], 48, "a NAT64 address"),
    v6([0x100, 0, 0, 0], 64, "a discard-only address"),
    v6([0x2001, 0, 0, 0], 32, "a Teredo address"),
    v6([0x2001, 0xdb8, 0, 0], 32, "a documentation address"),
    v6([0x2001, 0, 0, 0], 23, "an address for network protocols"),
    v6([0x2002, 0, 0, 0], 16, "a 6to4 address"),
    v6([0x3fff, 0, 0, 0], 20, "a documentation address"),
    v6([0x5f00, 0, 0, 0], 16, "a segment routing address"),
    v6([0xfd00, 0xec2, 0, 0], 32, "a cloud metadata address"),
    v6([0xfd20, 0xce, 0, 0], 32, "a cloud metadata address"),
    v6([0xfc00, 0, 0, 0], 7, "a unique local address"),
    v6([0xfe80, 0, 0, 0], 10, "a link-local address"),
    v6([0xfec0, 0, 0, 0], 10, "a site-local address"),
    v6([0xff00, 0, 0, 0], 8, "a multicast address"),
    // All global unicast addresses of IPv6 are in 2000::/3; the rest is unassigned.
    v6([0, 0, 0, 0], 3, "a reserved address"),
    v6([0x4000, 0, 0, 0], 2, "a reserved address"),
    v6([0x8000, 0, 0, 0], 1, "a reserved address"),
];

/// The rule that forbids `address`, if any.
pub(crate) fn forbidding(address: IpAddr) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.network.contains(&address))
}
