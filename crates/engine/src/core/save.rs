//! Saving: cursors of all lanes together a few times per second, exceptions at once; one save at a time.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use delivery::Lane;
use delivery::lane::FailureNote;
use domain::log_entry::LogEntry;
use domain::{Now, PimId, Position, SubscriptionId, Timestamp};
use store::{Facts, Floors, LaneSave, Save, StoreError};

use super::facts::append;
use super::lanes::Entry;
use super::{Core, Output};
use crate::settings::Settings;

/// Delay before the first retry of a failed save; doubled with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Maximum pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// State to be saved, and the result of the last save.
#[derive(Debug)]
pub(super) struct Saver {
    /// Lanes to be saved.
    pub(super) lanes: Vec<usize>,
    /// Lanes whose replays have progress to be saved.
    pub(super) replays: BTreeSet<usize>,
    /// Entries about dropped backlogs, and about failures of replaced lanes.
    pub(super) entries: Vec<(SubscriptionId, LogEntry)>,
    /// Records of replaced lanes.
    pub(super) facts: Vec<(SubscriptionId, Facts)>,
    /// Whether a save must start at once.
    pub(super) urgent: bool,
    state: State,
    last: Timestamp,
    mark: Position,
}

#[derive(Debug)]
enum State {
    Idle,
    Saving(Save),
    Failed { save: Save, again_at: Timestamp, pause: Duration },
    Again { save: Save, pause: Duration },
}

impl Saver {
    pub(super) fn new(mark: Position, now: Timestamp) -> Saver {
        Saver {
            lanes: Vec::new(),
            replays: BTreeSet::new(),
            entries: Vec::new(),
            facts: Vec::new(),
            urgent: false,
            state: State::Idle,
            last: now,
            mark,
        }
    }

    fn has_something(&self, routed: Position) -> bool {
        let records = !self.entries.is_empty() || !self.facts.is_empty();
        !self.lanes.is_empty() || !self.replays.is_empty() || records || routed != self.mark
    }

    /// Records of subscriptions in the save in flight or to be repeated.
    pub(super) fn unsaved_facts(&self, of: impl Fn(SubscriptionId) -> bool) -> impl Iterator<Item = &Facts> {
        let save = match &self.state {
            State::Idle => None,
            State::Saving(save) | State::Failed { save, .. } | State::Again { save, .. } => Some(save),
        };
        let lanes = save.into_iter().flat_map(|save| &save.lanes);
        lanes.filter(move |lane| of(lane.subscription)).map(|lane| &lane.facts)
    }

    pub(super) fn is_idle(&self, routed: Position) -> bool {
        matches!(self.state, State::Idle) && !self.has_something(routed)
    }

    /// Time of the next save.
    pub(super) fn due(&self, routed: Position, settings: &Settings) -> Option<Timestamp> {
        match &self.state {
            State::Idle if !self.has_something(routed) => None,
            State::Idle if self.urgent => Some(self.last),
            State::Idle => Some(self.last + settings.save_every),
            State::Failed { again_at, .. } => Some(*again_at),
            State::Saving(_) | State::Again { .. } => None,
        }
    }
}

impl Core {
    pub(super) fn mark_unsaved(&mut self, slot: usize) {
        // Nothing of a replaced lane is saved: its place in the ledger is its successor's.
        if let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut).filter(|entry| !entry.replaced)
            && !std::mem::replace(&mut entry.unsaved, true)
        {
            self.saver.lanes.push(slot);
        }
    }

    pub(super) fn save_if_due(&mut self) {
        match &self.saver.state {
            State::Saving(_) | State::Again { .. } => return,
            State::Failed { again_at, .. } if *again_at > self.now => return,
            State::Failed { .. } => {
                let State::Failed { save, pause, .. } = std::mem::replace(&mut self.saver.state, State::Idle) else {
                    return;
                };
                self.outputs.push_back(Output::Save { save: save.clone() });
                self.saver.state = State::Again { save, pause };
                return;
            }
            State::Idle => {}
        }
        let now_or_never = self.saver.urgent || self.stopping;
        let due = self.now.since(self.saver.last) >= self.settings.save_every;
        if !(self.saver.has_something(self.routed) && (now_or_never || due)) {
            return;
        }
        self.saver.urgent = false;
        self.saver.last = self.now;
        let mut entries: HashMap<usize, Vec<LogEntry>> = HashMap::new();
        for (subscription, entry) in self.saver.entries.drain(..) {
            // The owner of a deleted subscription gets no entries.
            if let Some(slot) = self.by_subscription.get(&subscription) {
                entries.entry(*slot).or_default().push(entry);
            }
        }
        for (subscription, facts) in self.saver.facts.drain(..) {
            if let Some(slot) = self.by_subscription.get(&subscription)
                && let Some(entry) = self.entries.get_mut(*slot).and_then(Option::as_mut)
            {
                // Those of the replaced lane are the older ones.
                let later = std::mem::replace(&mut entry.facts, facts);
                append(&mut entry.facts, later);
                entries.entry(*slot).or_default();
            }
        }
        let mut lanes = Vec::with_capacity(self.saver.lanes.len());
        for slot in entries.keys() {
            if !self.saver.lanes.contains(slot) {
                self.saver.lanes.push(*slot);
            }
        }
        for slot in self.saver.lanes.drain(..) {
            if let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) {
                lanes.push(entry.save(
                    self.clock,
                    self.routed,
                    self.stopping,
                    entries.remove(&slot).unwrap_or_default(),
                ));
            }
        }
        let save = Save { mark: self.routed, lanes, replays: self.save_replays() };
        self.outputs.push_back(Output::Save { save: save.clone() });
        self.saver.state = State::Saving(save);
    }

    /// The save in flight ended.
    pub(super) fn saved(&mut self, result: Result<(), StoreError>) {
        let (save, pause) = match std::mem::replace(&mut self.saver.state, State::Idle) {
            State::Saving(save) => (save, FIRST_PAUSE),
            State::Again { save, pause } => (save, (pause * 2).min(LONGEST_PAUSE)),
            other => {
                self.saver.state = other;
                return;
            }
        };
        if let Err(error) = result {
            tracing::error!(%error, "cannot save progress; retrying");
            self.saver.state = State::Failed { save, again_at: self.now + pause, pause };
            return;
        }
        self.saver.mark = save.mark;
        for lane in save.lanes {
            if let Some(slot) = self.by_subscription.get(&lane.subscription)
                && let Some(entry) = self.entries.get_mut(*slot).and_then(Option::as_mut)
                && lane.generation >= entry.began
            {
                entry.saved_floor = entry.saving_floor;
            }
        }
    }

    /// Events of the log that are still needed.
    pub fn floors(&self) -> Floors {
        let mut pims: HashMap<PimId, Position> = HashMap::new();
        let needed = self.entries.iter().flatten().filter_map(|entry| {
            // Both saved and pending state: a save in flight may fail.
            let floor = [entry.saved_floor, entry.saving_floor, entry.lane.cursor(), entry.lane.first_waiting()];
            Some((entry.subscription.pim, floor.into_iter().flatten().min()?))
        });
        for (pim, position) in needed.chain(self.drops.floors()) {
            let floor = pims.entry(pim).or_insert(position);
            *floor = position.min(*floor);
        }
        let mark = self.saver.mark.min(self.routed);
        let pims = pims.into_iter().map(|(pim, position)| (pim, position.min(mark))).collect();
        Floors { pims, rest: mark }
    }
}

impl Entry {
    fn save(&mut self, now: Now, mark: Position, stopping: bool, dropped: Vec<LogEntry>) -> LaneSave {
        self.unsaved = false;
        let mut state = self.lane.save(now);
        // Events before its start don't concern it, even those still to be routed. Until then it doesn't follow the
        // mark.
        if !self.lane.is_over() && self.from > state.cursor.unwrap_or(mark) {
            state.cursor = Some(self.from);
        }
        let drop_exceptions = std::mem::take(&mut self.drop_exceptions);
        self.settle((state.given_up, state.late));
        self.saving_floor = [state.cursor, self.lane.first_waiting()].into_iter().flatten().min();
        let facts = self.take_facts(stopping || state.memory.is_some(), now.wall);
        LaneSave {
            subscription: self.subscription.id,
            generation: self.subscription.generation,
            cursor: state.cursor,
            memory: state.memory,
            exceptions: state.changed,
            settled: state.settled,
            drop_exceptions,
            entries: self.log_entries(dropped, |_| state.failures),
            facts,
        }
    }

    /// Log entries about failures, following `entries`.
    pub(super) fn log_entries(
        &mut self,
        mut entries: Vec<LogEntry>,
        failures: impl FnOnce(&mut Lane) -> Vec<FailureNote>,
    ) -> Vec<LogEntry> {
        let subscription = &self.subscription;
        entries.extend(failures(&mut self.lane).into_iter().map(|note| {
            let entry = LogEntry::failed_delivery(subscription, note.failure, note.latest);
            LogEntry { count: note.count, ..entry.attempted(subscription, note.event_id) }
        }));
        entries
    }
}
