//! What existing clients of the hosted platform send and read, written from the contract of its API and sent to the real binary: an app
//! that works there changes its base URL and nothing else.

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
