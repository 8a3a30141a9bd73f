//! The Events API bridge: converts the older webhooks of self-hosted PIMs to Event Platform events, including deltas
//! (contract page 6, second part, and page 7).
//!
//! Reading order: an event of a request ([`notice`]) and its entity ([`entity`]), the state of an entity ([`state`])
//! and equality of values ([`sameness`]), the difference of two states ([`delta`]), the resulting events ([`making`]);
//! then the [`bridge`], which processes requests in order and in one commit, with attribute types from the PIM
//! ([`attributes`]) and the bridge's [`status`] for the operator. [`reconcile`] finds changes that the PIM failed to
//! send.

pub mod entity;
mod field;
pub mod notice;

pub mod delta;
mod index;
pub mod making;
pub mod sameness;
pub mod state;

pub mod attributes;
pub mod bridge;
mod seldom;
pub mod status;

pub mod reconcile;

pub use attributes::AttributeSource;
pub use bridge::{Bridge, Counts, Taken};
pub use notice::{BodyError, Received};
pub use reconcile::{EntityKind, EntityPage, EntitySource, Reconciler};
pub use status::BridgeStatus;

use std::time::Duration;

/// Maximum deviation of a request's timestamp from the clock, in either direction (contract page 7).
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// Header with the signature.
pub const SIGNATURE: &str = "x-akeneo-request-signature";
/// Header with the Unix seconds that are signed with the body.
pub const TIMESTAMP: &str = "x-akeneo-request-timestamp";
