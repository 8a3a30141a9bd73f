//! What the platform must know about a type of destination.

use std::fmt;

use super::{CustomHeaders, DestinationType};

/// What all destinations of a type have in common.
#[derive(Debug)]
pub struct Descriptor {
    /// The type's name.
    pub name: &'static str,
    /// How a lane sends to it.
    pub manner: Manner,
    /// Whether attempts carry the trace of each event, where the operator wants traces to go on at destinations.
    pub carries_traces: bool,
    /// Its section of the guide for integrators: a page under `docs/` and the anchor in it.
    pub guide: &'static str,
}

/// How a destination takes events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Manner {
    /// An endpoint: one event per attempt, many attempts at a time, at a pace found by trying. A failed event is
    /// retried later and holds up no other.
    #[default]
    OneByOne,
    /// A topic: a batch per attempt, one attempt at a time. A failed event is sent again in its place and nothing
    /// passes it, so order is kept.
    InBatches(BatchLimits),
}

/// The largest batch of a type of destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchLimits {
    /// Events.
    pub events: usize,
    /// Bytes of events; a single event may be larger.
    pub bytes: usize,
}

/// What attempts send to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// An HTTP server: each event is POSTed. The subscriptions of a PIM share a rate for each server.
    Server {
        /// Its host, as it was given.
        host: &'a str,
        /// Its port.
        port: u16,
    },
    /// A topic or queue of a messaging system.
    Topic {
        /// The system, by its name in OpenTelemetry's conventions (`messaging.system`).
        system: &'static str,
        /// The topic's name within the system.
        name: &'a str,
    },
}

/// What a destination of some type says about itself. Its `Display` is its name in notifications and logs.
pub(super) trait Traits: fmt::Display {
    /// Its type.
    fn of_type(&self) -> DestinationType;

    /// The custom headers.
    fn headers(&self) -> &CustomHeaders;

    /// The fields that tell where events go. With another value in one of them it is another destination: pace, window
    /// and patience start anew. Secrets, credentials, TLS and headers are not among them: they tell how it is reached.
    /// Their order is part of what is stored ([`Identity::number`](super::Identity::number)).
    fn identity(&self) -> Vec<&str>;

    /// The host that attempts talk to, without a port.
    fn host(&self) -> &str;

    /// What attempts send to.
    fn target(&self) -> Target<'_>;
}
