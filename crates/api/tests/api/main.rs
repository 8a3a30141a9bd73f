//! The API over real TCP, on the in-memory store: one module per path, mirroring `src`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod call;
mod described;
mod staged;
mod world;

mod refusals;

mod admin;
mod confirm;
mod console_links;
mod judged;
mod life;
mod tokens;

mod description;

mod auth;
mod listener;
mod server;
mod strangers;

mod events;
mod filters;
mod ingest_akeneo;
mod kept;
mod logs;
mod others;
mod overview;
mod replays;
mod subscribers;
mod subscriptions;
mod test_events;
