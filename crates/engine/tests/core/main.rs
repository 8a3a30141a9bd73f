//! The core and the driver without tasks, under virtual time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

mod clock;
mod driver;
mod facts;
mod failing;
mod host_rate;
mod replays;
mod silence;
mod traffic;
