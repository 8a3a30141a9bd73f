//! Notifications end to end: over real sockets, with a real SMTP server, through kills and restarts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod confirmation;
mod mail_server;
mod receiver;
mod shares;
mod world;

mod email;
mod kill;
mod webhook;
