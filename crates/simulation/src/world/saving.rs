//! Saves: requested, made or not, and answered.

use std::time::Duration;

use domain::log_entry::LogBody;
use engine::driver::Input;
use store::{Ledger, Save, TenureError};

use super::{PendingSave, Step, World};
use crate::mutation::Mutation;
use crate::property::Check;
use crate::storage::{at_once, unavailable};

impl World {
    /// The engine requests a save.
    pub(super) fn begin_save(&mut self, mut save: Save) {
        // A failed save is requested again unchanged.
        let (windows, replays, asked_at) = match self.failed_save.take() {
            Some(failed) => (failed.windows, failed.replays, failed.asked_at),
            None => (self.oracle.asked(), self.oracle.replays_asked(), self.time),
        };
        if self.is_fenced(Input::Saved { result: Err(TenureError::Fenced) }) {
            return;
        }
        self.tamper_with(&mut save);
        self.note(|| {
            let lanes: Vec<_> = save.lanes.iter().map(shown).collect();
            format!("save mark {} {lanes:?}", save.mark)
        });
        let last = self.mutated(Mutation::StopBeforeTheLastSave) && self.stopping_since.is_some();
        if last || self.mutated(Mutation::ForgetSave) && self.random.percent(20) {
            return self.answer(0, Input::Saved { result: Ok(()) });
        }
        self.pending_save = Some(PendingSave { save, windows, replays, asked_at });
        if self.mutated(Mutation::AnswerBeforeDurable) {
            self.answer(0, Input::Saved { result: Ok(()) });
            return self.schedule(3_000_000, Step::Save(self.run));
        }
        let takes = self.store_takes();
        self.schedule(takes, Step::Save(self.run));
    }

    /// The store processes the save.
    pub(super) fn save(&mut self) -> Check {
        let fails = self.store_fails();
        if fails {
            self.failed_save = self.pending_save.take();
        } else {
            self.make_save()?;
        }
        if !self.mutated(Mutation::AnswerBeforeDurable) {
            let takes = self.store_takes();
            self.answer(takes, Input::Saved { result: if fails { Err(unavailable().into()) } else { Ok(()) } });
        }
        Ok(())
    }

    fn tamper_with(&mut self, save: &mut Save) {
        self.tamper_with_progress(&mut save.replays);
        for lane in &mut save.lanes {
            self.tamper_with_facts(lane);
            match self.plan.mutation {
                Some(Mutation::SaveCursorPastUnsettled) => lane.cursor = None,
                Some(Mutation::DropExceptions) => lane.exceptions.clear(),
                Some(Mutation::KeepSettledExceptions) => lane.settled.clear(),
                Some(Mutation::SaveDueTooEarly) => {
                    for exception in &mut lane.exceptions {
                        exception.due_at = exception.due_at - Duration::from_secs(60);
                    }
                }
                Some(Mutation::CountTwice) => {
                    if let Some(memory) = &mut lane.memory {
                        let minutes = minutes(memory);
                        for record in memory[minutes..].chunks_exact_mut(MINUTE_BYTES) {
                            let failed = u32::from_le_bytes([record[8], record[9], record[10], record[11]]) * 2;
                            record[8..12].copy_from_slice(&failed.to_le_bytes());
                        }
                    }
                }
                Some(Mutation::CountReplays) => {
                    let failed = self.oracle.find(lane.subscription).map_or(0, |of| self.oracle.replay_failures(of));
                    if let Some(memory) = &mut lane.memory {
                        let minutes = minutes(memory);
                        if let Some(record) = memory[minutes..].chunks_exact_mut(MINUTE_BYTES).next_back() {
                            let counted = u32::from_le_bytes([record[8], record[9], record[10], record[11]]);
                            record[8..12].copy_from_slice(&(counted + failed).to_le_bytes());
                        }
                    }
                }
                Some(Mutation::ForgetPause) => {
                    if let Some(memory) = &mut lane.memory {
                        memory[PAUSE].fill(0);
                    }
                }
                Some(Mutation::ForgetWhatWasTaken) => {
                    if let Some(memory) = &mut lane.memory {
                        let minutes = minutes(memory);
                        memory.drain(TAKEN..minutes - WARNING);
                        memory[TAKEN - 4..TAKEN].fill(0);
                    }
                }
                Some(Mutation::LoseDropEntry) => lane.entries.retain(|entry| drop_count(&entry.body).is_none()),
                Some(Mutation::LoseFailureEntry) => lane.entries.retain(|entry| drop_count(&entry.body).is_some()),
                _ => {}
            }
        }
    }

    /// The pending save is made.
    pub(super) fn make_save(&mut self) -> Check {
        let Some(pending) = self.pending_save.take() else { return Ok(()) };
        self.before_commit();
        let mut save = pending.save;
        // A lane without anything to save has saved everything.
        self.oracle.lanes.iter_mut().for_each(|lane| lane.saved_at = pending.asked_at);
        for lane in &mut save.lanes {
            if let Some(index) = self.oracle.find(lane.subscription) {
                let stored = self.oracle.lanes[index].stored.generation;
                let asked = pending.windows.get(index).cloned().unwrap_or_default();
                // A part overtaken by a suspension is stored without its memory, provided it is of the same lane.
                let current = stored == lane.generation;
                let taken = lane.generation >= self.oracle.lanes[index].began_in && lane.generation <= stored;
                self.oracle.saved(index, asked, taken, current && lane.memory.is_some());
                let reported = lane.entries.iter().filter_map(|entry| drop_count(&entry.body));
                self.oracle.lanes[index].drops_reported += reported.sum::<u64>();
                if self.plan.mutation == Some(Mutation::IgnoreGenerationOnSave) {
                    lane.generation = stored;
                }
            }
        }
        for replay in &save.replays {
            self.oracle.replay_saved(replay, &pending.replays)?;
        }
        let _ = at_once(self.store.save(&self.tenure, save));
        Ok(())
    }
}

/// In a lane's memory (see the crate `delivery`, `memory.rs`): the range of the pause, and the offset of the events
/// settled ahead of the cursor, which follow their count.
const PAUSE: std::ops::Range<usize> = 17..57;
const TAKEN: usize = 61;

/// Size of the time of the last warning, which follows them.
const WARNING: usize = 8;

/// Size of one minute of the window.
const MINUTE_BYTES: usize = 20;

/// Offset of the window's minutes.
fn minutes(memory: &[u8]) -> usize {
    let taken = memory[TAKEN - 4..TAKEN].try_into().map_or(0, u32::from_le_bytes);
    TAKEN + 8 * taken as usize + WARNING
}

/// A lane's part of a save, for the trace.
fn shown(lane: &store::LaneSave) -> String {
    let exceptions = lane.exceptions.iter().map(|one| format!("{}:{:?}{}", one.position, one.kind, one.failures));
    let exceptions: Vec<_> = exceptions.collect();
    let dropped: Vec<_> = lane.entries.iter().filter_map(|entry| drop_count(&entry.body)).collect();
    let reported: u64 =
        lane.entries.iter().filter(|entry| drop_count(&entry.body).is_none()).map(|entry| entry.count).sum();
    let number = lane.subscription.0.as_u128() - 1;
    let (generation, cursor, settled) = (lane.generation, lane.cursor.map(|cursor| cursor.0), &lane.settled);
    format!("{number}.{generation}: {cursor:?} {exceptions:?} settled {settled:?} dropped {dropped:?} told {reported}")
}

/// The number in an entry about a dropped backlog.
pub(super) fn drop_count(body: &LogBody) -> Option<u64> {
    let LogBody::FailedDelivery(failure) = body else { return None };
    if !failure.message.contains("dropped from the backlog") {
        return None;
    }
    failure.message.split(' ').next()?.parse().ok()
}
