//! Runs of drivers: what each finds in the store, saves, and leaves behind.

use std::collections::{BTreeMap, BTreeSet};

use store::{LedgerRecord, Tenure};

use super::{Books, Lane, State};
use crate::property::{Check, Property, hold};

/// Time between the end of an attempt and the save that has it, besides the interval of saves.
const SLACK: u64 = 400_000;

/// A driver.
#[derive(Clone, Debug)]
pub(super) struct Run {
    tenure: Tenure,
    /// Whether a save is under way, or has failed.
    is_saving: bool,
}

/// What a save says, as of the time when it was requested.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Settled events by subscription, with their numbers.
    settled: Vec<(usize, u64, u64)>,
}

impl Lane {
    /// Delivered events before the first that keeps the cursor back, which no save has settled yet: position, number,
    /// driver, and since when a save may settle it.
    fn unsaved(&self) -> impl Iterator<Item = (u64, u64, u64, u64)> {
        let to_topic = crate::oracle::is_topic(self.stored());
        let passed = self.items.iter().take_while(move |(_, item)| match item.state {
            State::Delivered => true,
            State::Failed => !to_topic || item.optional,
            State::Owed => item.dropped.is_some() || item.optional,
            State::InFlight(_) => false,
        });
        let mut since = 0;
        passed.filter_map(move |(position, item)| {
            since = item.changed_at.max(since);
            let is_unsaved = item.state == State::Delivered && item.settled.is_none();
            is_unsaved.then_some((*position, item.number, item.run, since))
        })
    }
}

impl Books {
    fn lanes_of(&self, tenure: &Tenure) -> impl Iterator<Item = (usize, &Lane)> {
        let (spread, shard) = (self.spread, tenure.shard);
        self.lanes.iter().enumerate().filter(move |(_, lane)| spread.shard_of(lane.stored().pim) == shard)
    }

    /// A driver begins with what is stored.
    pub fn run_begins(&mut self, run: u64, tenure: Tenure, ledger: &LedgerRecord) -> Check {
        self.runs.insert(run, Run { tenure, is_saving: false });
        if self.tenure(tenure.shard) != Some(tenure) {
            // It was read before another takeover: nothing of it has any effect.
            return Ok(());
        }
        let records: BTreeMap<_, _> = ledger.lanes.iter().map(|record| (record.subscription, record)).collect();
        let spread = self.spread;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let stored = lane.stored();
            if spread.shard_of(stored.pim) != tenure.shard {
                continue;
            }
            let (lives, to_topic) = (stored.status.is_active() || stored.holds(), crate::oracle::is_topic(stored));
            let record = records.get(&stored.id);
            let cursor = record.map_or(Some(stored.status_since), |record| record.cursor).unwrap_or(ledger.mark);
            let exceptions = record.iter().flat_map(|record| &record.exceptions);
            let exceptions: BTreeSet<u64> = exceptions.map(|exception| exception.position.0).collect();
            for (position, item) in &mut lane.items {
                let is_open = *position >= cursor.0 || exceptions.contains(position);
                let is_over = item.state == State::Delivered || item.optional;
                let is_checked = lives && item.dropped.is_none();
                hold(Property::NothingIsForgotten, is_open || is_over || !is_checked, || {
                    format!("subscription {index}: event {position} is {item:?}, but the cursor is {cursor}")
                })?;
                hold(Property::DuplicatesAreExplained, !is_open || item.settled.is_none() || !is_checked, || {
                    format!("subscription {index}: {position} was saved as settled and is open: {item:?}, {cursor}")
                })?;
                match item.state {
                    // A topic's lane may know what was taken of a batch.
                    State::Delivered if is_open && to_topic => item.run = 0,
                    State::Delivered if is_open => {
                        self.duplicates += 1;
                        item.state = State::Owed;
                    }
                    State::InFlight(_) => item.state = State::Owed,
                    State::Owed | State::Failed | State::Delivered => {}
                }
            }
        }
        Ok(())
    }

    /// What a save of a driver must say now.
    pub fn asked(&mut self, run: u64) -> Asked {
        let Some(Run { tenure, is_saving }) = self.runs.get_mut(&run) else { return Asked::default() };
        *is_saving = true;
        let tenure = *tenure;
        let of_lane = |(index, lane): (usize, &Lane)| {
            let own = lane.unsaved().filter(|(_, _, of, _)| *of == run);
            own.map(move |(position, number, ..)| (index, position, number)).collect::<Vec<_>>()
        };
        Asked { settled: self.lanes_of(&tenure).flat_map(of_lane).collect() }
    }

    /// A save was committed.
    pub fn saved(&mut self, tenure: &Tenure, asked: &Asked, commit: u64) -> Check {
        for (index, position, number) in &asked.settled {
            let item = self.lanes[*index].items.get_mut(position).filter(|item| item.number == *number);
            if let Some(item) = item {
                item.settled.get_or_insert(commit);
            }
        }
        self.acts(tenure, "progress was saved")
    }

    /// A driver learns what has become of its save.
    pub fn save_ended(&mut self, run: u64, done: bool) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.is_saving = !done;
        }
    }

    /// A driver ends, in order or not. `now` is in time that its process did not stand still.
    pub fn run_ends(&mut self, run: u64, now: u64, in_order: bool) -> Check {
        let Some(Run { tenure, is_saving }) = self.runs.remove(&run) else { return Ok(()) };
        let limit = if in_order { 0 } else { self.save_every.as_micros() as u64 + SLACK };
        // Others have gone on meanwhile.
        let is_current = self.tenure(tenure.shard) == Some(tenure);
        if !is_current || is_saving && !in_order {
            return Ok(());
        }
        for (index, lane) in self.lanes_of(&tenure) {
            let late = lane.unsaved().find(|(.., of, at)| *of == run && at + limit < now);
            hold(Property::DuplicatesAreBounded, late.is_none(), || {
                format!("driver {run} of subscription {index} ends at {now} and has not saved {late:?}")
            })?;
        }
        Ok(())
    }
}
