//! The integration examples, each run by its one command as a visitor runs it, with the real binary, and judged by what came out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "how long an example took is shown by `cargo xtask test`")]

mod played;

mod complex_topology;
mod multi_tenant;
mod queue_worker;
