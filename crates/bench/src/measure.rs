//! The measurements, one function each.

mod backlog;
mod beside;
mod cluster;
mod console;
mod fairness;
mod instructions;
mod postgres;
mod soak;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalogue::{self, SOURCE_KEY, Subscriptions};
use crate::ceiling;
use crate::kafka::KafkaTopic;
use crate::plan::Plan;
use crate::platform::{Platform, Runner, Stage};
use crate::producer::{Target, flood};
use crate::pubsub::PubsubTopic;
use crate::receiver::Receiver;
use crate::recorded::Recorded;
use crate::sample::{EVENT_BYTES, Samples};
use crate::table::{Aim, Row, Table, median, share};
use crate::tls::Speaks;
use crate::topic::Topic;

/// Events per batch request.
const BATCH: usize = 100;
/// Events per second in latency measurements.
const CALM: f64 = 100.0;

/// Shared parts of all measurements.
struct Bench<'a> {
    plan: &'a Plan,
    receiver: Receiver,
    samples: Arc<Samples>,
}

/// Runs all measurements whose name contains `only`.
pub(crate) async fn all(plan: &Plan, only: &str, table: &mut Table) -> anyhow::Result<()> {
    let bench = Bench::new(plan, Speaks::Plain).await?;
    let wanted = |name: &str| name.contains(only);
    if wanted("ingest") {
        bench.ingest(table).await?;
    }
    if wanted("delivery") {
        bench.delivery(table, "delivery, 64 connections", 1, 64, 0.25).await?;
        bench.delivery(table, "delivery, 16 connections", 1, 16, 0.15).await?;
    }
    if wanted("fan-out") {
        bench.delivery(table, "fan-out 10, 64 connections", 10, 64, 0.3).await?;
    }
    if wanted("https") {
        for (speaks, name) in
            [(Speaks::Http1, "https, HTTP/1.1, 64 in flight"), (Speaks::Http2, "https, HTTP/2, 64 in flight")]
        {
            Bench::new(plan, speaks).await?.delivery(table, name, 1, 64, 0.25).await?;
        }
    }
    if wanted("backlog") {
        bench.backlog(table).await?;
    }
    if wanted("restart") {
        bench.restart(table).await?;
    }
    if wanted("filters") {
        bench.filters(table).await?;
    }
    if wanted("traces") {
        bench.traces(table).await?;
    }
    if wanted("kafka")
        && let Some(topic) = KafkaTopic::start().await?
    {
        bench.topic(table, "kafka, one subscription", &topic).await?;
    }
    if wanted("pubsub")
        && let Some(topic) = PubsubTopic::start().await?
    {
        bench.topic(table, "pubsub, one subscription", &topic).await?;
    }
    if wanted("latency") {
        bench.latency(table).await?;
    }
    if wanted("postgres") {
        bench.postgres(table).await?;
    }
    if wanted("cluster") {
        bench.cluster(table).await?;
    }
    if wanted("fairness") {
        bench.fairness(table).await?;
    }
    if wanted("storage") {
        bench.storage(table).await?;
    }
    if wanted("idle") {
        bench.idle(table).await?;
    }
    if wanted("flat") {
        bench.flat(table).await?;
    }
    if wanted("console") {
        bench.console(table).await?;
    }
    Ok(())
}

/// Counts instructions per event, and compares them with the recorded counts.
pub(crate) async fn instructions(plan: &Plan, table: &mut Table, recorded: &mut Recorded) -> anyhow::Result<()> {
    Bench::new(plan, Speaks::Plain).await?.instructions(table, recorded).await
}

/// Runs at full speed for this many minutes: memory, file and latency must stay flat.
pub(crate) async fn soak(plan: &Plan, minutes: u32, table: &mut Table) -> anyhow::Result<()> {
    Bench::new(plan, Speaks::Plain).await?.soak(minutes, table).await
}

impl Bench<'_> {
    async fn new(plan: &Plan, speaks: Speaks) -> anyhow::Result<Bench<'_>> {
        Ok(Bench { plan, receiver: Receiver::start(speaks).await?, samples: Arc::new(Samples::new()) })
    }

    /// A platform with an empty folder and these subscriptions.
    async fn stage(&self, in_flight: usize, subscriptions: Subscriptions) -> anyhow::Result<(Stage, Platform)> {
        self.stage_in(None, None, in_flight, subscriptions).await
    }

    /// The same within another program, and on the database with this URL.
    async fn stage_in(
        &self,
        runner: Option<&Runner>,
        database: Option<String>,
        in_flight: usize,
        subscriptions: Subscriptions,
    ) -> anyhow::Result<(Stage, Platform)> {
        let stage = Stage::new(&self.plan.server, &self.plan.folder, in_flight)?.on(database);
        let store = stage.store().await?;
        let mut variables: Vec<_> = subscriptions.place.iter().filter_map(|place| place.variable.clone()).collect();
        if let Some(tls) = &self.receiver.tls {
            variables.push(("POSTRIDER_EXTRA_ROOTS", tls.certificate().display().to_string()));
        }
        catalogue::fill(store.as_ref(), &self.receiver.url(), subscriptions).await?;
        tokio::task::spawn_blocking(move || drop(store)).await?;
        let platform = stage.start_in(runner, &variables).await?;
        Ok((stage, platform))
    }

    /// Events per second ingested and delivered, from the first request to the last delivery.
    async fn through(
        &self,
        platform: &Platform,
        connections: usize,
        fan_out: usize,
        time: Duration,
    ) -> anyhow::Result<f64> {
        let target = Target::platform(platform.address, SOURCE_KEY, 1)?;
        let (before, start) = (self.receiver.count(), Instant::now());
        let sent = flood(&target, &self.samples, connections, 1, time).await?;
        self.receiver.wait_for(before + sent.events * fan_out as u64).await?;
        Ok(sent.events as f64 / start.elapsed().as_secs_f64())
    }

    async fn appends(&self, time: Duration) -> anyhow::Result<f64> {
        let folder = self.plan.folder.clone();
        tokio::task::spawn_blocking(move || ceiling::appends(&folder, time)).await?
    }

    /// Durable ingest alone, without subscriptions.
    async fn ingest(&self, table: &mut Table) -> anyhow::Result<()> {
        for (connections, batch, aim) in [(16, 1, Aim::None), (64, 1, Aim::None), (16, 100, Aim::RatioAtLeast(0.35))] {
            let (_stage, platform) = self.stage(64, Subscriptions::default()).await?;
            let target = Target::platform(platform.address, SOURCE_KEY, batch)?;
            let mut rounds = Rounds::default();
            flood(&target, &self.samples, connections, batch, self.plan.round / 3).await?;
            for _ in 0..self.plan.rounds {
                let ceiling = self.appends(self.plan.round / 2).await?;
                let sent = flood(&target, &self.samples, connections, batch, self.plan.round).await?;
                rounds.add(sent.a_second(), ceiling);
            }
            platform.stop().await?;
            let name = match batch {
                1 => format!("ingest, {connections} connections"),
                _ => format!("ingest, {connections} connections, batches of {batch}"),
            };
            table.row(&rounds.row(name, "/s", aim));
        }
        Ok(())
    }

    /// From the producer to the receiver, one event per request.
    async fn delivery(
        &self,
        table: &mut Table,
        name: &str,
        fan_out: usize,
        connections: usize,
        aim: f64,
    ) -> anyhow::Result<()> {
        let subscriptions = Subscriptions { matching: fan_out, ..Subscriptions::default() };
        let (_stage, platform) = self.stage(connections, subscriptions).await?;
        let mut rounds = Rounds::default();
        let mut processor = Vec::new();
        self.through(&platform, connections, fan_out, self.plan.round / 3).await?;
        for _ in 0..self.plan.rounds {
            let ceiling = ceiling::posts(&self.receiver, &self.samples, connections, self.plan.round / 2).await?;
            let (before, used) = (self.receiver.count(), platform.processor_time()?);
            let events = self.through(&platform, connections, fan_out, self.plan.round).await?;
            processor.push((platform.processor_time()? - used) / (self.receiver.count() - before) as f64);
            rounds.add(events * fan_out as f64, ceiling);
        }
        platform.stop().await?;
        table.row(&rounds.row(name.to_owned(), "/s", Aim::RatioAtLeast(aim)));
        // Varies less than the rest under other load on the machine.
        let name = "  processor time of the platform per event".to_owned();
        let figure = median(&processor);
        table.row(&Row { name, figure, unit: "µs", ceiling: None, ratio: None, aim: Aim::None });
        Ok(())
    }

    /// From the producer to a topic, compared with the bare client on the same topic.
    async fn topic(&self, table: &mut Table, name: &str, topic: &impl Topic) -> anyhow::Result<()> {
        let subscriptions = Subscriptions { matching: 1, place: Some(topic.place()), ..Subscriptions::default() };
        let (_stage, platform) = self.stage(64, subscriptions).await?;
        let target = Target::platform(platform.address, SOURCE_KEY, BATCH)?;
        let mut rounds = Rounds::default();
        let mut processor = Vec::new();
        for round in 0..=self.plan.rounds {
            let (before, used, start) = (topic.events().await?, platform.processor_time()?, Instant::now());
            // Producers are faster than any topic: most events are delivered from the log.
            let sent = flood(&target, &self.samples, 4, BATCH, self.plan.round / 5).await?;
            topic.wait_for(before + sent.events).await?;
            let figure = sent.events as f64 / start.elapsed().as_secs_f64();
            let used = platform.processor_time()? - used;
            let ceiling = topic.bare_client(&self.samples, sent.events).await?;
            // The first round warms up broker and clients.
            if round > 0 {
                processor.push(used / sent.events as f64);
                rounds.add(figure, ceiling);
            }
        }
        platform.stop().await?;
        table.row(&rounds.row(name.to_owned(), "/s", Aim::AtLeast(20_000.0)));
        let name = "  processor time of the platform per event".to_owned();
        table.row(&Row { name, figure: median(&processor), unit: "µs", ceiling: None, ratio: None, aim: Aim::None });
        Ok(())
    }

    /// From sending to arrival, at 100 events per second.
    async fn latency(&self, table: &mut Table) -> anyhow::Result<()> {
        let subscriptions = Subscriptions { matching: 1, ..Subscriptions::default() };
        let (_stage, platform) = self.stage(64, subscriptions).await?;
        let target = Target::platform(platform.address, SOURCE_KEY, 1)?;
        let (pause, round) = (Duration::from_secs_f64(1.0 / CALM), self.plan.round);
        self.through(&platform, 1, 1, round / 3).await?;
        let (mut latencies, mut syncs) = (Vec::new(), Vec::new());
        for _ in 0..self.plan.rounds {
            let folder = self.plan.folder.clone();
            syncs.extend(tokio::task::spawn_blocking(move || ceiling::syncs(&folder, round / 2, pause)).await??);
            latencies.extend(self.latencies(&target, pause, round).await?);
        }
        platform.stop().await?;
        let sync = median(&syncs);
        let row = |name: &str, figure: f64, ceiling: f64, aim: f64| Row {
            name: name.to_owned(),
            figure,
            unit: "ms",
            ceiling: Some(ceiling),
            ratio: None,
            aim: Aim::AtMost(aim),
        };
        // The duration of a sync, plus 0.4 ms.
        table.row(&row("latency at 100/s, p50 (ceiling: one fdatasync)", median(&latencies), sync, sync + 0.4));
        table.row(&row("latency at 100/s, p99", share(&latencies, 0.99), share(&syncs, 0.99), 2.5));
        Ok(())
    }

    /// Sends an event after each pause, to one subscription; gives the milliseconds until each arrived.
    async fn latencies(&self, target: &Target, pause: Duration, time: Duration) -> anyhow::Result<Vec<f64>> {
        let mut client = target.connect().await?;
        let mut tick = tokio::time::interval(pause);
        let mut published = HashMap::new();
        let (before, start) = (self.receiver.count(), Instant::now());
        self.receiver.time_arrivals(true);
        while start.elapsed() < time {
            tick.tick().await;
            let number = self.samples.take(1);
            let body = self.samples.event(number);
            published.insert(number, Instant::now());
            target.send(&mut client, body).await?;
        }
        self.receiver.wait_for(before + published.len() as u64).await?;
        self.receiver.time_arrivals(false);
        let arrived = self.receiver.take_times().into_iter();
        let latency = |(number, at): (u64, Instant)| Some(at.duration_since(*published.get(&number)?));
        Ok(arrived.filter_map(latency).map(|latency| latency.as_secs_f64() * 1000.0).collect())
    }

    /// Bytes on disk per byte of event, while one subscription prevents events from being deleted.
    async fn storage(&self, table: &mut Table) -> anyhow::Result<()> {
        for fan_out in [0, 1, 10] {
            let subscriptions = Subscriptions { matching: fan_out, keep_all: true, ..Subscriptions::default() };
            let (stage, platform) = self.stage(64, subscriptions).await?;
            let target = Target::platform(platform.address, SOURCE_KEY, 1)?;
            let (mut events, before) = (0, self.receiver.count());
            let least = if self.plan.quick { 20_000 } else { 100_000 };
            while events < least {
                events += flood(&target, &self.samples, 64, 1, Duration::from_millis(500)).await?.events;
            }
            self.receiver.wait_for(before + events * fan_out as u64).await?;
            platform.stop().await?;
            let bytes = stage.bytes()? as f64 / (events * EVENT_BYTES as u64) as f64;
            let name = format!("storage, fan-out {fan_out}, bytes per byte of event");
            table.row(&Row { name, figure: bytes, unit: "", ceiling: None, ratio: None, aim: Aim::AtMost(1.3) });
        }
        Ok(())
    }

    /// Cost of idle subscriptions.
    async fn idle(&self, table: &mut Table) -> anyhow::Result<()> {
        let mut memory = [0.0; 2];
        for (others, memory) in [1, 10_001].into_iter().zip(&mut memory) {
            let (_stage, platform) = self.stage(64, Subscriptions { others, ..Subscriptions::default() }).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            *memory = platform.memory()? as f64 / f64::from(1 << 20);
            platform.stop().await?;
        }
        let [few, many] = memory;
        table.row(&Row {
            name: "idle, 10,000 subscriptions".to_owned(),
            figure: many - few,
            unit: "MiB",
            ceiling: None,
            ratio: None,
            // 40 MB.
            aim: Aim::AtMost(40e6 / f64::from(1 << 20)),
        });
        Ok(())
    }

    /// Throughput with 10 and with 10,000 additional subscriptions, alternating.
    async fn flat(&self, table: &mut Table) -> anyhow::Result<()> {
        let subscriptions = |others| Subscriptions { matching: 1, others, ..Subscriptions::default() };
        let (_few, with_few) = self.stage(64, subscriptions(10)).await?;
        let (_many, with_many) = self.stage(64, subscriptions(10_000)).await?;
        let mut rounds = Rounds::default();
        for platform in [&with_few, &with_many] {
            self.through(platform, 64, 1, self.plan.round / 3).await?;
        }
        for _ in 0..self.plan.rounds {
            let few = self.through(&with_few, 64, 1, self.plan.round).await?;
            let many = self.through(&with_many, 64, 1, self.plan.round).await?;
            rounds.add(many, few);
        }
        with_few.stop().await?;
        with_many.stop().await?;
        let name = "flat: beside 10,000 others (ceiling: 10)".to_owned();
        table.row(&rounds.row(name, "/s", Aim::RatioAtLeast(0.8)));
        Ok(())
    }
}

/// Figures with their ceilings, round by round.
#[derive(Default)]
struct Rounds {
    figures: Vec<f64>,
    ceilings: Vec<f64>,
    ratios: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, figure: f64, ceiling: f64) {
        self.figures.push(figure);
        self.ceilings.push(ceiling);
        self.ratios.push(figure / ceiling);
    }

    fn row(&self, name: String, unit: &'static str, aim: Aim) -> Row {
        Row {
            name,
            figure: median(&self.figures),
            unit,
            ceiling: Some(median(&self.ceilings)),
            ratio: Some(median(&self.ratios)),
            aim,
        }
    }
}
