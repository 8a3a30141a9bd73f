//! Supply of fresh events: offered as they are routed, or read from the log; and their release.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::{LoggedEvent, Position, Timestamp};

use super::{Lane, Manner, Output, Phase};

/// Delay before a failed read of the log is repeated.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(1);

/// Source of fresh events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Supply {
    /// Offered by the router.
    Live,
    /// Read from the log: all matching events before `reach` are in hand, in flight, waiting or settled. `reading`:
    /// start of the read in flight.
    Behind { reach: Position, reading: Option<Position>, again_at: Option<Timestamp> },
}

impl Lane {
    /// Whether routed events should be offered.
    pub fn is_live(&self) -> bool {
        self.supply == Supply::Live && self.phase == Phase::Running
    }

    /// Whether the lane sends, or would without its own request for suspension.
    pub fn is_in_service(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Halted)
    }

    /// Whether the lane was stopped: its undelivered events are being counted, or have been.
    pub fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped | Phase::Dropped)
    }

    /// Whether the lane was stopped and its undelivered events have been counted and forgotten.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Dropped
    }

    /// Position of the next read, unless live.
    pub fn reach(&self) -> Option<Position> {
        match self.supply {
            Supply::Live => None,
            Supply::Behind { reach, .. } => Some(reach),
        }
    }

    /// A lane that does not send is not offered events: it will have to read them from `head` on.
    pub fn fall_behind(&mut self, head: Position) {
        if self.supply == Supply::Live && self.phase != Phase::Dropped {
            self.read_from(head);
        }
    }

    /// Events from `position` on will be read, again if they were in hand.
    pub(super) fn read_from(&mut self, position: Position) {
        match &mut self.supply {
            Supply::Behind { reach, .. } => *reach = position.min(*reach),
            Supply::Live => self.supply = Supply::Behind { reach: position, reading: None, again_at: None },
        }
    }

    pub(super) fn offered(&mut self, event: Arc<LoggedEvent>) {
        debug_assert!(self.is_live());
        // A lane that was behind may have seen the expiry of events that are only routed now.
        if event.position < self.expired_before {
            return;
        }
        let (events, bytes) = self.settings.in_hand(self.options.manner);
        if self.fresh.len() >= events || (!self.fresh.is_empty() && self.fresh_bytes + event.event.size() > bytes) {
            self.fall_behind(event.position);
            return;
        }
        self.take_in_hand(event);
    }

    pub(super) fn read(&mut self, events: Vec<Arc<LoggedEvent>>, next: Position, caught_up: bool) {
        let Supply::Behind { reach, reading, .. } = &mut self.supply else { return };
        let Some(from) = reading.take() else { return };
        // The lane released its events in hand during this read: it reads again from there.
        if self.phase != Phase::Running || *reach < from {
            return;
        }
        let expired = *reach;
        *reach = next.max(expired);
        if caught_up {
            self.supply = Supply::Live;
        }
        for event in events.into_iter().filter(|event| event.position >= expired) {
            // Events read again may have been settled, or joined the waiting events.
            if !self.ahead.contains(&event.position) && self.waiting.get(event.position).is_none() {
                self.take_in_hand(event);
            }
        }
    }

    fn take_in_hand(&mut self, event: Arc<LoggedEvent>) {
        self.fresh_bytes += event.event.size();
        self.fresh.push_back(event);
    }

    /// Returns an event to its place in hand.
    pub(super) fn take_back(&mut self, event: Arc<LoggedEvent>) {
        let place = self.fresh.partition_point(|other| other.position < event.position);
        self.fresh_bytes += event.event.size();
        self.fresh.insert(place, event);
    }

    /// Releases the events in hand: they will be read again.
    pub(super) fn let_go(&mut self) {
        if let Some(first) = self.fresh.front().map(|event| event.position) {
            self.read_from(first);
        }
        self.fresh = VecDeque::new();
        self.fresh_bytes = 0;
        self.waiting.let_go();
    }

    pub(super) fn expire(&mut self, before: Position) {
        self.expired_before = before.max(self.expired_before);
        if let Supply::Behind { reach, .. } = &mut self.supply {
            *reach = before.max(*reach);
        }
        while let Some(event) = self.fresh.front()
            && event.position < before
        {
            self.fresh_bytes -= event.event.size();
            self.fresh.pop_front();
        }
        // Those in flight may still be delivered; the others follow once their attempt has failed.
        for position in self.waiting.at_rest_before(before) {
            self.forget(position);
        }
        let kept = self.beyond.split_off(&before);
        for position in std::mem::replace(&mut self.beyond, kept).into_keys() {
            self.unsaved.settled(position);
        }
        self.forget_ahead();
    }

    /// Reads more once half of the events in hand are gone.
    pub(super) fn read_on(&mut self) {
        let (most, most_bytes) = self.settings.in_hand(self.options.manner);
        let (room, bytes) = (most.saturating_sub(self.fresh.len()), most_bytes.saturating_sub(self.fresh_bytes));
        let enough = room * 2 < most || bytes * 2 < most_bytes;
        // Events rejected by a topic stay in hand: reading more adds nothing to the waiting events.
        let full = self.options.manner == Manner::OneByOne && self.waiting.len() >= self.settings.max_waiting;
        // A pause that is over is cleared even if enough is at hand: it would wake the lane for nothing, again and
        // again.
        if let Supply::Behind { again_at, .. } = &mut self.supply {
            *again_at = again_at.filter(|again_at| *again_at > self.now);
        }
        if let Supply::Behind { reach, reading, again_at } = &mut self.supply
            && reading.is_none()
            && !enough
            && !full
            && again_at.is_none()
        {
            *reading = Some(*reach);
            self.outputs.push_back(Output::Read { from: *reach, events: room, bytes });
        }
    }
}
