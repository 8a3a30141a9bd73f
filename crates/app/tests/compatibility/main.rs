//! Requests and responses of existing clients of the hosted platform, written from the contract of its API and sent to
//! the real binary. docs/integrators/from-akeneo-event-platform.md lists what differs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
#[path = "../openapi/platform.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod platform;
mod receiver;

mod authentication;
mod errors;
mod logs;
mod subscribers;
mod subscriptions;
