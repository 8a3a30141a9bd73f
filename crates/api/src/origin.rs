//! Unverified origin of a request: used for shares and rates, never for access.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// Header in which a proxy names its client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// An address, or the network of one typical customer: an IPv4 address, or the first 64 bits of an IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Origin {
    V4(u32),
    V6(u64),
}

impl Origin {
    /// Requests without a connection.
    pub(crate) const UNKNOWN: Origin = Origin::V4(0);

    pub(crate) fn of(address: IpAddr) -> Origin {
        match address.to_canonical() {
            IpAddr::V4(address) => Origin::V4(address.into()),
            IpAddr::V6(address) => Origin::V6((u128::from(address) >> 64) as u64),
        }
    }

    /// A number that identifies it.
    pub(crate) fn number(self) -> u64 {
        match self {
            // No global IPv6 network begins with 32 zero bits.
            Origin::V4(address) => address.into(),
            Origin::V6(network) => network,
        }
    }
}

/// Remote end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Origin of a request: its peer, or the client named by a trusted proxy. The last address in `X-Forwarded-For` that is
/// not a trusted proxy counts, because the client controls those before it.
pub(crate) fn of_request(peer: Option<Peer>, headers: &HeaderMap, proxies: &[IpNet]) -> Origin {
    peer.map_or(Origin::UNKNOWN, |peer| Origin::of(address(peer, headers, proxies)))
}

/// The same as an address.
pub(crate) fn address(Peer(peer): Peer, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|network| network.contains(&address.to_canonical()));
    if !is_proxy(&peer) {
        return peer;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev().filter_map(|value| value.to_str().ok());
    let addresses = lines.flat_map(|line| line.rsplit(',')).map_while(|text| text.trim().parse().ok());
    addresses.into_iter().find(|address| !is_proxy(address)).unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, same: bool) {
        let of = |text: &str| Origin::of(text.parse().unwrap());
        assert_eq!(of(one) == of(other), same, "{one} {other}");
        assert_eq!(of(one).number() == of(other).number(), same, "{one} {other}");
    }

    #[test]
    fn an_ipv6_network_is_one_origin() {
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }

    #[track_caller]
    fn check_forwarded(peer: &str, lines: &[&str], expect: &str) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let proxies = ["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let origin = of_request(Some(Peer(peer.parse().unwrap())), &headers, &proxies);
        assert_eq!(origin, Origin::of(expect.parse().unwrap()), "{peer} {lines:?}");
    }

    #[test]
    fn only_the_operators_proxies_say_for_whom_they_ask() {
        check_forwarded("192.0.2.1", &[], "192.0.2.1");
        check_forwarded("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check_forwarded("127.0.0.1", &[], "127.0.0.1");
        check_forwarded("127.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check_forwarded("::ffff:127.0.0.1", &["2001:db8::1"], "2001:db8::1");
        // Forged addresses precede those added by the proxies.
        check_forwarded("127.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.3"], "198.51.100.7");
        check_forwarded("127.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7");
        check_forwarded("127.0.0.1", &["198.51.100.7, nonsense"], "127.0.0.1");
        check_forwarded("127.0.0.1", &["10.0.0.3"], "127.0.0.1");
    }
}
