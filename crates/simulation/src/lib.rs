//! Thousands of small worlds around the real engine, under virtual time: topology, traffic, receivers, storage, crashes
//! and changes come from a seed, and the same seed plays the same world again.
//!
//! A [`plan::Plan`] says what a world is made of, a [`world::World`] plays it around `engine::driver::Driver` in the
//! place of the engine's shell, an [`oracle::Oracle`] keeps the books on its own and knows nothing of lanes,
//! [`property`] names what must hold, and [`mutation`] plants faults to show that a world would notice.

pub mod property;
pub mod random;

pub mod fairness;
pub mod mutation;
pub mod plan;

pub mod receiver;
pub mod storage;

pub mod oracle;
pub mod world;

pub mod rates;
pub mod run;

pub use mutation::Mutation;
pub use plan::Plan;
pub use property::{Check, Property, Violation};
pub use world::World;
