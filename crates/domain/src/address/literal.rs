//! Addresses in every notation understood by some resolver or client.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `host` is `localhost` or a name under it, in any case, with or without the final dot.
pub fn is_localhost(host: &str) -> bool {
    let host = plain(host);
    let name = host.strip_suffix('.').unwrap_or(&host);
    name == "localhost" || name.ends_with(".localhost")
}

/// The address denoted by `host` without DNS, as read by `inet_aton` and browsers; `None` for a name.
pub fn address_literal(host: &str) -> Option<IpAddr> {
    readings(host).into_iter().next()
}

/// Whether `host` ends in a number without being an IPv4 address in any notation (`256.256.256.256`, `shop.1`): the
/// WHATWG URL Standard's "ends in a number" check. No DNS name ends in a number (RFC 1123), so such a host can never
/// resolve.
pub fn is_broken_address(host: &str) -> bool {
    let host = plain(host);
    let dotted = host.strip_suffix('.').unwrap_or(&host);
    let last = dotted.rsplit('.').next().unwrap_or_default();
    let hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(hexadecimal);
    number && ipv4(dotted, 8).is_none()
}

/// All possible readings of `host` as an address: several if a leading zero means octal to some programs only
/// (`010.0.0.1`). Empty for a name.
pub(super) fn readings(host: &str) -> Vec<IpAddr> {
    let host = plain(host);
    if let Some(v6) = ipv6(&host) {
        return vec![IpAddr::V6(v6)];
    }
    let dotted = host.strip_suffix('.').unwrap_or(&host);
    let octal = ipv4(dotted, 8);
    let decimal = ipv4(dotted, 10).filter(|other| Some(*other) != octal);
    octal.into_iter().chain(decimal).map(IpAddr::V4).collect()
}

/// Undoes obfuscation of a host: percent-encoding, upper case, wide digits and dots (UTS 46).
fn plain(host: &str) -> String {
    let host = percent_decoded(host);
    if host.is_ascii() {
        return host.to_ascii_lowercase();
    }
    idna::domain_to_ascii(&host).unwrap_or_else(|_| host.to_lowercase())
}

fn percent_decoded(host: &str) -> Cow<'_, str> {
    // In an IPv6 literal `%` starts a zone id.
    if !host.contains('%') || host.contains(':') {
        return Cow::Borrowed(host);
    }
    let mut bytes = Vec::with_capacity(host.len());
    let mut rest = host.as_bytes();
    while let [first, after @ ..] = rest {
        let decoded = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                hex_digit(*high).zip(hex_digit(*low)).map(|(high, low)| (high * 16 + low, after))
            }
            _ => None,
        };
        let (byte, after) = decoded.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(host), Cow::Owned)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    let inner = host.strip_prefix('[').map_or(host, |inner| inner.strip_suffix(']').unwrap_or(inner));
    // A zone (`fe80::1%eth0`, `%25eth0`) selects an interface, not a different address.
    let address = inner.split_once('%').map_or(inner, |(address, _)| address);
    address.parse().ok()
}

/// One to four numbers; the last one fills the remaining bytes. `zero` is the base denoted by a leading zero.
fn ipv4(host: &str, zero: u32) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = host.split('.').map(|part| number(part, zero)).collect::<Option<_>>()?;
    let (last, bytes) = parts.split_last()?;
    let room = 4u32.checked_sub(bytes.len() as u32).filter(|room| *room > 0)?;
    if u64::from(*last) >= 1u64 << (8 * room) {
        return None;
    }
    let mut address = *last;
    for (index, byte) in bytes.iter().enumerate() {
        let byte = u8::try_from(*byte).ok()?;
        address |= u32::from(byte) << (24 - 8 * index as u32);
    }
    Some(Ipv4Addr::from_bits(address))
}

fn number(part: &str, zero: u32) -> Option<u32> {
    let (digits, base) = match part.strip_prefix("0x") {
        // Browsers read a bare `0x` as zero.
        Some("") => ("0", 16),
        Some(digits) => (digits, 16),
        None if part.len() > 1 && part.starts_with('0') => (part, zero),
        None => (part, 10),
    };
    // `from_str_radix` would accept a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    u32::from_str_radix(digits, base).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ending_in_a_number_are_addresses_or_invalid() {
        let check = |host: &str, expect: bool| assert_eq!(is_broken_address(host), expect, "{host}");
        for address in ["192.0.2.1", "192.0.2.1.", "127.1", "2130706433", "0x7f.1", "0X7F.1", "0177.0.0.1", "0x"] {
            check(address, false);
        }
        for broken in ["256.256.256.256", "1.2.3.4.5", "shop.1", "shop.0x1", "shop.0x", "192.0.2.256.", "4294967296"] {
            check(broken, true);
        }
        for broken in ["192.0.2.09", "１.2.3.４.5", "a..1"] {
            check(broken, true);
        }
        for name in ["shop.example", "1.example", "shop.1a", "shop.0xg", "0xabc.example.", "", ".", "::1", "[::1]"] {
            check(name, false);
        }
    }
}
