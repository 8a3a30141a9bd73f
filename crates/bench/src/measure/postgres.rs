//! The platform on PostgreSQL, compared with PostgreSQL alone in the same rounds.

use std::time::Duration;

use super::{BATCH, Bench, CALM, Rounds};
use crate::catalogue::{SOURCE_KEY, Subscriptions};
use crate::database::{Bare, Database};
use crate::producer::{Target, flood};
use crate::table::{Aim, Row, Table, median};

/// Servers: name, whether with a synchronous standby, delay added to each round trip.
const SERVERS: [(&str, bool, Duration); 4] = [
    ("postgres", false, Duration::ZERO),
    ("postgres, standby", true, Duration::ZERO),
    ("postgres, standby, +1 ms", true, Duration::from_millis(1)),
    ("postgres, standby, +5 ms", true, Duration::from_millis(5)),
];
/// Ratio to PostgreSQL alone, in groups of 64.
const SHARE: f64 = 0.5;
/// Milliseconds that the platform may add to a commit.
const ADDED: f64 = 3.0;

impl Bench<'_> {
    pub(super) async fn postgres(&self, table: &mut Table) -> anyhow::Result<()> {
        for (name, with_standby, delay) in SERVERS {
            let started = tokio::task::spawn_blocking(move || Database::start(with_standby, delay)).await?;
            let database = match started {
                Ok(database) => database,
                Err(error) => {
                    parts::left_out("PostgreSQL", &error);
                    return Ok(());
                }
            };
            let bare = Bare::start(&database.create("bare")?).await?;
            self.ingest_on(table, name, &database, &bare).await?;
            self.latency_on(table, name, &database, &bare).await?;
        }
        Ok(())
    }

    /// Durable ingest, and deliveries by one subscription. The ceiling commits groups as large as the requests that
    /// wait at the same time.
    async fn ingest_on(&self, table: &mut Table, name: &str, database: &Database, bare: &Bare) -> anyhow::Result<()> {
        let (_stage, platform) =
            self.stage_in(None, Some(database.create("ingest")?), 64, Subscriptions::default()).await?;
        for (connections, batch, aim) in
            [(1, 1, Aim::None), (16, 1, Aim::None), (64, 1, Aim::RatioAtLeast(SHARE)), (16, BATCH, Aim::None)]
        {
            let target = Target::platform(platform.address, SOURCE_KEY, batch)?;
            let mut rounds = Rounds::default();
            flood(&target, &self.samples, connections, batch, self.plan.round / 3).await?;
            for _ in 0..self.plan.rounds {
                let ceiling = bare.groups(connections * batch, self.plan.round / 2).await?;
                let sent = flood(&target, &self.samples, connections, batch, self.plan.round).await?;
                rounds.add(sent.a_second(), ceiling);
            }
            let what = match batch {
                1 => format!("{name}: ingest, {connections}"),
                _ => format!("{name}: ingest, {connections} x {batch}"),
            };
            table.row(&rounds.row(what, "/s", aim));
        }
        platform.stop().await?;
        let subscriptions = Subscriptions { matching: 1, ..Subscriptions::default() };
        let (_stage, platform) = self.stage_in(None, Some(database.create("delivery")?), 64, subscriptions).await?;
        let mut rounds = Rounds::default();
        self.through(&platform, 64, 1, self.plan.round / 3).await?;
        for _ in 0..self.plan.rounds {
            let ceiling = bare.groups(64, self.plan.round / 2).await?;
            rounds.add(self.through(&platform, 64, 1, self.plan.round).await?, ceiling);
        }
        platform.stop().await?;
        table.row(&rounds.row(format!("{name}: delivery, 64"), "/s", Aim::None));
        Ok(())
    }

    /// From sending to arrival, at 100 events per second.
    async fn latency_on(&self, table: &mut Table, name: &str, database: &Database, bare: &Bare) -> anyhow::Result<()> {
        let subscriptions = Subscriptions { matching: 1, ..Subscriptions::default() };
        let (_stage, platform) = self.stage_in(None, Some(database.create("latency")?), 64, subscriptions).await?;
        let target = Target::platform(platform.address, SOURCE_KEY, 1)?;
        let (pause, round) = (Duration::from_secs_f64(1.0 / CALM), self.plan.round);
        self.through(&platform, 1, 1, round / 3).await?;
        let (mut latencies, mut commits) = (Vec::new(), Vec::new());
        for _ in 0..self.plan.rounds {
            commits.extend(bare.commits(round / 2, pause).await?);
            latencies.extend(self.latencies(&target, pause, round).await?);
        }
        platform.stop().await?;
        let commit = median(&commits);
        table.row(&Row {
            name: format!("{name}: latency, p50 (ceiling: commit)"),
            figure: median(&latencies),
            unit: "ms",
            ceiling: Some(commit),
            ratio: None,
            aim: Aim::AtMost(commit + ADDED),
        });
        Ok(())
    }
}
