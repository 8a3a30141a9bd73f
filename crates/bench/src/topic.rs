//! A topic of a real broker on this machine, and the bare client that the platform's deliveries are held against.

use std::time::{Duration, Instant};

use anyhow::bail;
use domain::destination::Destination;

use crate::sample::Samples;

/// What is not there by then is lost.
const ARRIVES_WITHIN: Duration = Duration::from_secs(120);

/// Where subscriptions send to, instead of the receiver.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) destination: Destination,
    /// An environment variable of the platform, and its value.
    pub(crate) variable: Option<(&'static str, String)>,
}

/// A topic of which what has arrived can be counted.
pub(crate) trait Topic {
    /// For subscriptions.
    fn place(&self) -> Place;

    /// Events in it.
    async fn events(&self) -> anyhow::Result<u64>;

    /// Events a second of the client library alone, as fast as it goes, with the same guarantees.
    async fn bare_client(&self, samples: &Samples, events: u64) -> anyhow::Result<f64>;

    /// Waits until so many events are in it.
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
