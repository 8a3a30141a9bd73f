//! The integration examples, each run by its command like a visitor, with the real binary, and checked by their output.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "how long an example took is shown by `cargo xtask test`")]

mod played;

mod cluster;
mod complex_topology;
mod multi_tenant;
mod queue_worker;
