//! What the bridge remembers of each PIM for its operator: lines of the log, counts, and the note that `postrider pim check`
//! reads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::PimId;
use domain::pim::Pim;
use parking_lot::Mutex;
use store::{BridgeNote, ChangeError, Store};

use super::Bridge;
use super::counts::add;
use super::work::Made;
use crate::note::Note;
use crate::seldom::Cause;

/// A note is written at most so often.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// What is to be noted of a PIM.
#[derive(Default)]
pub(super) struct Unwritten {
    /// What came since it was last stored.
    more: Note,
    /// Somebody is about to store it.
    storing: bool,
}

/// The notes of all PIMs that are not stored yet.
pub(super) type Notes = Arc<Mutex<HashMap<PimId, Unwritten>>>;

/// Events of a request that lead to nothing, with the latest reason.
#[derive(Default)]
pub(super) struct LeftOut {
    pub(super) bad: usize,
    pub(super) bad_why: Option<String>,
    pub(super) unknown: usize,
    pub(super) unknown_action: Option<String>,
}

impl Bridge {
    /// Tells the operator of events that were left out.
    pub(super) fn tell_left_out(&self, pim: &Pim, left_out: LeftOut) {
        let LeftOut { bad, bad_why, unknown, unknown_action } = left_out;
        add(&self.counters.bad, bad);
        add(&self.counters.unknown, unknown);
        if let Some(events) = self.seldom.note(pim.id, Cause::Bad, bad) {
            let why = bad_why.as_deref().unwrap_or_default();
            tracing::warn!(pim.name = %pim.name, events, why, "events of the Events API were left out: what happened to which entity cannot be told; `why` is of the latest");
        }
        if let Some(events) = self.seldom.note(pim.id, Cause::UnknownAction, unknown) {
            let action = unknown_action.as_deref().unwrap_or_default();
            tracing::warn!(pim.name = %pim.name, events, action, "events of the Events API were left out: this version does not know their action; `action` is of the latest");
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

    /// Tells the operator what did not come of a request that is on stable storage.
    pub(super) fn tell_made(&self, pim: &Pim, made: &Made) {
        let uncompared = made.uncompared.len();
        add(&self.counters.uncompared, uncompared);
        add(&self.counters.too_large, made.too_large);
        if let Some(entities) = self.seldom.note(pim.id, Cause::Uncompared, uncompared) {
            let why = made.uncompared_why.as_deref().unwrap_or_default();
            tracing::warn!(pim.name = %pim.name, entities, why, "entities of the PIM have a shape that cannot be compared: their events are delivered without a delta; `why` is of the latest");
        }
        if let Some(deltas) = self.seldom.note(pim.id, Cause::TooLarge, made.too_large) {
            let entity = made.too_large_of.as_deref().unwrap_or_default();
            tracing::warn!(pim.name = %pim.name, deltas, entity, "deltas would be larger than the 1 MiB of an event: the entities' events are delivered without them; `entity` is the latest");
        }
        if let Some(entities) = self.seldom.note(pim.id, Cause::Snapshot, made.damaged) {
            let why = made.damaged_why.as_deref().unwrap_or_default();
            tracing::error!(pim.name = %pim.name, entities, why, "the last states of entities cannot be read and are replaced; `why` is of the latest");
        }
        if uncompared > 0 {
            self.note(pim.id, |note| {
                note.uncompared += uncompared as u64;
                note.uncompared_why = made.uncompared_why.clone();
            });
        }
    }

    /// Adds to the note of a PIM, and sees to it that it is stored.
    pub(super) fn note(&self, pim: PimId, change: impl FnOnce(&mut Note)) {
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
                    if unwritten.more == Note::default() {
                        unwritten.storing = false;
                        return;
                    }
                    std::mem::take(&mut unwritten.more)
                };
                if let Err(error) = absorb(&*store, pim, more).await {
                    tracing::warn!(%error, "what `postrider pim check` shows of the Events API could not be kept");
                }
                tokio::time::sleep(NOTE_EVERY).await;
            }
        });
    }
}

/// Adds to the note of a PIM, as often as somebody else is faster.
async fn absorb(store: &dyn Store, pim: PimId, more: Note) -> Result<(), ChangeError> {
    loop {
        let kept = store.bridge_note(pim).await?.unwrap_or_default();
        let mut note = Note::from_text(&kept.text);
        note.absorb(more.clone());
        let next = BridgeNote { text: note.to_text(), ..kept };
        match store.put_bridge_note(pim, next).await {
            Err(ChangeError::Conflict) => {}
            done => return done,
        }
    }
}
