//! Worlds of one to five nodes over one store. Each node has its own clocks, its own [`::cluster::Tenancy`] and a real
//! driver per shard that it holds; it renews leases, looks at the roll, follows the logs of its shards and answers
//! producers and people. Nodes are stopped, killed and paused, the store is slow, loses connections and fails over.
//!
//! [`books::Books`] know the store's commits and the receivers' requests, but nothing of leases, tails or lanes.

pub mod books;

mod plan;
mod step;
mod world;

mod clock;
mod lease;
mod node;

mod calls;
mod server;

mod follow;
mod holding;
mod ownership;

mod attempts;
mod engine;
mod notices;
mod saving;

mod changes;
mod producers;

mod incident;
mod settle;
mod setup;

pub use plan::{Change, Incident, Plan};
pub use world::World;
