//! The Events API bridge: turns the older webhooks of self-hosted PIMs into Event Platform events, deltas included
//! (contract page 6, second part, and page 7).
//!
//! Reading order: an event of a request ([`notice`]) and what it is about ([`subject`]), the state of an entity
//! ([`state`]) and when two values are the same ([`sameness`]), the difference of two states ([`delta`]), the events that
//! come of all that ([`making`]); then the [`bridge`] that does it in order and in one commit, with attribute types from
//! the PIM ([`attributes`]) and a [`note`] for the operator. What the PIM failed to send is found by [`reconcile`].

mod field;
pub mod notice;
pub mod subject;

pub mod delta;
mod index;
pub mod making;
pub mod sameness;
pub mod state;

pub mod attributes;
pub mod bridge;
pub mod note;
mod seldom;

pub mod reconcile;

pub use attributes::AttributeSource;
pub use bridge::{Bridge, Counts, Taken};
pub use note::Note;
pub use notice::{BodyError, Received};
pub use reconcile::{EntityKind, EntityPage, EntitySource, Reconciler};

use std::time::Duration;

/// How far a request's timestamp may be off the clock, in either direction (contract page 7).
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// The header with the signature.
pub const SIGNATURE: &str = "x-akeneo-request-signature";
/// The header with the Unix seconds that are signed with the body.
pub const TIMESTAMP: &str = "x-akeneo-request-timestamp";
