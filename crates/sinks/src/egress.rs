//! Check of outbound connectivity, using hosts named by the operator.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{sleep, timeout};

use crate::connect::{Connector, Security};
use crate::resolve::PLATFORM;

/// Pause between two rounds without a response.
const PAUSE: Duration = Duration::from_secs(5);
/// Time limit for one host to accept a connection.
const LIMIT: Duration = Duration::from_secs(5);
/// Hosts checked in parallel.
const AT_ONCE: usize = 8;

/// While no host responds to anything ([`Connector::heard`]), connects to these repeatedly: a connection accepted or
/// refused counts as a sign of life. Never ends.
pub async fn check_while_silent(connector: Connector, hosts: Vec<(String, u16)>) {
    let connector = connector.exempt();
    loop {
        connector.heard().silence().await;
        let asked = stream::iter(&hosts).for_each_concurrent(AT_ONCE, async |(host, port)| {
            // The connector records every response; a missing one is not news.
            _ = timeout(LIMIT, connector.connect(host, *port, Security::Plain, PLATFORM)).await;
        });
        asked.await;
        sleep(PAUSE).await;
    }
}
