//! A topic of a real broker on this machine, and the bare client that deliveries are compared with.

use std::time::{Duration, Instant};

use anyhow::bail;
use domain::destination::Destination;

use crate::sample::Samples;

/// Time after which missing events count as lost.
const ARRIVES_WITHIN: Duration = Duration::from_secs(120);

/// Destination of subscriptions, instead of the receiver.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) destination: Destination,
    /// Environment variable of the platform, and its value.
    pub(crate) variable: Option<(&'static str, String)>,
}

/// A topic that can count its events.
pub(crate) trait Topic {
    /// For subscriptions.
    fn place(&self) -> Place;

    /// Number of its events.
    async fn events(&self) -> anyhow::Result<u64>;

    /// Events per second of the client library alone at full speed, with the same guarantees.
    async fn bare_client(&self, samples: &Samples, events: u64) -> anyhow::Result<f64>;

    /// Waits until the topic has this many events.
    async fn wait_for(&self, events: u64) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let there = self.events().await?;
            if there >= events {
                return Ok(());
            }
            if start.elapsed() > ARRIVES_WITHIN {
                bail!("{there} of {events} events have arrived after {} s", ARRIVES_WITHIN.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
