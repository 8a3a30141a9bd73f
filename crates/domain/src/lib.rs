//! The nouns of the platform, valid once built: no IO, no async; the time comes from an injected [`Clock`].
//!
//! Reading order: events ([`event`]), the parties ([`pim`], [`subscriber`], [`subscription`]), destinations
//! ([`destination`]), results of attempts ([`outcome`]) and reports about them ([`log_entry`], [`notification`]).

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
pub mod console_link;
pub mod credential;
pub mod destination;
pub mod secret;

pub mod attempt;
pub mod backlog;
pub mod exception;
pub mod fate;
pub mod lane_status;
pub mod log_entry;
pub mod notification;
pub mod outcome;
pub mod replay;
pub mod traffic;

pub mod nearest;
pub mod scan;

#[cfg(feature = "testing")]
pub mod testing;

pub use clock::Clock;
pub use event::{Event, LoggedEvent};
pub use event_type::EventType;
pub use id::{ClientId, LogId, PimId, Position, ReplayId, SubscriberId, SubscriptionId};
pub use secret::Secret;
pub use time::{Now, ServiceHour, Timestamp};
