//! Tests of the real binary from outside: over HTTP, by its command line, with signals. They use the real events of
//! ../shared if present, else the project's own sample.
//!
//! `POSTRIDER_E2E=small` reduces the load of the long tests; `POSTRIDER_SEED` repeats a run of a kill test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what was measured or left out is shown by `cargo xtask test`")]

mod backend;
mod client;
mod load;
mod random;
mod receiver;
mod running;
mod sample;

mod backup;
mod cli;
mod cluster;
mod deliveries;
mod demo;
mod events_cli;
mod fate_kills;
mod fates;
mod health;
mod kafka;
mod kept;
mod kill;
mod kill_holds;
mod kill_retries;
mod kill_suspensions;
mod metrics;
mod migrate;
mod pims;
mod postgres;
mod pubsub;
mod replay_kills;
mod slow;
mod stop;
mod strangers;
mod traces;
mod upgrade;
