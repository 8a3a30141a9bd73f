//! Several nodes on one PostgreSQL with a synchronous standby: what an event costs all of them together, the latency of
//! an event that another node took in than the one that delivers it, rest, and a death.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parts::port;
use tokio::task::JoinSet;

use super::{Bench, CALM};
use crate::catalogue;
use crate::database::{Bare, Database};
use crate::platform::{Platform, Stage};
use crate::producer::{Target, flood};
use crate::table::{Aim, Row, Table, median};

/// One PIM per shard.
const PIMS: usize = 64;
/// Producers, spread over all nodes and PIMs.
const CONNECTIONS: usize = 60;
/// Numbers of nodes to compare: the first one is the ceiling.
const NODES: [usize; 3] = [1, 3, 5];
/// What an event may cost more with more nodes.
const DEARER_AT_MOST: f64 = 1.2;
/// Milliseconds after the commit at which an event of another node arrives.
const NEWS: f64 = 10.0;
/// Time at rest.
const REST: Duration = Duration::from_secs(10);
/// Part of a core that a node takes at rest, in percent.
const AT_REST: f64 = 1.0;
/// Subscriptions of a PIM beside the one that gets events: about 10,000 of all PIMs.
const OTHERS: usize = 156;
/// The default lease.
const LEASE: Duration = Duration::from_secs(10);
/// Seconds from the end of a lease to the last delivery by the new owners.
const TAKEN_WITHIN: f64 = 2.0;
/// Memory of 64 idle shards in MiB: 20 MB.
const SHARDS_AT_MOST: f64 = 20e6 / (1 << 20) as f64;
/// Nodes share the shards within this time.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);

/// Nodes with the ports of their listeners for each other.
struct Nodes<'a> {
    database: &'a Database,
    name: &'static str,
    stage: Stage,
    nodes: Vec<(u16, Platform)>,
}

/// A platform on a database of its own.
struct Apart {
    /// Its folder is deleted with it.
    _stage: Stage,
    platform: Platform,
}

impl Nodes<'_> {
    async fn add(&mut self) -> anyhow::Result<()> {
        let port = port::free();
        self.nodes.push((port, self.stage.start_node(port).await?));
        Ok(())
    }

    fn query(&self, sql: &str) -> anyhow::Result<String> {
        tokio::task::block_in_place(|| self.database.query(self.name, sql))
    }

    /// Number of shards by port.
    fn holdings(&self) -> anyhow::Result<HashMap<u16, usize>> {
        let sql = "SELECT substring(n.address from '[0-9]+$'), count(*) FROM lease l JOIN node n ON n.id = l.owner \
                   GROUP BY n.address";
        let rows = self.query(sql)?;
        rows.lines()
            .map(|row| {
                let (port, count) = row.split_once('|').context("two columns")?;
                Ok((port.parse()?, count.parse()?))
            })
            .collect()
    }

    /// Waits until each node has its share of the shards.
    async fn settle(&self) -> anyhow::Result<()> {
        let (fair, start) = (PIMS / self.nodes.len(), Instant::now());
        loop {
            let holdings = self.holdings()?;
            let has_its_share = |(port, _): &(u16, Platform)| holdings.get(port).is_some_and(|count| *count >= fair);
            if holdings.values().sum::<usize>() == PIMS && self.nodes.iter().all(has_its_share) {
                return Ok(());
            }
            if start.elapsed() > SETTLES_WITHIN {
                bail!("the nodes do not share the shards: {holdings:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// PIMs whose shard this node owns.
    fn pims_of(&self, port: u16) -> anyhow::Result<Vec<usize>> {
        let sql = format!(
            "SELECT p.name FROM pims p JOIN lease l ON l.shard = p.id % {PIMS} JOIN node n ON n.id = l.owner \
             WHERE n.address LIKE '%:{port}'"
        );
        let names = self.query(&sql)?;
        names.lines().map(|name| Ok(name.trim_start_matches("pim-").parse()?)).collect()
    }

    /// Processor time of all nodes in microseconds.
    fn processor_time(&self) -> anyhow::Result<f64> {
        self.nodes.iter().map(|(_, node)| node.processor_time()).sum()
    }

    async fn stop(self) -> anyhow::Result<()> {
        for (_, node) in self.nodes {
            node.stop().await?;
        }
        Ok(())
    }
}

impl Bench<'_> {
    pub(super) async fn cluster(&self, table: &mut Table) -> anyhow::Result<()> {
        let started = tokio::task::spawn_blocking(|| Database::start(true, Duration::ZERO)).await?;
        let database = match started {
            Ok(database) => database,
            Err(error) => {
                parts::left_out("PostgreSQL", &error);
                return Ok(());
            }
        };
        self.cost(table, &database).await?;
        self.news(table, &database).await?;
        self.rest(table, &database).await?;
        self.death(table, &database).await
    }

    /// Nodes on a new database with 64 PIMs.
    async fn nodes<'a>(
        &self,
        database: &'a Database,
        name: &'static str,
        count: usize,
        others: usize,
    ) -> anyhow::Result<Nodes<'a>> {
        let stage = Stage::new(&self.plan.server, &self.plan.folder, 64)?.on(Some(database.create(name)?));
        let store = stage.store().await?;
        catalogue::spread(store.as_ref(), &self.receiver.url(), PIMS, others).await?;
        tokio::task::spawn_blocking(move || drop(store)).await?;
        let mut nodes = Nodes { database, name, stage, nodes: Vec::new() };
        for _ in 0..count {
            nodes.add().await?;
        }
        nodes.settle().await?;
        Ok(nodes)
    }

    /// Platforms that are no nodes of each other, each on a database of its own with the same 64 PIMs.
    async fn apart(&self, database: &Database, count: usize) -> anyhow::Result<Vec<Apart>> {
        let mut all = Vec::new();
        for number in 0..count {
            let url = database.create(&format!("apart_{number}"))?;
            let stage = Stage::new(&self.plan.server, &self.plan.folder, 64)?.on(Some(url));
            let store = stage.store().await?;
            catalogue::spread(store.as_ref(), &self.receiver.url(), PIMS, 0).await?;
            tokio::task::spawn_blocking(move || drop(store)).await?;
            let platform = stage.start(&[]).await?;
            all.push(Apart { _stage: stage, platform });
        }
        Ok(all)
    }

    /// Sends over all nodes, for all PIMs; the nodes' processor time per event.
    async fn spread(&self, nodes: &[&Platform], time: Duration) -> anyhow::Result<f64> {
        let used = |nodes: &[&Platform]| nodes.iter().map(|node| node.processor_time()).sum::<anyhow::Result<f64>>();
        let (began, before) = (used(nodes)?, self.receiver.count());
        let mut producers = JoinSet::new();
        for number in 0..CONNECTIONS {
            let node = nodes[number % nodes.len()];
            let target = Target::platform(node.address, &catalogue::key_of(number % PIMS), 1)?;
            let samples = std::sync::Arc::clone(&self.samples);
            producers.spawn(async move { flood(&target, &samples, 1, 1, time).await });
        }
        let mut events = 0;
        while let Some(sent) = producers.join_next().await {
            events += sent??.events;
        }
        self.receiver.wait_for(before + events).await?;
        Ok((used(nodes)? - began) / events as f64)
    }

    /// Processor time of all nodes per event. More processes on the same cores are dearer even if they have nothing to
    /// do with each other: each finds the caches full of the others' data, and wakes up for fewer events at once. So
    /// several nodes are compared with as many separate platforms as well. All run side by side and take turns, because
    /// the machine is faster at one time than at another.
    async fn cost(&self, table: &mut Table, database: &Database) -> anyhow::Result<()> {
        let mut clusters = Vec::new();
        for (count, name) in NODES.into_iter().zip(["one", "three", "five"]) {
            clusters.push(self.nodes(database, name, count, 0).await?);
        }
        let most = NODES.into_iter().max().unwrap_or(1);
        let apart = self.apart(database, most).await?;
        let mut groups: Vec<Vec<&Platform>> =
            clusters.iter().map(|cluster| cluster.nodes.iter().map(|(_, node)| node).collect()).collect();
        groups.push(apart.iter().map(|one| &one.platform).collect());
        for group in &groups {
            self.spread(group, self.plan.round / 3).await?;
        }
        let mut costs = vec![Vec::new(); groups.len()];
        for _ in 0..self.plan.rounds {
            for (group, costs) in groups.iter().zip(&mut costs) {
                costs.push(self.spread(group, self.plan.round).await?);
            }
        }
        let ratio = |one: &[f64], other: &[f64]| median(&one.iter().zip(other).map(|(a, b)| a / b).collect::<Vec<_>>());
        let mut row = |name: String, costs: &[f64], other: &[f64], aim| {
            let (figure, ceiling) = (median(costs), median(other));
            table
                .row(&Row { name, figure, unit: "µs", ceiling: Some(ceiling), ratio: Some(ratio(costs, other)), aim });
        };
        let at_most = Aim::RatioAtMost(DEARER_AT_MOST);
        for (count, costs_of) in NODES.into_iter().zip(&costs) {
            let aim = if count == 1 { Aim::None } else { at_most };
            row(format!("cluster: processor time per event, {count} nodes"), costs_of, &costs[0], aim);
        }
        let [.., of_most, of_apart] = &costs[..] else { bail!("nothing was compared") };
        row(format!("  {most} separate platforms"), of_apart, &costs[0], Aim::None);
        row(format!("  {most} nodes, compared with these"), of_most, of_apart, at_most);
        for cluster in clusters {
            cluster.stop().await?;
        }
        for one in apart {
            one.platform.stop().await?;
        }
        Ok(())
    }

    /// From sending to one node until arrival from another one, at 100 events per second.
    async fn news(&self, table: &mut Table, database: &Database) -> anyhow::Result<()> {
        let bare = Bare::start(&database.create("bare_news")?).await?;
        let nodes = self.nodes(database, "news", 2, 0).await?;
        let [(_, other), (owner, _)] = &nodes.nodes[..] else { bail!("two nodes") };
        let pim = *nodes.pims_of(*owner)?.first().context("the second node owns nothing")?;
        let target = Target::platform(other.address, &catalogue::key_of(pim), 1)?;
        let pause = Duration::from_secs_f64(1.0 / CALM);
        self.latencies(&target, pause, self.plan.round / 3).await?;
        let (mut latencies, mut commits) = (Vec::new(), Vec::new());
        for _ in 0..self.plan.rounds {
            commits.extend(bare.commits(self.plan.round / 2, pause).await?);
            latencies.extend(self.latencies(&target, pause, self.plan.round).await?);
        }
        nodes.stop().await?;
        let commit = median(&commits);
        table.row(&Row {
            name: "cluster: latency by way of another node, p50".to_owned(),
            figure: median(&latencies),
            unit: "ms",
            ceiling: Some(commit),
            ratio: None,
            aim: Aim::AtMost(commit + NEWS),
        });
        Ok(())
    }

    /// What nodes take when nothing happens: processor time, and memory by the number of shards.
    async fn rest(&self, table: &mut Table, database: &Database) -> anyhow::Result<()> {
        let mut nodes = self.nodes(database, "rest", 1, 0).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let with_all = nodes.nodes[0].1.memory()?;
        nodes.add().await?;
        nodes.add().await?;
        nodes.settle().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (used, start) = (nodes.processor_time()?, Instant::now());
        tokio::time::sleep(REST).await;
        let used = (nodes.processor_time()? - used) / 1e6 / start.elapsed().as_secs_f64() / nodes.nodes.len() as f64;
        let row = |name: &str, figure: f64, unit: &'static str, at_most: f64| Row {
            name: name.to_owned(),
            figure,
            unit,
            ceiling: None,
            ratio: None,
            aim: Aim::AtMost(at_most),
        };
        table.row(&row("cluster: a node at rest, part of a core", used * 100.0, "%", AT_REST));
        // Nodes that never had more than their share.
        let (port, few) = nodes.nodes.last().context("three nodes")?;
        let shards = nodes.holdings()?.get(port).copied().unwrap_or(0);
        let more = (PIMS - shards) as f64 / PIMS as f64;
        let memory = (with_all as f64 - few.memory()? as f64) / more / f64::from(1 << 20);
        table.row(&row("cluster: 64 idle shards of a node", memory, "MiB", SHARDS_AT_MOST));
        nodes.stop().await
    }

    /// One of three nodes dies with a third of 10,000 subscriptions: from the end of its lease until others deliver for
    /// all of its PIMs.
    async fn death(&self, table: &mut Table, database: &Database) -> anyhow::Result<()> {
        let mut nodes = self.nodes(database, "death", 3, OTHERS).await?;
        let (port, dead) = nodes.nodes.pop().context("three nodes")?;
        let pims = nodes.pims_of(port)?;
        let beat = format!(
            "SELECT max(lease.beat) FROM lease JOIN node ON node.id = lease.owner WHERE address LIKE '%:{port}'"
        );
        // A moment after a renewal.
        let first = nodes.query(&beat)?;
        let mut renewed = Instant::now();
        while nodes.query(&beat)? == first {
            renewed = Instant::now();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        dead.kill().await?;
        let before = self.receiver.count();
        for pim in &pims {
            let (_, node) = &nodes.nodes[pim % nodes.nodes.len()];
            let target = Target::platform(node.address, &catalogue::key_of(*pim), 1)?;
            let mut client = target.connect().await?;
            target.send(&mut client, self.samples.body(1)).await?;
        }
        self.receiver.wait_for(before + pims.len() as u64).await?;
        let took = (renewed + LEASE).elapsed().as_secs_f64();
        nodes.stop().await?;
        table.row(&Row {
            name: format!("cluster: {} of 64 shards taken over, 10,000 subscriptions", pims.len()),
            figure: took,
            unit: "s",
            ceiling: None,
            ratio: None,
            aim: Aim::AtMost(TAKEN_WITHIN),
        });
        Ok(())
    }
}
