//! Public JSON: canonical text, CloudEvents in and out byte for byte, signatures, API bodies.
//!
//! Reading order: the JSON that everything here is made of ([`json`]), what is told about a request that is refused
//! ([`fault`]), an event's way in ([`cloudevents`]), out ([`envelope`]) and its seal ([`signature`]).

pub mod json;

pub mod fault;

pub mod cloudevents;
pub mod envelope;
pub mod notification;
pub mod signature;

pub mod api;

pub mod schema;

pub use fault::Fault;
