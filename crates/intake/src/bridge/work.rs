//! From notices and last known states to events and new states: the pure computation of a request.

use std::collections::{HashMap, HashSet};

use domain::Event;
use store::{Snapshot, SnapshotKey, SnapshotSave};
use wire::cloudevents::{EVENT_LIMIT, kept_size};

use crate::attributes::Types;
use crate::delta::changes;
use crate::making;
use crate::notice::{Action, Notice};
use crate::state::State;

/// State of an entity during a request.
pub(super) struct Held {
    /// Revision read, if there was one.
    seen: Option<u64>,
    pub(super) state: Option<State>,
    changed: bool,
}

impl Held {
    fn save(self, key: SnapshotKey) -> Option<SnapshotSave> {
        let Held { seen, state, changed } = self;
        changed.then(|| SnapshotSave { key, seen, body: state.map(|state| state.to_snapshot()) })
    }

    pub(super) fn put(&mut self, state: Option<State>) {
        self.changed |= self.state.is_some() || state.is_some();
        self.state = state;
    }
}

/// A request being converted to events and snapshots.
pub(super) struct Work {
    pub(super) types: Types,
    known: HashSet<String>,
    stored: HashMap<SnapshotKey, Snapshot>,
    pub(super) states: HashMap<SnapshotKey, Held>,
    /// Ids of the events.
    ids: HashSet<String>,
    pub(super) made: Made,
}

/// Result of the work.
#[derive(Default)]
pub(super) struct Made {
    pub(super) events: Vec<Event>,
    pub(super) saves: Vec<SnapshotSave>,
    /// Deltas among the events.
    pub(super) deltas: usize,
    /// Entities that could not be compared, with the PIM's time of change; the reason for the latest.
    pub(super) uncompared: Vec<(SnapshotKey, Option<String>)>,
    pub(super) uncompared_why: Option<String>,
    /// Number of deltas beyond the limit of an event; the entity of the latest.
    pub(super) too_large: usize,
    pub(super) too_large_of: Option<String>,
    /// Unreadable last states; the reason for the latest.
    pub(super) damaged: usize,
    pub(super) damaged_why: Option<String>,
}

impl Work {
    pub(super) fn new(stored: HashMap<SnapshotKey, Snapshot>, types: Types, known: HashSet<String>) -> Work {
        Work { types, known, stored, states: HashMap::new(), ids: HashSet::new(), made: Made::default() }
    }

    /// The result, including new states.
    pub(super) fn done(mut self) -> Made {
        self.made.saves = self.states.into_iter().filter_map(|(key, held)| held.save(key)).collect();
        self.made
    }

    /// Consequences of a notice: its event, a delta, a new state.
    pub(super) fn take(&mut self, notice: &Notice) {
        if !self.push(making::event(notice)) {
            return;
        }
        let key = notice.entity.snapshot();
        let mut held = self.held(&key);
        match (&notice.state, notice.action) {
            (_, Action::Removed) => held.put(None),
            (Err(why), Action::Created | Action::Updated) => self.not_compared(&key, notice, why),
            // An outdated event says nothing about the current state.
            (Ok(new), _) if held.state.as_ref().is_some_and(|old| new.is_older_than(old)) => {}
            (Ok(new), action) => {
                if let (Action::Updated, Some(old)) = (action, &held.state)
                    && let Some(changes) = changes(notice.entity.kind(), old, new, &self.types)
                {
                    self.push_delta(making::delta_event(notice, &changes), &key);
                }
                held.put(Some(new.clone()));
            }
        }
        self.states.insert(key, held);
    }

    /// Adds an event unless its id is known or was just used.
    pub(super) fn push(&mut self, event: Event) -> bool {
        let fresh = !self.known.contains(event.id()) && self.ids.insert(event.id().to_owned());
        if fresh {
            self.made.events.push(event);
        }
        fresh
    }

    /// Adds a delta. A delta beyond the limit of an event is omitted: its event reports the change, and the next delta
    /// starts from the new state.
    pub(super) fn push_delta(&mut self, delta: Event, key: &SnapshotKey) {
        if kept_size(&delta) > EVENT_LIMIT {
            self.made.too_large += 1;
            self.made.too_large_of = Some(key.key.clone());
        } else {
            self.made.deltas += usize::from(self.push(delta));
        }
    }

    /// Records that an entity cannot be compared.
    pub(super) fn not_compared(&mut self, key: &SnapshotKey, notice: &Notice, why: &str) {
        self.made.uncompared_why = Some(format!("{}: {why}", key.key));
        self.made.uncompared.push((key.clone(), notice.updated.clone()));
    }

    /// State of the entity so far.
    pub(super) fn held(&mut self, key: &SnapshotKey) -> Held {
        if let Some(held) = self.states.remove(key) {
            return held;
        }
        let Some(Snapshot { revision, body }) = self.stored.remove(key) else {
            return Held { seen: None, state: None, changed: false };
        };
        let state = match State::from_snapshot(&body) {
            Ok(state) => Some(state),
            Err(why) => {
                // As if seen for the first time: no delta is better than a wrong one.
                self.made.damaged += 1;
                self.made.damaged_why = Some(format!("{}: {why}", key.key));
                None
            }
        };
        Held { seen: Some(revision), changed: state.is_none(), state }
    }
}
