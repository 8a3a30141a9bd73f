//! `cargo run -p parts -- elasticmq`: runs a part until it is stopped, for use outside tests.

use std::io::Write;

use anyhow::bail;
use parts::elasticmq::ElasticMq;
use parts::kafka::{Broker, Listener, PASSWORD, USER};
use parts::postgres::Postgres;
use parts::pubsub::Emulator;

const USAGE: &str = "usage: cargo run -p parts -- PART

Fetches a broker or server of others into target/parts, starts it on a free port of 127.0.0.1, prints its name and \
where it
is, and stops it when this program is stopped. PART is one of:
  elasticmq   the API of Amazon SQS
  kafka       Apache Kafka: a listener with SASL PLAIN, a user, and its password
  postgres    PostgreSQL: URL of an empty database, without a standby
  pubsub      Google Pub/Sub; its address goes into PUBSUB_EMULATOR_HOST";

fn main() -> anyhow::Result<()> {
    let part = std::env::args().nth(1);
    match part.as_deref() {
        Some("elasticmq") => {
            let server = ElasticMq::start()?;
            run_until_stopped("elasticmq", &server.url)
        }
        Some("kafka") => {
            let server = Broker::start()?;
            run_until_stopped("kafka", &format!("{} {USER} {PASSWORD}", server.bootstrap(Listener::Sasl)))
        }
        Some("postgres") => {
            let server = Postgres::start(&[])?;
            run_until_stopped("postgres", &server.create("platform")?)
        }
        Some("pubsub") => {
            let server = Emulator::start()?;
            run_until_stopped("pubsub", &server.host())
        }
        Some("--help" | "-h" | "help") => say(USAGE),
        Some(other) => bail!("unknown part {other:?}\n{USAGE}"),
        None => bail!("{USAGE}"),
    }
}

/// Prints the address of a part, and sleeps. A signal ends this program, and the kernel then ends the part.
fn run_until_stopped(part: &str, address: &str) -> anyhow::Result<()> {
    say(&format!("{part} {address}"))?;
    loop {
        std::thread::park();
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}")?;
    Ok(output.flush()?)
}
