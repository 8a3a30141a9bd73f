//! Apache Kafka: a real broker (KRaft) with all kinds of listeners, and a stock client (librdkafka).
//!
//! [`Broker::start`] takes about 4 s. One per test program is enough: put it into a `OnceLock`.

mod broker;
mod certificates;
mod client;
mod cluster;
mod fetch;

pub use broker::{Broker, Listener};
pub use certificates::{ClientTls, SERVER_NAME};
pub use client::Record;
pub use cluster::{BULK_USERS, OUTSIDER, PASSWORD, SCRAM_USER, USER};
