//! Shards of other owners in which this process has committed something: their owners can be told, so that they need
//! not wait for their next look.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::shard::Shard;

/// Time for which the owner of shards looks for others' events often, by itself, after it was nudged or has found some.
pub const ATTENTIVE: Duration = Duration::from_millis(200);

/// The shards. For one taker at a time.
#[derive(Debug, Default)]
pub struct Elsewhere {
    shards: Mutex<BTreeSet<Shard>>,
    noted: Notify,
}

impl Elsewhere {
    /// Something was committed in a shard of another owner.
    pub fn note(&self, shard: Shard) {
        if self.shards.lock().insert(shard) {
            self.noted.notify_one();
        }
    }

    /// Takes the shards noted since the last time, each once; waits until there is one.
    pub async fn take(&self) -> BTreeSet<Shard> {
        loop {
            let shards = std::mem::take(&mut *self.shards.lock());
            if !shards.is_empty() {
                return shards;
            }
            self.noted.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Spread;

    #[tokio::test(start_paused = true)]
    async fn a_shard_is_taken_once_however_often_it_was_noted() {
        let elsewhere = Elsewhere::default();
        let shard = |number| Spread::CLUSTER.shard(number).unwrap();
        for number in [5, 3, 5] {
            elsewhere.note(shard(number));
        }
        assert_eq!(elsewhere.take().await, BTreeSet::from([shard(3), shard(5)]));
        let nothing = tokio::time::timeout(Duration::from_secs(1), elsewhere.take()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        elsewhere.note(shard(5));
        assert_eq!(elsewhere.take().await, BTreeSet::from([shard(5)]));
    }
}
