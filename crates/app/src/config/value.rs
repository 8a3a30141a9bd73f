//! Conversion of setting values from and to TOML. A constructed value is always valid.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::Secret;
use domain::address::is_translator_prefix;
use domain::credential::without_line_break;
use domain::pim::url_key;
use ipnet::{IpNet, Ipv6Net};

use super::typed::{Kind, Place, Typed};
use super::units;

/// An invalid typed value: its place, and the value found.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) place: Place,
    pub(super) found: String,
}

/// Type of a setting's value.
pub(super) trait Value: Sized {
    /// Whether the value is masked when the configuration is printed.
    const SECRET: bool = false;

    /// Description of valid values, to follow "expected".
    fn expected() -> String;

    /// Parses a value; `None` if invalid.
    fn read(typed: &Typed) -> Option<Self>;

    /// Like [`Value::read`], with the innermost invalid place.
    fn read_or_point(typed: &Typed) -> Result<Self, Wrong> {
        Self::read(typed).ok_or_else(|| Wrong {
            place: typed.place.clone(),
            found: if Self::SECRET { "another value".to_owned() } else { typed.found() },
        })
    }

    /// Formats the value as TOML.
    fn show(&self) -> String;
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Value for Duration {
    fn expected() -> String {
        "a duration with its unit, such as \"500ms\", \"5s\", \"10m\", \"24h\" or \"30d\"".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        units::parse_duration(typed.text()?)
    }
    fn show(&self) -> String {
        quoted(&units::show_duration(*self))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size(pub(crate) u64);

impl Value for Size {
    fn expected() -> String {
        "a size such as \"256 KiB\" or \"64 MiB\"".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        match &typed.kind {
            Kind::Number(number) => number.parse().ok().map(Size),
            _ => units::parse_size(typed.text()?).map(Size),
        }
    }
    fn show(&self) -> String {
        quoted(&units::show_size(self.0))
    }
}

/// Events or requests per second, more than 0.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) struct PerSecond(pub(crate) f64);

impl Value for PerSecond {
    fn expected() -> String {
        "a number per second above 0, such as 100 or 0.5".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        let number: f64 = text.trim().parse().ok()?;
        (number.is_finite() && number > 0.0).then_some(PerSecond(number))
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A whole number of at least 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(crate) struct Count(pub(crate) usize);

impl Value for Count {
    fn expected() -> String {
        "a whole number of at least 1".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        text.trim().parse().ok().filter(|number| *number > 0).map(Count)
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Deliveries per second to one host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HostRate(pub(crate) u32);

impl Value for HostRate {
    fn expected() -> String {
        "a whole number per second from 1 to 100000".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        text.trim().parse().ok().filter(|number| (1..=100_000).contains(number)).map(HostRate)
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A whole number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Amount(pub(crate) usize);

impl Value for Amount {
    fn expected() -> String {
        "a whole number, 0 or more".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        text.trim().parse().ok().map(Amount)
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A fraction from 0 to 1.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) struct Share(pub(crate) f64);

impl Value for Share {
    fn expected() -> String {
        "a number from 0 to 1, such as 0.01".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        let number: f64 = text.trim().parse().ok()?;
        (0.0..=1.0).contains(&number).then_some(Share(number))
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A port; 0 means the default or any free port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Port(pub(crate) u16);

impl Value for Port {
    fn expected() -> String {
        "a port from 1 to 65535, or 0 for the default".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        text.trim().parse().ok().map(Port)
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Value for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        match &typed.kind {
            Kind::Boolean(value) => Some(*value),
            Kind::Bare(text) => text.trim().parse().ok(),
            Kind::Text(_) | Kind::Number(_) | Kind::List(_) | Kind::Table(_) | Kind::Moment(_) => None,
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Non-empty text.
impl Value for String {
    fn expected() -> String {
        "text in quotes, not empty".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        typed.text().filter(|text| !text.trim().is_empty() && !text.contains(char::is_control)).map(str::to_owned)
    }
    fn show(&self) -> String {
        quoted(self)
    }
}

impl Value for PathBuf {
    fn expected() -> String {
        "a path in quotes".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        typed.text().filter(|text| !text.is_empty()).map(PathBuf::from)
    }
    fn show(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

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
        quoted(&format!("{}:{}", self.host, self.port))
    }
}

impl Value for Secret {
    const SECRET: bool = true;
    fn expected() -> String {
        "text in quotes, not empty, on one line".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        // Secret files and their contents read by a shell end in a line break that is not part of the secret.
        let text = without_line_break(typed.text()?);
        (!text.trim().is_empty() && !text.contains(char::is_control)).then(|| Secret::new(text))
    }
    fn show(&self) -> String {
        quoted(Secret::MASK)
    }
}

/// `""` means none.
impl<T: Value> Value for Option<T> {
    const SECRET: bool = T::SECRET;
    fn expected() -> String {
        format!("{}, or \"\" for none", T::expected())
    }
    fn read(typed: &Typed) -> Option<Self> {
        if typed.text().is_some_and(str::is_empty) { Some(None) } else { T::read(typed).map(Some) }
    }
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".to_owned(), T::show)
    }
}

impl<T: Value> Value for Vec<T> {
    const SECRET: bool = T::SECRET;
    fn expected() -> String {
        format!("a list; each item {}", T::expected())
    }
    fn read(typed: &Typed) -> Option<Self> {
        typed.items()?.iter().map(T::read).collect()
    }
    fn read_or_point(typed: &Typed) -> Result<Self, Wrong> {
        let wrong = || Wrong { place: typed.place.clone(), found: typed.found() };
        typed.items().ok_or_else(wrong)?.iter().map(T::read_or_point).collect()
    }
    fn show(&self) -> String {
        let items: Vec<String> = self.iter().map(T::show).collect();
        format!("[{}]", items.join(", "))
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

/// A setting with a few named values.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $name { $($(#[$vdoc])* $variant,)* }

        impl Value for $name {
            fn expected() -> String {
                format!("one of {}", [$(concat!("\"", $text, "\"")),*].join(", "))
            }
            fn read(typed: &Typed) -> Option<Self> {
                match typed.text()? {
                    $($text => Some($name::$variant),)*
                    _ => None,
                }
            }
            fn show(&self) -> String {
                quoted(match self { $($name::$variant => $text,)* })
            }
        }
    };
}

choice! {
    /// Handling of unknown event types.
    UnknownTypes {
        /// Stores, counts and reports them in the response.
        Accept = "accept",
        /// Rejects them, with the nearest known name.
        Reject = "reject",
    }
}

choice! {
    /// Validation of the payload of known types.
    SchemaCheck {
        /// Disabled.
        Off = "off",
        /// Logs deviations.
        Warn = "warn",
        /// Rejects deviations.
        Reject = "reject",
    }
}

choice! {
    /// Security of the connection to an SMTP server.
    SmtpSecurity {
        /// Starts in plain text and requires an upgrade to TLS.
        StartTls = "starttls",
        /// TLS from the first byte.
        Tls = "tls",
        /// None.
        None = "none",
    }
}

choice! {
    /// Log format.
    LogFormat {
        /// Human-readable on a terminal, JSON otherwise.
        Auto = "auto",
        /// Human-readable lines.
        Human = "human",
        /// One JSON object per line.
        Json = "json",
    }
}

choice! {
    /// How tokens of a PIM's API clients are checked.
    TokenCheckWay {
        /// `GET /api/rest/v1/token-info` of hosted PIMs.
        TokenInfo = "token-info",
        /// `GET /api/rest/v1/system-information`, PIM 6.0 and later.
        SystemInformation = "system-information",
        /// `GET /api/rest/v1/measurement-families`, PIM 5.0 and later.
        MeasurementFamilies = "measurement-families",
        /// Static tokens only; the PIM is not asked.
        Static = "static",
    }
}
