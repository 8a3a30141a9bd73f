//! Public JSON: canonical text, CloudEvents in and out byte for byte, signatures, API bodies.
//!
//! Reading order: the underlying JSON ([`json`]), faults of rejected requests ([`fault`]), ingest of events
//! ([`cloudevents`]), their delivery ([`envelope`]) and its signature ([`signature`]).

pub mod json;

pub mod fault;

pub mod cloudevents;
pub mod envelope;
pub mod notification;
pub mod signature;

pub mod api;

pub mod schema;

pub use fault::Fault;
