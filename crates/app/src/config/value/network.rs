//! Addresses, networks and URLs.

use std::fmt;
use std::net::SocketAddr;

use domain::address::is_translator_prefix;
use domain::pim::url_key;
use ipnet::{IpNet, Ipv6Net};

use super::{Typed, Value, quoted};

impl Value for SocketAddr {
    fn expected() -> String {
        "an address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"; port 0 takes any free port".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        typed.text()?.trim().parse().ok()
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for IpNet {
    fn expected() -> String {
        "a network such as \"10.1.0.0/16\" or \"127.0.0.1/32\"".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let text = typed.text()?.trim();
        text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// A NAT64 prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Nat64Prefix(pub(crate) Ipv6Net);

impl Value for Nat64Prefix {
    fn expected() -> String {
        "an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits such as \"2001:db8:64::/96\"".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let prefix: Ipv6Net = typed.text()?.trim().parse().ok()?;
        is_translator_prefix(&prefix).then_some(Nat64Prefix(prefix))
    }
    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

/// Host and port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HostPort {
    /// A name or an address, an IPv6 address in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Value for HostPort {
    fn expected() -> String {
        "a host and port such as \"example.com:443\"".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let authority: http::uri::Authority = typed.text()?.trim().parse().ok()?;
        let port = authority.port_u16().filter(|port| *port > 0)?;
        let is_plain = !authority.as_str().contains('@') && !authority.host().is_empty();
        is_plain.then(|| HostPort { host: authority.host().to_owned(), port })
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// An `http` or `https` base URL without user info, query, fragment and trailing slash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BaseUrl(pub(crate) String);

impl BaseUrl {
    /// Parses a URL.
    pub(crate) fn parse(text: &str) -> Option<BaseUrl> {
        let uri: http::Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?;
        let authority = uri.authority()?;
        let plain = (scheme == "http" || scheme == "https")
            && !authority.as_str().contains('@')
            && !authority.host().is_empty()
            && uri.query().is_none()
            && !text.contains('#');
        plain.then(|| BaseUrl(text.trim_end_matches('/').to_owned()))
    }
}

impl Value for BaseUrl {
    fn expected() -> String {
        "a URL such as \"https://events.example.com\", without user, query and fragment".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        BaseUrl::parse(typed.text()?)
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// Origin of a site: scheme, host and port. Safe within a `Content-Security-Policy`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WebOrigin(pub(crate) String);

impl Value for WebOrigin {
    fn expected() -> String {
        "an origin such as \"https://app.example.com\", without a path".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let BaseUrl(url) = BaseUrl::parse(typed.text()?)?;
        let (_, authority) = url.split_once("://")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        authority.bytes().all(plain).then_some(WebOrigin(url))
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// Base URL of a PIM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PimUrl {
    /// As typed, without trailing slash.
    pub(crate) url: String,
    /// In normalised form, for comparison.
    pub(crate) key: String,
}

impl PimUrl {
    /// Parses a URL with the same rules as the header `X-PIM-URL`.
    pub(crate) fn parse(text: &str) -> Option<PimUrl> {
        Some(PimUrl { url: text.trim_end_matches('/').to_owned(), key: url_key(text)? })
    }
}

impl Value for PimUrl {
    fn expected() -> String {
        "the base URL of a PIM such as \"https://pim.example.com\", without user, query and fragment".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        PimUrl::parse(typed.text()?)
    }
    fn show(&self) -> String {
        quoted(&self.url)
    }
}
