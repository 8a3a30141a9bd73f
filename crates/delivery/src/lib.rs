//! How one subscription's events are delivered: when to send, when to try again, when to stop. No clock, no IO, no async.
//!
//! A [`Lane`] is told what happened and what time it is ([`Lane::handle`]), and answers what to do ([`Lane::poll`]) and when it wants
//! to be asked again ([`Lane::poll_timeout`]). All of the contract's page 4 lives here and is tested under virtual time.

pub mod settings;

pub mod pace;
pub mod window;

pub mod waiting;

pub mod backoff;

pub mod patience;

pub mod lane;
pub mod memory;

pub use lane::{Input, Lane, Output, Ticket};
pub use settings::Settings;
