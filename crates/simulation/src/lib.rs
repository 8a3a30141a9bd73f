//! Thousands of small worlds around the real engine, under virtual time. Topology, traffic, receivers, storage, crashes
//! and changes are derived from a seed; the same seed replays the same world.
//!
//! A [`plan::Plan`] describes a world, a [`world::World`] plays it around `engine::driver::Driver` in place of the
//! engine's shell, an [`oracle::Oracle`] keeps independent books without knowledge of lanes, [`property`] names the
//! invariants, and [`mutation`] plants faults to prove that a world detects them.

pub mod property;
pub mod random;

pub mod fairness;
pub mod mutation;
pub mod plan;
pub mod sharing;

pub mod receiver;
pub mod storage;

pub mod oracle;
pub mod world;

pub mod cluster;

pub mod rates;
pub mod run;

pub use mutation::Mutation;
pub use plan::Plan;
pub use property::{Check, Property, Violation};
pub use world::World;
