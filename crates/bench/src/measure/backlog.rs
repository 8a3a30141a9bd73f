//! Deliveries from the log rather than its tail, and a start with many lanes.

use std::time::Instant;

use super::{BATCH, Bench, Rounds};
use crate::catalogue::{SOURCE_KEY, Subscriptions};
use crate::ceiling;
use crate::producer::{Target, flood};
use crate::table::{Aim, Row, Table, median};

impl Bench<'_> {
    /// Delivery of what has gathered while producers were faster, from their last response on.
    pub(super) async fn backlog(&self, table: &mut Table) -> anyhow::Result<()> {
        let (_stage, platform) = self.stage(64, Subscriptions { matching: 1, ..Subscriptions::default() }).await?;
        let target = Target::platform(platform.address, SOURCE_KEY, BATCH)?;
        let (mut rounds, mut processor) = (Rounds::default(), Vec::new());
        for _ in 0..self.plan.rounds {
            let ceiling = ceiling::posts(&self.receiver, &self.samples, 64, self.plan.round / 2).await?;
            let before = self.receiver.count();
            let sent = flood(&target, &self.samples, 4, BATCH, self.plan.round / 5).await?;
            let (delivered, start, used) = (self.receiver.count(), Instant::now(), platform.processor_time()?);
            self.receiver.wait_for(before + sent.events).await?;
            let backlog = (before + sent.events - delivered) as f64;
            rounds.add(backlog / start.elapsed().as_secs_f64(), ceiling);
            processor.push((platform.processor_time()? - used) / backlog);
        }
        platform.stop().await?;
        table.row(&rounds.row("backlog, one subscription".to_owned(), "/s", Aim::None));
        let name = "  processor time of the platform per event".to_owned();
        table.row(&Row { name, figure: median(&processor), unit: "µs", ceiling: None, ratio: None, aim: Aim::None });
        Ok(())
    }

    /// From the start of the process until it is ready.
    pub(super) async fn restart(&self, table: &mut Table) -> anyhow::Result<()> {
        let (stage, mut platform) =
            self.stage(64, Subscriptions { others: 10_000, ..Subscriptions::default() }).await?;
        let mut took = Vec::new();
        for _ in 0..self.plan.rounds {
            platform.stop().await?;
            let start = Instant::now();
            platform = stage.start(&[]).await?;
            took.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        platform.stop().await?;
        let name = "restart with 10,000 subscriptions".to_owned();
        table.row(&Row { name, figure: median(&took), unit: "ms", ceiling: None, ratio: None, aim: Aim::None });
        Ok(())
    }
}
