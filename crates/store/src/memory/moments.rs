//! Going back to an earlier state, as a database does whose standby takes over without the latest commits. For tests.

use super::{MemoryStore, State};

/// All that is stored, at one moment.
#[derive(Debug)]
pub struct Moment(State);

impl MemoryStore {
    /// What is stored now.
    pub fn moment(&self) -> Moment {
        Moment(self.state.lock().clone())
    }

    /// Everything stored since is gone. Processes are told nothing: each keeps its tail until it is reopened.
    pub fn go_back(&self, to: Moment) {
        let mut state = self.state.lock();
        let listeners = std::mem::take(&mut state.listeners);
        *state = State { listeners, ..to.0 };
    }
}

#[cfg(test)]
mod tests {
    use domain::{PimId, Position, Timestamp};

    use super::*;
    use crate::event_log::{EventLog, ReadLimit, Scope};
    use crate::shard::{Shard, Shards};

    async fn ids(store: &MemoryStore) -> Vec<(u64, String)> {
        let limit = ReadLimit { events: 100, bytes: 1 << 20, until: Position(100) };
        let chunk = store.read(Scope::Shard(Shard::FIRST), Position::FIRST, limit).await.unwrap();
        chunk.events.iter().map(|event| (event.position.0, event.event.id().to_owned())).collect()
    }

    /// Positions are used again by other events, ids are free again, and the tail keeps what it showed.
    #[tokio::test]
    async fn what_is_stored_later_is_gone() {
        let store = MemoryStore::default();
        let event = |id: &str| domain::testing::event(id, domain::testing::UPDATED, "{}");
        let append = async |id: &str| store.append(PimId(1), vec![event(id)], Timestamp::EPOCH).await.unwrap();
        append("a").await;
        let moment = store.moment();
        append("b").await;
        store.take(Shard::FIRST).await.unwrap();
        store.go_back(moment);
        assert_eq!(ids(&store).await, [(1, "a".to_owned())]);
        assert_eq!(store.tail(Shard::FIRST).head(), Position(3));
        let reopened = store.reopen();
        assert_eq!(reopened.tail(Shard::FIRST).head(), Position(2));
        assert_eq!((append("a").await.duplicates, append("c").await.duplicates), (1, 0));
        assert_eq!(append("b").await.duplicates, 0);
        assert_eq!(ids(&store).await, [(1, "a".to_owned()), (2, "c".to_owned()), (3, "b".to_owned())]);
        assert_eq!(reopened.tail(Shard::FIRST).head(), Position(4));
        assert_eq!(store.take(Shard::FIRST).await.unwrap().epoch.0, 1);
    }
}
