//! Snapshots in memory.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{Event, PimId, Timestamp};

use super::MemoryStore;
use crate::condition::Condition;
use crate::error::{AppendError, ChangeError, StoreError, TenureError};
use crate::shard::Tenure;
use crate::snapshots::{self, AppendNewError, Snapshot, SnapshotKey, SnapshotSave, Snapshots, StoredStatus};

#[async_trait]
impl Snapshots for MemoryStore {
    async fn snapshots(
        &self,
        pim: PimId,
        keys: Vec<SnapshotKey>,
    ) -> Result<HashMap<SnapshotKey, Snapshot>, StoreError> {
        let state = self.state.lock();
        let found = keys.into_iter().filter_map(|key| {
            let snapshot = state.snapshots.get(&(pim, key.clone()))?.clone();
            Some((key, snapshot))
        });
        Ok(found.collect())
    }

    async fn append_new_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        saves: Vec<SnapshotSave>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<(), AppendNewError> {
        let mut state = self.state.lock();
        if !state.hold(&conditions) {
            return Err(AppendError::Outdated.into());
        }
        let revision = |key: &SnapshotKey| state.snapshots.get(&(pim, key.clone())).map(|one| one.revision);
        if saves.iter().any(|save| revision(&save.key) != save.seen) {
            return Err(AppendNewError::Changed);
        }
        let known = |event: &&Event| self.knows(&state, pim, event);
        let known: Vec<String> = events.iter().filter(known).map(|event| event.id().to_owned()).collect();
        if !known.is_empty() {
            return Err(AppendNewError::Known(known));
        }
        let revision = state.shard_of(pim).head().0;
        self.append_to(&mut state, pim, events, now)?;
        let of_pim = state.snapshots.iter().filter(|((of, _), _)| *of == pim);
        let mut taken: u64 = of_pim.map(|((_, key), kept)| snapshots::size(key, &kept.body)).sum();
        for SnapshotSave { key, body, .. } in saves {
            if let Some(before) = state.snapshots.remove(&(pim, key.clone())) {
                taken -= snapshots::size(&key, &before.body);
            }
            let Some(body) = body else { continue };
            let size = snapshots::size(&key, &body);
            if taken + size <= self.settings.max_state_bytes {
                taken += size;
                state.snapshots.insert((pim, key), Snapshot { revision, body });
            }
        }
        Ok(())
    }

    async fn prune_snapshots(&self, tenure: &Tenure) -> Result<u64, TenureError> {
        let mut state = self.state.lock();
        state.owned(tenure)?;
        let state = &mut *state;
        let (spread, pims) = (state.spread, &state.pims);
        let stays = |pim: &PimId| pims.contains_key(pim) || spread.shard_of(*pim) != tenure.shard;
        let before = state.snapshots.len() + state.bridge_statuses.len();
        state.snapshots.retain(|(pim, _), _| stays(pim));
        state.bridge_statuses.retain(|pim, _| stays(pim));
        Ok((before - state.snapshots.len() - state.bridge_statuses.len()) as u64)
    }

    async fn bridge_status(&self, pim: PimId) -> Result<Option<StoredStatus>, StoreError> {
        Ok(self.state.lock().bridge_statuses.get(&pim).cloned())
    }

    async fn put_bridge_status(&self, pim: PimId, mut note: StoredStatus) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        if state.bridge_statuses.get(&pim).map_or(0, |stored| stored.revision) != note.revision {
            return Err(ChangeError::Conflict);
        }
        note.revision += 1;
        state.bridge_statuses.insert(pim, note);
        Ok(())
    }
}
