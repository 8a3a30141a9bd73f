//! Target host of a request: exactly one valid host (RFC 9112, 3.2).

use http::Uri;

use super::Fault;
use crate::refusal::because;

/// Rejects a request without exactly one valid host. With a target in absolute form, its authority is the host,
/// regardless of `Host`; HTTP/1.0 may omit it.
pub(super) fn judge(uri: &Uri, hosts: &[&[u8]], is_1_1: bool) -> Result<(), Fault> {
    let refuse = |message: &str| Err(Fault::new(because::INVALID_HOST, message));
    if hosts.len() > 1 {
        return refuse("the header Host is present more than once");
    }
    if let Some(authority) = uri.authority() {
        return match is_host(authority.as_str().as_bytes()) {
            true => Ok(()),
            false => refuse("the host in the request's target is invalid"),
        };
    }
    match hosts.first() {
        None if is_1_1 => refuse("the header Host is missing"),
        None => Ok(()),
        Some(host) if is_host(host) => Ok(()),
        Some([]) => refuse("the header Host is empty"),
        Some(_) => refuse("the header Host is not a host with an optional port"),
    }
}

/// `uri-host [":" port]` of RFC 3986 with a non-empty host.
fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            let literal = std::str::from_utf8(&rest[..end]).unwrap_or_default();
            if literal.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (&rest[..=end], &rest[end + 1..])
        }
        _ => text.split_at(text.iter().position(|byte| *byte == b':').unwrap_or(text.len())),
    };
    let port_is_valid = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    port_is_valid && !host.is_empty() && (text[0] == b'[' || is_name(host))
}

/// A registered name: unreserved characters, percent-encoded bytes, sub-delimiters.
fn is_name(host: &[u8]) -> bool {
    let mut rest = host;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
            (byte, tail) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => tail,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, hosts: &[&str], valid: bool) {
        let hosts: Vec<&[u8]> = hosts.iter().map(|host| host.as_bytes()).collect();
        assert_eq!(judge(&target.parse().unwrap(), &hosts, true).is_ok(), valid, "{target} {hosts:?}");
    }

    #[test]
    fn there_is_exactly_one_valid_host() {
        check("/", &[], false);
        for valid in ["localhost", "a.example:8080", "a.example:", "127.0.0.1", "[::1]", "[2001:db8::1]:443", "a%20b"] {
            check("/", &[valid], true);
            check("/", &[valid, valid], false);
        }
        for invalid in [
            "", " ", ":80", "a b", "a@b", "a/b", "a:b", "a:123456", "[::1", "[::g]", "[::1]x", "[]", "a,b.c:d", "é",
            "a%2", "a?b", "a#b",
        ] {
            check("/", &[invalid], false);
        }
    }

    #[test]
    fn the_authority_of_an_absolute_target_counts() {
        check("http://a.example/x", &["b.example"], true);
        check("http://a.example:80/x", &[], true);
        check("http://a.example/x", &["b c"], true);
        check("http://a.example/x", &["a.example", "a.example"], false);
        check("http://julia@a.example/x", &["a.example"], false);
        check("*", &["a.example"], true);
        check("*", &[], false);
    }

    #[test]
    fn http_1_0_may_leave_it_out() {
        assert!(judge(&"/".parse().unwrap(), &[], false).is_ok());
        assert!(judge(&"/".parse().unwrap(), &[b""], false).is_err());
    }
}
