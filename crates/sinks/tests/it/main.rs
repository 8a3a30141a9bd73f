//! The sinks, the guard and the client against real endpoints and brokers on this machine's loopback addresses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod client;
mod conformance;
mod connections;
mod endpoint;
mod fairness;
mod guard;
mod http2;
mod kafka;
mod name_server;
mod outcomes;
mod pubsub;
mod resolver;
mod stale;
mod tls;
mod traces;
