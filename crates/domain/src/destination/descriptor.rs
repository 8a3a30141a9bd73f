//! The platform's knowledge about a type of destination.

use std::fmt;

use super::{CustomHeaders, DestinationType};

/// Properties shared by all destinations of a type.
#[derive(Debug)]
pub struct Descriptor {
    /// Name of the type.
    pub name: &'static str,
    /// The format of stored data that introduced the type. While a node reads only older ones, none can be created.
    pub format: u32,
    /// How a lane sends to it.
    pub manner: Manner,
    /// Whether attempts carry the trace of each event, if the operator continues traces at destinations.
    pub carries_traces: bool,
    /// Section of the integrators' guide: a page under `docs/` with an anchor.
    pub guide: &'static str,
}

/// How a destination accepts events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Manner {
    /// An endpoint: one event per attempt, many concurrent attempts, at a pace found by trial. A failed event is
    /// retried later and delays no others.
    #[default]
    OneByOne,
    /// A topic: one batch per attempt, one attempt at a time. A failed event is resent in its place and later events
    /// wait, so order is kept.
    InBatches(BatchLimits),
}

/// Maximum batch of a type of destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchLimits {
    /// Number of events.
    pub events: usize,
    /// Bytes of events; a single event may be larger.
    pub bytes: usize,
}

/// Target of attempts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// An HTTP server: each event is POSTed. The subscriptions of a PIM share a rate per server.
    Server {
        /// Host as given.
        host: &'a str,
        /// Port.
        port: u16,
    },
    /// A topic or queue of a messaging system.
    Topic {
        /// Name of the system in OpenTelemetry's conventions (`messaging.system`).
        system: &'static str,
        /// Name of the topic within the system.
        name: &'a str,
    },
}

/// Behaviour of a destination. Its `Display` is its name in notifications and logs.
pub(super) trait Traits: fmt::Display {
    /// Type of the destination.
    fn of_type(&self) -> DestinationType;

    /// The custom headers.
    fn headers(&self) -> &CustomHeaders;

    /// The fields that identify the receiver of events. A change to one of them makes a different destination: pace,
    /// window and patience are reset. Secrets, credentials, TLS and headers are not among them: they only determine how
    /// it is reached. Their order is part of the stored format ([`Identity::number`](super::Identity::number)).
    fn identity(&self) -> Vec<&str>;

    /// Host that attempts connect to, without a port.
    fn host(&self) -> &str;

    /// Target of attempts.
    fn target(&self) -> Target<'_>;
}
