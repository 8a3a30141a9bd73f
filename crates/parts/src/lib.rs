//! Real external software for tests: brokers, servers and clients, downloaded to `target/parts`, started on loopback,
//! stopped with the test. Also the generators of a release's clients.
//!
//! Reading order: locations ([`place`]), required programs ([`tool`]), running processes ([`process`], [`port`]), and
//! then one module per part. If a part is not available, [`left_out`] reports it, and with `CI=true` that is a failure.

pub mod place;
pub mod tool;

pub mod port;
pub mod process;

pub mod golang;
pub mod maven;
pub mod node;
pub mod python;

pub mod browser;
pub mod collector;
pub mod deploy;
pub mod elasticmq;
pub mod generators;
pub mod kafka;
pub mod postgres;
pub mod prometheus;
pub mod pubsub;

pub use process::Process;

/// Reports that a test skips something because a part is missing; `cargo xtask test` counts it as skipped and repeats
/// the reason.
///
/// # Panics
/// With `CI=true`: there, nothing may be skipped.
#[expect(clippy::print_stdout, reason = "`cargo xtask test` reads it from what tests print")]
pub fn left_out(part: &str, why: &anyhow::Error) {
    println!("left out: {part} ({why:#})");
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "left out: {part}: {why:#}");
}
