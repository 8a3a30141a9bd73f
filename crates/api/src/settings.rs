//! Operator settings of the API; the defaults are the contract's.

use std::time::Duration;

use domain::address::AddressPolicy;
use domain::destination::DestinationType;
use ipnet::IpNet;
use store::transition::Frequent;

use crate::auth::operator::OperatorKey;

/// Settings of the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Public URL of the platform, `https://…` without a trailing slash, used in `dataschema` and links.
    pub public_url: String,
    /// CloudEvents `source` of delivered events.
    pub source: String,
    /// Highest rate of a subscription, in deliveries per second: the upper limit for replays.
    pub highest_rate: f64,
    /// How long delivered events are kept.
    pub keep_delivered: Duration,
    /// Base URL of the pages about error reasons in log entries, without a trailing slash; the reason is appended.
    /// `None`: the platform's own, `/docs/errors`.
    pub documentation_url: Option<String>,
    /// Key of the operator API; without it, the API is disabled.
    pub operator_key: Option<OperatorKey>,
    /// Key for `/metrics`; the operator key also works. Without both, it is disabled.
    pub metrics_key: Option<OperatorKey>,
    /// Frequency of suspensions above which the owner is advised to fix the cause.
    pub frequent: Frequent,
    /// Requests per second for each (tenant, client id).
    pub requests_per_second: u32,
    /// Handling of unknown event types.
    pub unknown_types: UnknownTypes,
    /// Handling of schema violations.
    pub schema_check: SchemaCheck,
    /// Whether destinations and notification URLs may be `http://`, for development.
    pub allow_http: bool,
    /// Non-public networks allowed for destinations.
    pub addresses: AddressPolicy,
    /// Destination types of this installation.
    pub destination_types: Vec<DestinationType>,
    /// Whether the console is served, so that links to it lead somewhere.
    pub console: bool,
    /// Whether addresses of technical contacts must be confirmed.
    pub confirm_addresses: bool,
    /// Lifetimes of cached token verdicts.
    pub verdicts: VerdictCache,
    /// Limits of connections and of reading.
    pub server: ServerBounds,
    /// The operator's own proxies: their `X-Forwarded-For` names the origin of a request.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            public_url: "http://localhost:8080".into(),
            source: "akeneo-event-platform".into(),
            highest_rate: 100.0,
            keep_delivered: Duration::from_hours(24),
            documentation_url: None,
            operator_key: None,
            metrics_key: None,
            frequent: Frequent::default(),
            requests_per_second: 100,
            unknown_types: UnknownTypes::Accept,
            schema_check: SchemaCheck::Warn,
            allow_http: false,
            addresses: AddressPolicy::default(),
            destination_types: DestinationType::ALL.to_vec(),
            console: true,
            confirm_addresses: false,
            verdicts: VerdictCache::default(),
            server: ServerBounds::default(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// The cache of token verdicts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerdictCache {
    /// Lifetime of a positive verdict (contract page 7, "Token check": 60 s).
    pub yes: Duration,
    /// Lifetime of a negative verdict (contract page 7, "Token check": 5 s).
    pub no: Duration,
    /// Maximum number of cached verdicts of each kind: callers fill this cache, so it is bounded.
    pub at_most: usize,
    /// Maximum duration of a check, including the wait for its turn.
    pub check: Duration,
}

impl Default for VerdictCache {
    fn default() -> VerdictCache {
        VerdictCache {
            yes: Duration::from_secs(60),
            no: Duration::from_secs(5),
            at_most: 10_000,
            check: Duration::from_secs(2),
        }
    }
}

/// Handling of unknown event types (contract page 7, "Unknown event types").
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UnknownTypes {
    /// Accepts and counts them, and lists them in the response.
    #[default]
    Accept,
    /// Rejects them, with the nearest known name.
    Reject,
}

/// Handling of events whose payload does not match the schema of their type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SchemaCheck {
    /// Disabled.
    Off,
    /// Accepts and counts them, and occasionally logs them for the operator.
    #[default]
    Warn,
    /// Rejects them.
    Reject,
}

/// Limits that keep slow or greedy clients from starving others.
#[derive(Clone, Copy, Debug)]
pub struct ServerBounds {
    /// Maximum number of connections; further ones wait to be accepted.
    pub connections: usize,
    /// Maximum duration of a request's head, and of an idle connection.
    pub header_timeout: Duration,
    /// Maximum duration of a request's body.
    pub body_timeout: Duration,
    /// Maximum size of a management request's body (contract page 7: 256 KiB).
    pub management_body: usize,
    /// Maximum size of an ingest request's body (contract page 6: 5 MiB).
    pub ingest_body: usize,
    /// Maximum total size of bodies in memory; an eighth is for Events API requests whose signature is still
    /// unverified.
    pub body_memory: u64,
    /// Time for requests in flight to complete when the server stops.
    pub drain: Duration,
    /// Bytes per second that a client must read of a response.
    pub answer_pace: u32,
    /// How far a client may fall behind that.
    pub answer_grace: Duration,
}

impl Default for ServerBounds {
    fn default() -> ServerBounds {
        ServerBounds {
            connections: 8192,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            management_body: 256 * 1024,
            ingest_body: 5 * 1024 * 1024,
            body_memory: 64 * 1024 * 1024,
            drain: Duration::from_secs(10),
            answer_pace: 32 * 1024,
            answer_grace: Duration::from_secs(10),
        }
    }
}
