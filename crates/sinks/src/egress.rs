//! Whether the way out works, asked of hosts that the operator names.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{sleep, timeout};

use crate::connect::{Connector, Security};
use crate::resolve::PLATFORM;

/// Between two rounds while nothing answers.
const PAUSE: Duration = Duration::from_secs(5);
/// For one host to accept a connection.
const LIMIT: Duration = Duration::from_secs(5);
/// Hosts that are asked at once.
const AT_ONCE: usize = 8;

/// While no host answers anything ([`Connector::heard`]), connects to these again and again: one that accepts or
/// refuses is heard. Never ends.
pub async fn check_while_silent(connector: Connector, hosts: Vec<(String, u16)>) {
    let connector = connector.exempt();
    loop {
        connector.heard().silence().await;
        let asked = stream::iter(&hosts).for_each_concurrent(AT_ONCE, async |(host, port)| {
            // The connector takes note of whoever answers; who does not is no news.
            _ = timeout(LIMIT, connector.connect(host, *port, Security::Plain, PLATFORM)).await;
        });
        asked.await;
        sleep(PAUSE).await;
    }
}
