//! Delivery of one subscription's events: when to send, when to retry, when to stop. No clock, no IO, no async.
//!
//! A [`Lane`] receives inputs with the current time ([`Lane::handle`]). It returns its actions ([`Lane::poll`]) and the
//! time of its next timer ([`Lane::poll_timeout`]). All of contract page 4 lives here and is tested under virtual time.

pub mod settings;

pub mod pace;
pub mod window;

pub mod waiting;

pub mod backoff;

pub mod patience;

pub mod replay;

pub mod lane;
pub mod memory;

pub use lane::{Input, Lane, Output, Ticket};
pub use settings::Settings;
