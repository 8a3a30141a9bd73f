//! What an operator may set about the API; the defaults are the contract's.

use std::time::Duration;

use domain::address::AddressPolicy;
use domain::destination::DestinationType;
use ipnet::IpNet;
use store::transition::Frequent;

use crate::auth::operator::OperatorKey;

/// Settings of the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://…` under which the platform is reached from outside, without a trailing slash: in `dataschema` and links.
    pub public_url: String,
    /// Where the pages are that explain error reasons, without a slash at its end; a reason's name follows it: in log
    /// entries. `None`: the platform's own, `/docs/errors`.
    pub documentation_url: Option<String>,
    /// The key of the operator's API; without one it is off.
    pub operator_key: Option<OperatorKey>,
    /// The key for `/metrics`; the operator's opens it as well. Without any of them it is off.
    pub metrics_key: Option<OperatorKey>,
    /// When the owner of a subscription is told that it is suspended too often.
    pub frequent: Frequent,
    /// Requests a second for each (tenant, client id).
    pub requests_per_second: u32,
    /// What happens to events of types that are not known.
    pub unknown_types: UnknownTypes,
    /// What happens to events whose payload does not fit the schema of their type.
    pub schema_check: SchemaCheck,
    /// Whether destinations and notification URLs may be `http://`: for development.
    pub allow_http: bool,
    /// Addresses that destinations may have beyond public ones.
    pub addresses: AddressPolicy,
    /// Types of destination that this installation was built with.
    pub destination_types: Vec<DestinationType>,
    /// How long PIMs' answers about tokens are believed.
    pub verdicts: VerdictCache,
    /// Bounds of connections and of reading.
    pub server: ServerBounds,
    /// Networks of the operator's own proxies: of a request from there, `X-Forwarded-For` says where it comes from.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            public_url: "http://localhost:8080".into(),
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
            verdicts: VerdictCache::default(),
            server: ServerBounds::default(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// The memory of what PIMs said of tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerdictCache {
    /// How long a yes is believed (contract page 7, "Token check": 60 s).
    pub yes: Duration,
    /// How long a no is believed (contract page 7, "Token check": 5 s).
    pub no: Duration,
    /// Verdicts of each kind that are remembered at most: what a caller sends fills this memory, so it has an end.
    pub at_most: usize,
    /// How long a check may take in all, waiting for its turn included.
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

/// Events of unknown types (contract page 7, "Unknown event types").
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UnknownTypes {
    /// They are accepted and counted, and named in the answer.
    #[default]
    Accept,
    /// They are refused, with the nearest known name.
    Reject,
}

/// Events whose payload does not fit the schema of their type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SchemaCheck {
    /// Nobody looks.
    Off,
    /// They are accepted, counted, and told now and then in the operator's log.
    #[default]
    Warn,
    /// They are refused.
    Reject,
}

/// Bounds that keep slow or greedy clients from taking what the others need.
#[derive(Clone, Copy, Debug)]
pub struct ServerBounds {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long a request's head may take, and how long a connection may be idle.
    pub header_timeout: Duration,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// Bytes of a management request's body (contract page 7: 256 KiB).
    pub management_body: usize,
    /// Bytes of an ingest request's body (contract page 6: 5 MiB).
    pub ingest_body: usize,
    /// Bytes of all bodies that are held at once; an eighth of it is for requests of the Events API whose signature is
    /// yet to be checked.
    pub body_memory: u64,
    /// How long requests under way may take to end when the server stops.
    pub drain: Duration,
    /// Bytes of an answer that a client must read per second.
    pub answer_pace: u32,
    /// How far a client may be behind that.
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
