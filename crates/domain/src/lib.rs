//! The nouns of the platform, valid once built: no IO, no async; the time comes from a [`Clock`] that is passed in.
//!
//! Reading order: what happened ([`event`]), who wants to know ([`pim`], [`subscriber`], [`subscription`]), where it
//! goes ([`destination`]), how an attempt ended ([`outcome`]) and what is told about it ([`log_entry`], [`notification`]).

pub mod clock;
pub mod time;

pub mod id;

pub mod entity;
pub mod event;
pub mod event_type;
pub mod filter;
pub mod trace_parent;

pub mod pim;
pub mod subscriber;
pub mod subscription;

pub mod address;
pub mod credential;
pub mod destination;
pub mod secret;

pub mod exception;
pub mod lane_status;
pub mod log_entry;
pub mod notification;
pub mod outcome;

pub mod nearest;
pub mod scan;

pub use clock::Clock;
pub use event::{Event, LoggedEvent};
pub use event_type::EventType;
pub use id::{ClientId, LogId, PimId, Position, SubscriberId, SubscriptionId};
pub use secret::Secret;
pub use time::{Now, ServiceHour, Timestamp};
