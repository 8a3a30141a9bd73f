//! The bridge's records about each PIM for its operator: log lines, counts, and the note shown by `postrider pim
//! check`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::PimId;
use domain::pim::Pim;
use parking_lot::Mutex;
use store::{ChangeError, Store, StoredStatus};

use super::Bridge;
use super::counts::add;
use super::work::Made;
use crate::seldom::Cause;
use crate::status::BridgeStatus;

/// Minimum interval between writes of a note.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// Pending note of a PIM.
#[derive(Default)]
pub(super) struct Unwritten {
    /// Changes since it was last stored.
    more: BridgeStatus,
    /// A task is about to store it.
    storing: bool,
}

/// Unstored notes of all PIMs.
pub(super) type Notes = Arc<Mutex<HashMap<PimId, Unwritten>>>;

/// Events of a request without effect, with the latest reason.
#[derive(Default)]
pub(super) struct LeftOut {
    pub(super) bad: usize,
    pub(super) bad_why: Option<String>,
    pub(super) unknown: usize,
    pub(super) unknown_action: Option<String>,
}

impl Bridge {
    /// Logs skipped events.
    pub(super) fn tell_left_out(&self, pim: &Pim, left_out: LeftOut) {
        let LeftOut { bad, bad_why, unknown, unknown_action } = left_out;
        add(&self.counters.bad, bad);
        add(&self.counters.unknown, unknown);
        if let Some(events) = self.seldom.note(pim.id, Cause::Bad, bad) {
            let why = bad_why.as_deref().unwrap_or_default();
            tracing::warn!(
                pim.name = %pim.name, events, why,
                "skipped unrecognisable events of the Events API; `why` is about the latest"
            );
        }
        if let Some(events) = self.seldom.note(pim.id, Cause::UnknownAction, unknown) {
            let action = unknown_action.as_deref().unwrap_or_default();
            tracing::warn!(
                pim.name = %pim.name, events, action,
                "skipped events of the Events API with an unknown action; `action` is the latest"
            );
        }
        if bad + unknown > 0 {
            self.note(pim.id, |note| {
                note.bad += bad as u64;
                note.bad_why = bad_why;
                note.unknown += unknown as u64;
                note.unknown_action = unknown_action;
            });
        }
    }

    /// Logs failures within a stored request.
    pub(super) fn tell_made(&self, pim: &Pim, made: &Made) {
        let uncompared = made.uncompared.len();
        add(&self.counters.uncompared, uncompared);
        add(&self.counters.too_large, made.too_large);
        if let Some(entities) = self.seldom.note(pim.id, Cause::Uncompared, uncompared) {
            let why = made.uncompared_why.as_deref().unwrap_or_default();
            tracing::warn!(
                pim.name = %pim.name, entities, why,
                "entities of the PIM cannot be compared: their events are delivered without a delta; `why` is about \
                 the latest"
            );
        }
        if let Some(deltas) = self.seldom.note(pim.id, Cause::TooLarge, made.too_large) {
            let entity = made.too_large_of.as_deref().unwrap_or_default();
            tracing::warn!(
                pim.name = %pim.name, deltas, entity,
                "deltas would exceed the 1 MiB of an event: the events are delivered without them; `entity` is the \
                 latest"
            );
        }
        if let Some(entities) = self.seldom.note(pim.id, Cause::Snapshot, made.damaged) {
            let why = made.damaged_why.as_deref().unwrap_or_default();
            tracing::error!(
                pim.name = %pim.name, entities, why,
                "the last states of entities cannot be read and are replaced; `why` is of the latest"
            );
        }
        if uncompared > 0 {
            self.note(pim.id, |note| {
                note.uncompared += uncompared as u64;
                note.uncompared_why = made.uncompared_why.clone();
            });
        }
    }

    /// Adds to the note of a PIM, and has it stored.
    pub(super) fn note(&self, pim: PimId, change: impl FnOnce(&mut BridgeStatus)) {
        {
            let mut notes = self.notes.lock();
            let unwritten = notes.entry(pim).or_default();
            change(&mut unwritten.more);
            if std::mem::replace(&mut unwritten.storing, true) {
                return;
            }
        }
        let (store, notes) = (Arc::clone(&self.store), Arc::clone(&self.notes));
        tokio::spawn(async move {
            loop {
                let more = {
                    let mut notes = notes.lock();
                    let Some(unwritten) = notes.get_mut(&pim) else { return };
                    if unwritten.more == BridgeStatus::default() {
                        unwritten.storing = false;
                        return;
                    }
                    std::mem::take(&mut unwritten.more)
                };
                if let Err(error) = absorb(&*store, pim, more).await {
                    tracing::warn!(
                        %error,
                        "could not store the Events API status for `postrider pim check`"
                    );
                }
                tokio::time::sleep(NOTE_EVERY).await;
            }
        });
    }
}

/// Adds to the note of a PIM, retrying on concurrent changes.
async fn absorb(store: &dyn Store, pim: PimId, more: BridgeStatus) -> Result<(), ChangeError> {
    loop {
        let kept = store.bridge_status(pim).await?.unwrap_or_default();
        let mut note = BridgeStatus::from_text(&kept.text);
        note.absorb(more.clone());
        let next = StoredStatus { text: note.to_text(), ..kept };
        match store.put_bridge_status(pim, next).await {
            Err(ChangeError::Conflict) => {}
            done => return done,
        }
    }
}
