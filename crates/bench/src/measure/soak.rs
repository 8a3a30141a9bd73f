//! Full speed for long: memory, file and latency must stay flat.

use std::time::Duration;

use super::{Bench, CALM};
use crate::catalogue::{SOURCE_KEY, Subscriptions};
use crate::producer::Target;
use crate::table::{Aim, Row, Table, median, share};

/// Full speed in each minute; the rest measures the latency.
const FULL_SPEED: Duration = Duration::from_secs(55);
const CALM_FOR: Duration = Duration::from_secs(5);
/// The highest accepted figure of the last third, as a multiple of that of the middle third: the first third fills the
/// file up to what is kept.
const GROWS_AT_MOST: f64 = 1.1;

impl Bench<'_> {
    pub(super) async fn soak(&self, minutes: u32, table: &mut Table) -> anyhow::Result<()> {
        let (stage, platform) = self.stage(64, Subscriptions { matching: 1, ..Subscriptions::default() }).await?;
        let target = Target::platform(platform.address, SOURCE_KEY, 1)?;
        let [mut memory, mut file, mut latency] = [const { Vec::new() }; 3];
        for minute in 1..=minutes {
            let rate = self.through(&platform, 64, 1, FULL_SPEED).await?;
            let times = self.latencies(&target, Duration::from_secs_f64(1.0 / CALM), CALM_FOR).await?;
            memory.push(platform.memory()? as f64 / f64::from(1 << 20));
            file.push(stage.bytes()? as f64 / f64::from(1 << 20));
            latency.push(median(&times));
            let name = format!("soak, minute {minute}");
            table.row(&Row { name, figure: rate, unit: "/s", ceiling: None, ratio: None, aim: Aim::None });
        }
        platform.stop().await?;
        let (middle, last) = (memory.len() / 3, 2 * memory.len() / 3);
        for (name, unit, figures) in [("memory", "MiB", memory), ("file", "MiB", file), ("latency, p50", "ms", latency)]
        {
            let (figure, ceiling) = (share(&figures[last..], 0.5), share(&figures[middle..last.max(middle + 1)], 0.5));
            table.row(&Row {
                name: format!("soak: {name} of the last third (ceiling: middle)"),
                figure,
                unit,
                ceiling: Some(ceiling),
                ratio: Some(figure / ceiling),
                aim: Aim::RatioAtMost(GROWS_AT_MOST),
            });
        }
        Ok(())
    }
}
