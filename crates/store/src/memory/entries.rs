//! Log entries in memory.

use async_trait::async_trait;
use domain::ServiceHour;
use domain::log_entry::{LogEntry, LogOrder, LogQuery};
use domain::subscriber::Owner;

use super::{KeptEntry, MemoryStore, State};
use crate::catalog::{Entries, LogPage};
use crate::error::{StoreError, TenureError};
use crate::merge;
use crate::shard::Tenure;

#[async_trait]
impl Entries for MemoryStore {
    async fn add_entry(&self, entry: LogEntry) -> Result<(), StoreError> {
        self.state.lock().add(entry);
        Ok(())
    }

    async fn entries(&self, owner: &Owner, query: &LogQuery) -> Result<LogPage, StoreError> {
        let state = self.state.lock();
        let ascending = query.order == LogOrder::Ascending;
        let is_behind = |entry: &&LogEntry| match query.after {
            None => true,
            Some(after) if ascending => entry.id > after,
            Some(after) => entry.id < after,
        };
        let wanted = |entry: &&LogEntry| entry.owner == *owner && merge::matches(query, entry) && is_behind(entry);
        let found = state.entries.values().map(|kept| &kept.entry).filter(wanted);
        let take = query.limit.saturating_add(1);
        let mut entries: Vec<LogEntry> = if ascending {
            found.skip(query.skip).take(take).cloned().collect()
        } else {
            found.rev().skip(query.skip).take(take).cloned().collect()
        };
        let more = entries.len() > query.limit;
        entries.truncate(query.limit);
        Ok(LogPage { entries, more })
    }

    async fn prune_entries(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError> {
        let mut state = self.state.lock();
        state.owned(tenure)?;
        let (spread, there) = (state.spread, state.entries.len());
        let is_ours = |entry: &LogEntry| spread.shard_of(entry.owner.pim) == tenure.shard;
        state.entries.retain(|_, kept| kept.hour >= before || !is_ours(&kept.entry));
        let State { entries, latest_errors, .. } = &mut *state;
        latest_errors.retain(|_, id| entries.contains_key(id));
        Ok((there - state.entries.len()) as u64)
    }
}

impl State {
    /// Adds a log entry, or merges it with an equal one.
    pub(super) fn add(&mut self, entry: LogEntry) {
        let owner = entry.owner.clone();
        self.add_or_merge(entry);
        self.bound_entries(&owner);
    }

    fn add_or_merge(&mut self, entry: LogEntry) {
        let hour = self.hour;
        if let Some(key) = merge::ErrorKey::of(&entry.body) {
            let parts = key.parts().map(str::to_owned);
            let key = (entry.owner.clone(), entry.subscriber_id, entry.subscription_id, parts);
            let latest = self.latest_errors.get(&key).and_then(|id| self.entries.get_mut(id));
            if let Some(latest) = latest.filter(|latest| merge::is_near(&latest.entry, &entry)) {
                let mut merged = latest.entry.clone();
                merge::merge(&mut merged, &entry);
                *latest = KeptEntry::new(merged, hour);
                return;
            }
            self.latest_errors.insert(key, entry.id);
        }
        self.entries.insert(entry.id, KeptEntry::new(entry, hour));
    }

    /// Drops the oldest entries of an owner, then those of its PIM, beyond the bounds.
    fn bound_entries(&mut self, owner: &Owner) {
        self.drop_oldest(
            |of| of == owner,
            |count, bytes, _| count > merge::MOST_ENTRIES || bytes > merge::MOST_ENTRY_BYTES,
        );
        let most = self.max_entry_bytes;
        self.drop_oldest(
            |of| of.pim == owner.pim,
            |_, bytes, dropped| bytes > most && dropped < merge::DROPPED_AT_ONCE,
        );
    }

    /// Drops the oldest entries of these owners while their number, their bytes and the number of those dropped so far
    /// require it.
    fn drop_oldest(&mut self, of: impl Fn(&Owner) -> bool, go_on: impl Fn(u64, u64, u64) -> bool) {
        let theirs = self.entries.iter().filter(|(_, kept)| of(&kept.entry.owner));
        let theirs: Vec<_> = theirs.map(|(id, kept)| (*id, kept.bytes)).collect();
        let mut bytes: u64 = theirs.iter().map(|(_, bytes)| bytes).sum();
        let mut count = theirs.len() as u64;
        for ((id, size), dropped) in theirs.into_iter().zip(0..) {
            if !go_on(count, bytes, dropped) {
                return;
            }
            (count, bytes) = (count - 1, bytes - size);
            self.entries.remove(&id);
        }
    }
}
