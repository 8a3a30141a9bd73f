//! The test broker keeps data across restarts, and a stopped broker is unreachable.

use parts::kafka::{Broker, Listener};

#[test]
fn a_broker_keeps_its_topics_across_restarts() -> anyhow::Result<()> {
    let broker = match Broker::start() {
        Ok(broker) => broker,
        Err(error) => {
            parts::left_out("Apache Kafka", &error);
            return Ok(());
        }
    };
    broker.create_topic("kept", 3, &[("max.message.bytes", "20000")])?;
    broker.restart()?;
    broker.kill_and_restart()?;
    assert_eq!(broker.consume("kept", 0, 10)?, []);
    broker.stop()?;
    assert!(std::net::TcpStream::connect(broker.bootstrap(Listener::Internal)).is_err());
    Ok(())
}
