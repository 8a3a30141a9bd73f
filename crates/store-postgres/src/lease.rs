//! Leases: renewed together, valid by a clock that counts while the machine sleeps. No wall clock decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use store::{Epoch, NodeId, Shard, Tenure};
use tokio::time::sleep;

use crate::args::{args, natural};
use crate::failure::Failure;
use crate::inner::Inner;
use crate::lines::{Lines, PLATFORM};

/// Time since the start of the machine, including sleep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Uptime(Duration);

impl Uptime {
    fn now() -> Uptime {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        Uptime(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0)))
    }

    fn since(self, earlier: Uptime) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The leases of this process.
pub(crate) struct Leases {
    pub(crate) lines: Lines,
    valid: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Epoch of each shard taken, and the number of losses by then.
    taken: HashMap<Shard, (Epoch, u64)>,
    /// When the last renewal that succeeded was sent.
    renewed: Uptime,
}

impl Leases {
    pub(crate) fn new(lines: Lines, valid: Duration) -> Leases {
        Leases { lines, valid, state: Mutex::new(State { taken: HashMap::new(), renewed: Uptime::now() }) }
    }

    /// A shard was taken by a commit.
    pub(crate) fn took(&self, tenure: &Tenure, losses: u64) {
        self.state.lock().taken.insert(tenure.shard, (tenure.epoch, losses));
    }

    /// Whether a tenure may still be current: nothing was lost since, and the lease has not run out. The owner stops
    /// before others may begin.
    pub(crate) fn holds(&self, tenure: &Tenure, losses: u64) -> bool {
        self.state.lock().taken.get(&tenure.shard) == Some(&(tenure.epoch, losses)) && self.is_valid()
    }

    /// Whether this process owns a shard.
    pub(crate) fn owns(&self, shard: Shard, losses: u64) -> bool {
        let is_ours = self.state.lock().taken.get(&shard).is_some_and(|(_, since)| *since == losses);
        is_ours && self.is_valid()
    }

    pub(crate) fn is_valid(&self) -> bool {
        Uptime::now().since(self.state.lock().renewed) < self.valid - self.valid / 5
    }

    /// Time since the last renewal.
    pub(crate) fn age(&self) -> Duration {
        Uptime::now().since(self.state.lock().renewed)
    }

    /// Renews all leases at once.
    pub(crate) async fn renew(&self, node: NodeId) -> Result<(), Failure> {
        let sent = Uptime::now();
        let before = self.state.lock().taken.clone();
        let line = self.lines.line().await?;
        let rows = line.query("SELECT renewed, in_epoch FROM renew($1)", args![node.uuid()]).await?;
        let renewed: HashMap<i16, u64> = rows.iter().map(|row| (row.get(0), natural(row.get(1)))).collect();
        let mut state = self.state.lock();
        // One that was taken over by somebody else is not renewed. One that was taken meanwhile stays.
        for (shard, tenure) in before {
            let is_lost = renewed.get(&i16::from(shard.number())) != Some(&tenure.0.0);
            if is_lost && state.taken.get(&shard) == Some(&tenure) {
                state.taken.remove(&shard);
            }
        }
        state.renewed = state.renewed.max(sent);
        Ok(())
    }

    /// Gives all leases back: others need not wait until they have run out.
    pub(crate) async fn release(&self, node: NodeId) -> Result<(), Failure> {
        let line = self.lines.line().await?;
        line.execute("UPDATE lease SET owner = NULL WHERE owner = $1", args![node.uuid()]).await?;
        self.state.lock().taken.clear();
        Ok(())
    }
}

/// Renews the leases as long as the process serves. Never returns.
pub(crate) async fn keep(inner: Arc<Inner>) {
    let every = inner.leases.valid / 5;
    loop {
        if let Err(failure) = inner.leases.renew(inner.node).await {
            inner.health.failed(&failure);
            tracing::warn!(%failure, "could not renew the leases of the shards");
        } else {
            inner.health.wrote();
        }
        sleep(every).await;
    }
}

/// Waits until nobody else holds a lease: each is free, or its owner has not renewed it for its time. `false` if
/// another process renews its own.
pub(crate) async fn wait_until_free(inner: &Inner) -> Result<bool, Failure> {
    let read = async || -> Result<Vec<(i16, i64, i64)>, Failure> {
        let line = inner.readers.line(PLATFORM).await?;
        let sql = "SELECT shard, epoch, beat FROM lease WHERE owner IS NOT NULL AND owner <> $1";
        let rows = line.query(sql, args![inner.node.uuid()]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
    };
    let first = read().await?;
    let began = Uptime::now();
    loop {
        let now = read().await?;
        let held = now.iter().filter(|lease| first.contains(lease)).count();
        if now.len() > held {
            return Ok(false);
        }
        if held == 0 || Uptime::now().since(began) >= inner.leases.valid {
            return Ok(true);
        }
        sleep(inner.leases.valid / 20).await;
    }
}
