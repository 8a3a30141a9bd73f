//! Public JSON: canonical text, CloudEvents in and out byte for byte, signatures, API bodies.
//!
//! Reading order: the JSON that everything here is made of ([`json`]), what is told about a request that is refused
//! ([`fault`]).

pub mod json;

pub mod fault;

pub mod schema;

pub use fault::Fault;
