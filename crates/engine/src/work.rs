//! Compound store operations of the driver.

use std::sync::Arc;
use std::time::Duration;

use domain::{LoggedEvent, PimId, Position};
use store::{Chunk, EventLog, Floors, Kept, ReadLimit, Scope, StoreError, Tenure, TenureError};

use crate::core::{ReplayChunk, ReplayRead, Wanted};
use crate::driver::Trimmed;

/// Reads single events of a PIM, skipping deleted ones.
pub async fn load(
    log: &(impl EventLog + ?Sized),
    pim: PimId,
    positions: &[Position],
) -> Result<Vec<Arc<LoggedEvent>>, StoreError> {
    let mut events = Vec::with_capacity(positions.len());
    for position in positions {
        let limit = ReadLimit { events: 1, bytes: 1, until: position.next() };
        events.extend(log.read(Scope::Pim(pim), *position, limit).await?.events);
    }
    Ok(events)
}

/// Reads events for a replay, and what is needed to judge them.
pub async fn read_for_replay(store: &(impl Kept + ?Sized), read: &ReplayRead) -> Result<Box<ReplayChunk>, StoreError> {
    let mut chunk = Box::<ReplayChunk>::default();
    match &read.wanted {
        Wanted::Range { from, limit } => {
            let Chunk { events, next } = store.read(Scope::Pim(read.pim), *from, *limit).await?;
            (chunk.events, chunk.next) = (events, next);
            // Afterwards: what was deleted meanwhile is noticed.
            chunk.kept_from = store.kept_from(read.pim).await?;
            if read.exceptional {
                let range = *from..chunk.next;
                (chunk.given_up, chunk.dropped) = store.exceptional(read.subscription, range).await?;
            }
        }
        Wanted::Listed(positions) | Wanted::Again(positions) => {
            chunk.events = load(store, read.pim, positions).await?;
        }
    }
    if let Some(owner) = &read.histories_of {
        chunk.histories = Some(store.histories(owner).await?);
    }
    Ok(chunk)
}

/// Deletes events that no lane of a shard needs, and finds those older than the retention or in excess of the bound.
pub async fn trim(
    log: &(impl EventLog + ?Sized),
    tenure: &Tenure,
    floors: &Floors,
    retention: Duration,
) -> Result<Trimmed, TenureError> {
    let oldest = log.hour().ago(retention);
    loop {
        match log.trim(tenure, floors).await {
            Ok(0) => break,
            Ok(deleted) => tracing::debug!(deleted, "deleted events that no lane needs"),
            Err(TenureError::Fenced) => return Err(TenureError::Fenced),
            Err(TenureError::Store(error)) => {
                tracing::warn!(%error, "cannot delete old events; retrying");
                break;
            }
        }
    }
    let mut trimmed = Trimmed { expired: log.first_since(tenure.shard, oldest).await.ok(), pressed: None };
    // If a PIM of another shard uses most, that shard's owner makes room.
    if let Some(pressed) = log.backlog().pressed()
        && log.shard_of(pressed.pim) == tenure.shard
        && let Ok(before) = log.position_after(pressed.pim, pressed.bytes).await
    {
        trimmed.pressed = Some((pressed.pim, before));
    }
    Ok(trimmed)
}
