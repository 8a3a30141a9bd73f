//! `postrider cluster`: the nodes that serve a platform and the shards they own.

use std::time::Duration;

use api::Members;
use clap::Args;
use store::{Backend, Roll};
use tokio::time::{Instant, sleep};

use crate::config::ConfigArgs;
use crate::failure::Failure;
use crate::members::members;
use crate::terminal::{self, BOLD, styled};
use crate::{data, database};

/// Pause between two looks for signs of life.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Show the nodes that serve the platform and the shards they own
///
/// Reads the database, also while no node runs. It waits for a sign of life of each node, for about a third of
/// `store.lease`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider cluster --config /etc/postrider/postrider.toml
  postrider cluster --json | jq '.nodes[] | select(.live | not)'")]
pub(crate) struct ClusterArgs {
    /// Print one JSON object, like `GET /api/v1/admin/cluster`
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub(crate) fn run(args: &ClusterArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    super::block_on(async {
        let store = data::open_beside(&config).await?;
        let lags = store.lags().await.map_err(anyhow::Error::from)?;
        let (first, now) = signs_of_life(&*store, config.settings.store.lease / 3).await?;
        let beat = |roll: &Roll, id| roll.nodes.iter().find(|node| node.id == id).map(|node| node.beat);
        // The embedded store has no beats.
        let has_beats = database::is_used(&config);
        let all = members(&now, &lags, None, |id| !has_beats || beat(&first, id) != beat(&now, id));
        show(&all, args.json)
    })
}

/// Looks until each node has shown a sign of life, for a limited time; the first and the last look.
async fn signs_of_life(store: &dyn Backend, at_most: Duration) -> Result<(Roll, Roll), Failure> {
    let by = Instant::now() + at_most;
    let first = store.roll().await.map_err(anyhow::Error::from)?;
    loop {
        let now = store.roll().await.map_err(anyhow::Error::from)?;
        let moved = |node: &store::Node| first.nodes.iter().all(|one| one.id != node.id || one.beat != node.beat);
        if now.nodes.iter().all(moved) || Instant::now() >= by {
            return Ok((first, now));
        }
        sleep(LOOK_EVERY).await;
    }
}

fn show(all: &Members, json: bool) -> Result<(), Failure> {
    if json {
        terminal::line(serde_json::to_string(all).map_err(anyhow::Error::from)?);
        return Ok(());
    }
    if all.nodes.is_empty() {
        terminal::note("no node serves this platform; `postrider serve` starts one");
    }
    for node in &all.nodes {
        let address = node.address.as_deref().unwrap_or("no address");
        let state = match (node.live, node.fit) {
            (false, _) => "  no sign of life",
            (true, false) => "  cannot deliver",
            (true, true) => "",
        };
        let (id, shards) = (styled(BOLD, &node.id), node.shards);
        terminal::line(format_args!("{id}  {address}  {}  {shards} shards{state}", node.version));
    }
    let free = all.shards.iter().filter(|shard| shard.owner.is_none()).count();
    if free > 0 {
        terminal::line(format_args!("{free} shards without an owner"));
    }
    for shard in all.shards.iter().filter(|shard| shard.lag > 0) {
        terminal::line(format_args!("shard {}  {} events not routed yet", shard.number, shard.lag));
    }
    Ok(())
}
