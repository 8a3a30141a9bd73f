//! What the driver asks of a store, done in one call.

use std::sync::Arc;
use std::time::Duration;

use domain::{LoggedEvent, PimId, Position};
use store::{EventLog, ReadLimit, StoreError};

use crate::core::Floors;
use crate::driver::Trimmed;

/// Reads single events of a PIM. Those that are gone are left out.
pub async fn load(
    log: &(impl EventLog + ?Sized),
    pim: PimId,
    positions: &[Position],
) -> Result<Vec<Arc<LoggedEvent>>, StoreError> {
    let mut events = Vec::with_capacity(positions.len());
    for position in positions {
        let limit = ReadLimit { events: 1, bytes: 1, until: position.next() };
        events.extend(log.read(Some(pim), *position, limit).await?.events);
    }
    Ok(events)
}

/// Deletes what no lane needs, and finds what is older than the platform keeps events, and what there is too much of.
pub async fn trim(log: &(impl EventLog + ?Sized), floors: &Floors, retention: Duration) -> Trimmed {
    let oldest = log.hour().ago(retention);
    loop {
        match log.trim(&floors.pims, floors.rest).await {
            Ok(0) => break,
            Ok(deleted) => tracing::debug!(deleted, "deleted events that no lane needs"),
            Err(error) => {
                tracing::warn!(%error, "cannot delete old events; retrying");
                break;
            }
        }
    }
    let mut trimmed = Trimmed { expired: log.first_since(oldest).await.ok(), pressed: None };
    if let Some(pressed) = log.backlog().pressed()
        && let Ok(before) = log.position_after(pressed.pim, pressed.bytes).await
    {
        trimmed.pressed = Some((pressed.pim, before));
    }
    trimmed
}
