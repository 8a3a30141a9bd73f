//! What something beside the deliveries costs them, in processor time per event: filters, traces.

use super::Bench;
use crate::catalogue::Subscriptions;
use crate::platform::Platform;
use crate::receiver::Receiver;
use crate::table::{Aim, Row, Table, median};
use crate::tls::Speaks;

/// Subscriptions whose filter excludes every event.
const FILTERED: usize = 400;

impl Bench<'_> {
    /// Many filters that every event is matched against in vain.
    pub(super) async fn filters(&self, table: &mut Table) -> anyhow::Result<()> {
        let subscriptions = |filtered| Subscriptions { matching: 1, filtered, ..Subscriptions::default() };
        let (_none, without) = self.stage(64, subscriptions(0)).await?;
        let (_many, with) = self.stage(64, subscriptions(FILTERED)).await?;
        let name = format!("routing: {FILTERED} filters without a match (ceiling: none)");
        self.compare(table, name, without, with).await
    }

    /// Spans of every event, sent to a receiver of their own.
    pub(super) async fn traces(&self, table: &mut Table) -> anyhow::Result<()> {
        let subscriptions = || Subscriptions { matching: 1, ..Subscriptions::default() };
        let (_off, without) = self.stage(64, subscriptions()).await?;
        let (stage, plain) = self.stage(64, subscriptions()).await?;
        plain.stop().await?;
        let collector = Receiver::start(Speaks::Plain).await?;
        let with = stage.start(&[("POSTRIDER_TRACES_ENDPOINT", format!("http://{}", collector.address))]).await?;
        self.compare(table, "traces of all events (ceiling: off)".to_owned(), without, with).await
    }

    /// Processor time per event of two platforms, in turn.
    async fn compare(&self, table: &mut Table, name: String, without: Platform, with: Platform) -> anyhow::Result<()> {
        let mut times = [Vec::new(), Vec::new()];
        for platform in [&without, &with] {
            self.through(platform, 64, 1, self.plan.round / 3).await?;
        }
        for _ in 0..self.plan.rounds {
            for (platform, times) in [&without, &with].into_iter().zip(&mut times) {
                let (before, used) = (self.receiver.count(), platform.processor_time()?);
                self.through(platform, 64, 1, self.plan.round).await?;
                times.push((platform.processor_time()? - used) / (self.receiver.count() - before) as f64);
            }
        }
        without.stop().await?;
        with.stop().await?;
        let [without, with] = times.map(|times| median(&times));
        let ratio = Some(with / without);
        table.row(&Row { name, figure: with, unit: "µs", ceiling: Some(without), ratio, aim: Aim::None });
        Ok(())
    }
}
