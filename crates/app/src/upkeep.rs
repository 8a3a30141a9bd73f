//! Maintenance beside the platform's work: counting hours of service, deleting old data, checking permissions with
//! PIMs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{PimGateway, client_life};
use domain::Clock;
use store::{Backend, Shard, Store, Tenure};
use tokio::sync::watch;

use crate::config::settings::Settings;
use crate::tuning;

/// Interval between deletions of old log entries.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Time between the first deletions of two shards.
const PRUNE_APART: Duration = Duration::from_secs(1);

/// Interval at which the store's durability is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Interval at which the running time is saved; a crash loses less than this.
const SERVED_EVERY: Duration = Duration::from_secs(5 * 60);

/// Periodically asks the PIMs of a shard whether their clients may still use the platform. Never returns.
pub(crate) async fn recheck(
    store: Arc<dyn Store>,
    shard: Shard,
    gateway: Arc<dyn PimGateway>,
    clock: Clock,
    settings: Settings,
) {
    let (every, pause) = (settings.tokens.recheck_every, settings.tokens.recheck_pause);
    let frequent = tuning::frequent(&settings);
    loop {
        tokio::time::sleep(every).await;
        let round = client_life::recheck_permissions(store.as_ref(), shard, gateway.as_ref(), &clock, pause, frequent);
        if let Err(error) = round.await {
            tracing::warn!(%error, "could not check the clients' permissions; retrying in the next round");
        }
    }
}

/// Deletes the bridge's data of removed PIMs, slice by slice.
async fn prune_snapshots(store: &dyn Store, tenure: &Tenure) {
    loop {
        match store.prune_snapshots(tenure).await {
            Ok(0) => return,
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => {
                tracing::warn!(%error, "could not delete the data of removed PIMs; retrying in an hour");
                return;
            }
        }
    }
}

/// Counts the hours of service, which determine all ages, with a monotonic clock.
pub(crate) async fn age(store: Arc<dyn Store>, tenure: Tenure, mut stopped: watch::Receiver<bool>) {
    let mut counted = Instant::now();
    loop {
        let stop = tokio::time::timeout(SERVED_EVERY, stopped.wait_for(|stopped| *stopped)).await.is_ok();
        let now = Instant::now();
        match store.served(&tenure, now.duration_since(counted)).await {
            Ok(_) => counted = now,
            Err(error) => {
                tracing::warn!(%error, "could not count the hours of service; retrying")
            }
        }
        if stop {
            return;
        }
    }
}

/// Tells the operator by what acknowledged events may be lost, whenever that changes. Never returns.
pub(crate) async fn durability(store: Arc<dyn Backend>) {
    let mut told = None;
    loop {
        match store.durability().await {
            Ok(problem) if problem != told => {
                match &problem {
                    Some(problem) => tracing::warn!("{problem}"),
                    None => tracing::info!("acknowledged events are as durable as they should be"),
                }
                told = problem;
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "could not look how durable acknowledged events are"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Periodically deletes log entries of an owner's shard older than `keep`, and erases subscribers and subscriptions
/// deleted before that. Ages are counted in hours of service. Never returns.
pub(crate) async fn prune(store: Arc<dyn Store>, tenure: Tenure, keep: Duration) {
    // A node may take over all shards at once: they take turns.
    tokio::time::sleep(PRUNE_APART * u32::from(tenure.shard.number())).await;
    loop {
        match store.prune_entries(&tenure, store.hour().ago(keep)).await {
            Ok(0) => {}
            Ok(entries) => tracing::info!(entries, "deleted old log entries"),
            Err(error) => tracing::warn!(%error, "could not delete old log entries; retrying in an hour"),
        }
        prune_snapshots(store.as_ref(), &tenure).await;
        // However short the retention: the engine must have processed a deletion before it is erased.
        match store.prune_deleted(&tenure, store.hour().ago(keep.max(PRUNE_EVERY))).await {
            Ok(0) => {}
            Ok(pruned) => tracing::info!(pruned, "erased old deleted subscribers and subscriptions"),
            Err(error) => {
                tracing::warn!(%error, "could not erase deleted subscriptions; retrying in an hour")
            }
        }
        tokio::time::sleep(PRUNE_EVERY).await;
    }
}
