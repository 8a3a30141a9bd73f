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
use crate::lines::Lines;

/// Time since the start of the machine, including sleep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Uptime(Duration);

impl Uptime {
    pub(crate) fn now() -> Uptime {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        Uptime(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0)))
    }

    pub(crate) fn since(self, earlier: Uptime) -> Duration {
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

    /// A shard is being given back.
    pub(crate) fn gave(&self, tenure: &Tenure) {
        let mut state = self.state.lock();
        if state.taken.get(&tenure.shard).is_some_and(|(epoch, _)| *epoch == tenure.epoch) {
            state.taken.remove(&tenure.shard);
        }
    }

    /// Whether a tenure may still be current: nothing was lost since, and the lease has not run out. The owner stops
    /// before others may begin.
    pub(crate) fn holds(&self, tenure: &Tenure, losses: u64) -> bool {
        self.state.lock().taken.get(&tenure.shard) == Some(&(tenure.epoch, losses)) && self.is_valid()
    }

    /// Time for which a lease is valid.
    pub(crate) fn valid(&self) -> Duration {
        self.valid
    }

    /// Whether this process has taken a shard and not lost it, as far as it knows, even if its lease may have run out.
    pub(crate) fn has(&self, shard: Shard, losses: u64) -> bool {
        self.state.lock().taken.get(&shard).is_some_and(|(_, since)| *since == losses)
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

    /// Gives all leases back, and leaves the nodes: others need not wait until they have run out.
    pub(crate) async fn release(&self, node: NodeId) -> Result<(), Failure> {
        self.state.lock().taken.clear();
        let line = self.lines.line().await?;
        line.query("SELECT leave($1)", args![node.uuid()]).await?;
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
