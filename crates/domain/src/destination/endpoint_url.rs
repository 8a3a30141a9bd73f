//! The URL of an endpoint: strict RFC 3986, kept and sent as given.

use std::net::{Ipv4Addr, Ipv6Addr};

use fluent_uri::Uri;
use serde::{Deserialize, Serialize};

use crate::address::is_broken_address;

/// An `https` (or, if the operator allows it, `http`) URL without user info and fragment, at most 2,048 characters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndpointUrl {
    pub(crate) text: String,
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) target_at: usize,
}

/// Why a text is not a valid [`EndpointUrl`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlError {
    /// More than 2,048 characters.
    #[error("the URL has {characters} characters, at most {} are allowed", EndpointUrl::MAX_CHARACTERS)]
    TooLong {
        /// Number of characters.
        characters: usize,
    },
    /// A character in a forbidden position. Nothing is repaired as in browsers.
    #[error("character {column} of the URL ({found}) is not allowed there (RFC 3986); percent-encode data")]
    Character {
        /// Column, from 1.
        column: usize,
        /// Human-readable form of the character.
        found: String,
    },
    /// Not an absolute URL with a host.
    #[error("expected an absolute URL such as https://example.com/events")]
    NotAbsolute,
    /// A scheme other than `https`.
    #[error("the URL must begin with https://")]
    Scheme,
    /// `http`, which only development settings allow.
    #[error("the URL must begin with https://; this platform does not allow http://")]
    Insecure,
    /// User name or password before the host.
    #[error("the URL must not contain a user name or password")]
    UserInfo,
    /// A fragment.
    #[error("the URL must not contain a fragment (`#…`), which is never sent")]
    Fragment,
    /// The host is neither a DNS name nor an address.
    #[error("the host of the URL is neither a DNS name nor an IP address: {0}")]
    Host(&'static str),
    /// The port is not between 1 and 65535.
    #[error("the port of the URL must be between 1 and 65535")]
    Port,
}

impl EndpointUrl {
    /// Maximum length of an endpoint's URL (contract page 7, "API").
    pub const MAX_CHARACTERS: usize = 2048;

    /// Parses a URL. Except for an IDN host, which becomes punycode, every byte stays unchanged; nothing is repaired.
    pub fn parse(text: &str, allow_http: bool) -> Result<EndpointUrl, UrlError> {
        let characters = text.chars().count();
        if characters > EndpointUrl::MAX_CHARACTERS {
            return Err(UrlError::TooLong { characters });
        }
        let text = punycode_host(text)?;
        let uri = Uri::parse(text.as_str()).map_err(|error| character_error(&text, error.index()))?;
        let tls = match uri.scheme().as_str().to_ascii_lowercase().as_str() {
            "https" => true,
            "http" if allow_http => false,
            "http" => return Err(UrlError::Insecure),
            _ => return Err(UrlError::Scheme),
        };
        let authority = uri.authority().ok_or(UrlError::NotAbsolute)?;
        if authority.has_userinfo() {
            return Err(UrlError::UserInfo);
        }
        if uri.has_fragment() {
            return Err(UrlError::Fragment);
        }
        let host = host_of(authority.host())?.to_owned();
        let port = match authority.port().map(|port| port.as_str()) {
            None | Some("") => usual_port(tls),
            Some(digits) => digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?,
        };
        let target_at = uri.scheme().as_str().len() + "://".len() + authority.as_str().len();
        Ok(EndpointUrl { tls, host, port, target_at, text })
    }

    /// The whole URL as given (IDN host as punycode).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scheme is `https`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host: an ASCII name or an address; IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, explicit or the scheme's default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query as sent in the request line; begins with `/`.
    pub fn target(&self) -> String {
        let target = &self.text[self.target_at..];
        if target.starts_with('/') { target.to_owned() } else { format!("/{target}") }
    }

    /// Host and port as in the `Host` header: without the scheme's default port.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == usual_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }
}

fn usual_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// Replaces a non-ASCII host by its punycode (IDNA) and leaves everything else unchanged.
fn punycode_host(text: &str) -> Result<String, UrlError> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(text.to_owned());
    };
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // User info is rejected later, with its own message.
    if authority.is_ascii() || authority.contains('@') {
        return Ok(text.to_owned());
    }
    let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
    let host = idna::domain_to_ascii_strict(host).map_err(|_| UrlError::Host("not a valid international name"))?;
    Ok(format!("{scheme}://{host}{port}{target}"))
}

fn character_error(text: &str, index: usize) -> UrlError {
    if !text.contains("://") {
        return UrlError::NotAbsolute;
    }
    match text.get(index..).and_then(|rest| rest.chars().next()) {
        Some(found) => UrlError::Character {
            column: text[..index].chars().count() + 1,
            found: if found.is_control() { format!("U+{:04X}", u32::from(found)) } else { format!("`{found}`") },
        },
        None => UrlError::NotAbsolute,
    }
}

/// Checks a host as it appears in an authority, and removes the brackets of an IPv6 address.
pub(super) fn host_of(host: &str) -> Result<&str, UrlError> {
    if let Some(bracketed) = host.strip_prefix('[') {
        let address = bracketed.strip_suffix(']').ok_or(UrlError::Host("the bracket is not closed"))?;
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok(address),
            Err(_) => Err(UrlError::Host("only an IPv6 address may be in brackets")),
        };
    }
    if host.is_empty() {
        return Err(UrlError::NotAbsolute);
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return Ok(host);
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > 253 {
        return Err(UrlError::Host("a name has at most 253 characters"));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(UrlError::Host("it has an empty part"));
        }
        if label.len() > 63 {
            return Err(UrlError::Host("a part of a name has at most 63 characters"));
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(UrlError::Host("a name consists of letters, digits, hyphens and dots"));
        }
    }
    if is_broken_address(host) {
        return Err(UrlError::Host("it ends in a number but is not an IPv4 address"));
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<(&str, u16, &str, &str), UrlError>) {
        let parsed = EndpointUrl::parse(text, false);
        let seen = parsed.as_ref().map(|url| (url.host(), url.port(), url.target(), url.authority()));
        let expect =
            expect.map(|(host, port, target, authority)| (host, port, target.to_owned(), authority.to_owned()));
        assert_eq!(seen.map_err(Clone::clone), expect, "{text}");
        if let (Ok(url), true) = (&parsed, text.is_ascii()) {
            assert_eq!(url.as_str(), text, "an ASCII URL stays byte for byte");
        }
    }

    #[test]
    fn urls_that_are_taken_stay_byte_for_byte() {
        check("https://example.com", Ok(("example.com", 443, "/", "example.com")));
        check("https://example.com?x=1", Ok(("example.com", 443, "/?x=1", "example.com")));
        check("https://example.com/", Ok(("example.com", 443, "/", "example.com")));
        check("HTTPS://Example.COM:443/A/../b", Ok(("Example.COM", 443, "/A/../b", "Example.COM")));
        check("https://example.com:8443/a?b=c%20d&e", Ok(("example.com", 8443, "/a?b=c%20d&e", "example.com:8443")));
        check("https://example.com:/a", Ok(("example.com", 443, "/a", "example.com")));
        check("https://[2001:db8::1]:8443/a", Ok(("2001:db8::1", 8443, "/a", "[2001:db8::1]:8443")));
        check("https://bücher.example:8443/a", Ok(("xn--bcher-kva.example", 8443, "/a", "xn--bcher-kva.example:8443")));
        check("https://my_host.example./", Ok(("my_host.example.", 443, "/", "my_host.example.")));
        // Wide digits hide an address; the address policy checks the result.
        check("https://１２７.0.0.1/", Ok(("127.0.0.1", 443, "/", "127.0.0.1")));
    }

    #[test]
    fn urls_that_browsers_repair_are_rejected() {
        let character = |column, found: &str| Err(UrlError::Character { column, found: found.to_owned() });
        check("https:\\\\example.com", Err(UrlError::NotAbsolute));
        check("https:/example.com", Err(UrlError::NotAbsolute));
        check("https:example.com", Err(UrlError::NotAbsolute));
        check("https://example.com\\a", character(20, "`\\`"));
        check("https://example.com/a b", character(22, "` `"));
        check(" https://example.com/", character(1, "` `"));
        check("https://exam\tple.com/", character(13, "U+0009"));
        check("https://example.com/%zz", character(21, "`%`"));
        check("https://example.com/é", character(21, "`é`"));
        check("https://example.com/a\n", character(22, "U+000A"));
    }

    #[test]
    fn parts_that_an_endpoint_may_not_have() {
        check("", Err(UrlError::NotAbsolute));
        check("example.com/a", Err(UrlError::NotAbsolute));
        check("//example.com/a", Err(UrlError::NotAbsolute));
        check("https:///a", Err(UrlError::NotAbsolute));
        check("http://example.com/", Err(UrlError::Insecure));
        check("ftp://example.com/", Err(UrlError::Scheme));
        check("https://user:pass@example.com/", Err(UrlError::UserInfo));
        check("https://@example.com/", Err(UrlError::UserInfo));
        check("https://example.com/#", Err(UrlError::Fragment));
        check("https://example.com:0/", Err(UrlError::Port));
        check("https://example.com:65536/", Err(UrlError::Port));
        check("https://a..example/", Err(UrlError::Host("it has an empty part")));
        check("https://%6cocalhost/", Err(UrlError::Host("a name consists of letters, digits, hyphens and dots")));
        check("https://[v1.x]/", Err(UrlError::Host("only an IPv6 address may be in brackets")));
        let number = Err(UrlError::Host("it ends in a number but is not an IPv4 address"));
        check("https://256.256.256.256/", number.clone());
        check("https://shop.example.123:8443/", number.clone());
        check("https://shop.0x7/", number);
        let long = format!("https://example.com/{}", "a".repeat(2029));
        check(&long, Err(UrlError::TooLong { characters: 2049 }));
        assert!(EndpointUrl::parse(&long[..2048], false).is_ok());
    }

    #[test]
    fn http_only_where_the_operator_allows_it() {
        let url = EndpointUrl::parse("http://localhost:8080/x", true).unwrap();
        assert_eq!((url.is_tls(), url.port(), url.authority().as_str()), (false, 8080, "localhost:8080"));
        assert_eq!(EndpointUrl::parse("http://example.com", true).unwrap().port(), 80);
    }
}
