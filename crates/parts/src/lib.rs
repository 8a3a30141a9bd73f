//! Real parts for tests: brokers, servers and clients of others, fetched into `target/parts`, started on loopback, stopped with the test.
//!
//! Reading order: where things lie ([`place`]), which programs are needed ([`tool`]), how a part runs ([`process`], [`port`]), and then a
//! module for each part. A test asks for a part; where it cannot be had, [`left_out`] says so, and with `CI=true` that is a failure.

pub mod place;
pub mod tool;

pub mod port;
pub mod process;

pub mod golang;
pub mod maven;
pub mod node;
pub mod python;

pub mod collector;
pub mod elasticmq;
pub mod kafka;
pub mod prometheus;
pub mod pubsub;

pub use process::Process;

/// Says that a test leaves something out for want of a part; `cargo xtask test` counts it as skipped and repeats why.
///
/// # Panics
/// With `CI=true`: there, nothing may be left out.
#[expect(clippy::print_stdout, reason = "`cargo xtask test` reads it from what tests print")]
pub fn left_out(part: &str, why: &anyhow::Error) {
    println!("left out: {part} ({why:#})");
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "left out: {part}: {why:#}");
}
