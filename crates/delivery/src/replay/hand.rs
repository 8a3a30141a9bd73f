//! Events of a replay in hand, and the reading of its scope.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::{LoggedEvent, Position, Timestamp};

use super::{LeftOut, MAX_LOADING, Output, Part, READ_AGAIN, Replay};

/// Events in hand.
#[derive(Debug)]
pub(super) struct Hand {
    events: VecDeque<(LeftOut, Arc<LoggedEvent>)>,
    bytes: usize,
    /// Left out after the last event in hand.
    rest: LeftOut,
    /// The scope before it is taken: sent, waiting, settled, or left out and counted.
    taken: Position,
    /// The scope before it has been read.
    reach: Position,
    /// Start of the read in flight.
    reading: Option<Position>,
    again_at: Option<Timestamp>,
}

impl Hand {
    pub(super) fn new(from: Position) -> Hand {
        Hand {
            events: VecDeque::new(),
            bytes: 0,
            rest: LeftOut::default(),
            taken: from,
            reach: from,
            reading: None,
            again_at: None,
        }
    }

    pub(super) fn taken(&self) -> Position {
        self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether everything before `end` is taken.
    pub(super) fn is_at(&self, end: Position) -> bool {
        self.events.is_empty() && self.taken >= end
    }

    /// Size of the next event; 0 without one.
    pub(super) fn next_size(&self) -> usize {
        self.events.front().map_or(0, |(_, event)| event.event.size())
    }

    /// Time of a repeated read.
    pub(super) fn again_at(&self) -> Option<Timestamp> {
        self.again_at
    }

    fn let_go(&mut self) {
        self.events = VecDeque::new();
        (self.bytes, self.rest, self.reach) = (0, LeftOut::default(), self.taken);
    }
}

impl Replay {
    fn leave_out(&mut self, LeftOut { skipped, gone }: LeftOut) {
        self.counts.skipped += skipped;
        self.counts.gone += gone;
    }

    /// Takes the next event from those in hand, and counts what was left out around it.
    pub(super) fn take_fresh(&mut self) -> Option<Arc<LoggedEvent>> {
        let (left_out, event) = self.hand.events.pop_front()?;
        self.hand.bytes -= event.event.size();
        self.hand.taken = event.position.next();
        self.counts.at = Some(event.accepted_at);
        self.leave_out(left_out);
        self.unsaved = true;
        if self.hand.events.is_empty() {
            self.all_taken();
        }
        Some(event)
    }

    fn all_taken(&mut self) {
        let rest = std::mem::take(&mut self.hand.rest);
        self.leave_out(rest);
        self.hand.taken = self.hand.reach;
    }

    pub(super) fn read(&mut self, part: Part) {
        let Some(from) = self.hand.reading.take() else { return };
        // Events in hand were let go during this read: it is repeated from there.
        if from != self.hand.reach || !self.is_running() {
            return;
        }
        let Part { events, rest, next, at } = part;
        self.hand.reach = next;
        let was_empty = self.hand.events.is_empty();
        for (position, (mut left_out, event)) in events.into_iter().enumerate() {
            if position == 0 {
                let before = std::mem::take(&mut self.hand.rest);
                left_out.skipped += before.skipped;
                left_out.gone += before.gone;
            }
            self.hand.bytes += event.event.size();
            self.hand.events.push_back((left_out, event));
        }
        self.hand.rest.skipped += rest.skipped;
        self.hand.rest.gone += rest.gone;
        if was_empty && self.hand.events.is_empty() {
            self.counts.at = at.or(self.counts.at);
            self.unsaved = true;
            self.all_taken();
        }
    }

    pub(super) fn read_failed(&mut self, now: Timestamp) {
        self.hand.reading = None;
        self.hand.again_at = Some(now + READ_AGAIN);
    }

    /// Releases the bodies in hand: they are read, and judged, again.
    pub(crate) fn let_go(&mut self, now: Timestamp) {
        self.hand.let_go();
        self.waiting.let_go();
        if let Some(back) = self.back.take() {
            for flight in back.flights {
                self.wait(&flight, domain::exception::ExceptionKind::Retry, back.until.max(now), flight.throttles);
            }
        }
    }

    /// Requests what will be needed next. `most`, `most_bytes`: events that may be held ready.
    pub(crate) fn read_on(&mut self, (most, most_bytes): (usize, usize), now: Timestamp) -> Vec<Output> {
        let mut outputs = Vec::new();
        if !self.is_running() {
            return outputs;
        }
        let room = MAX_LOADING.saturating_sub(self.waiting.at_hand());
        let due = self.waiting.due(now, room);
        if !due.is_empty() {
            outputs.push(Output::Load(due));
        }
        let hand = &mut self.hand;
        hand.again_at = hand.again_at.filter(|again_at| *again_at > now);
        let (events, bytes) = (most.saturating_sub(hand.events.len()), most_bytes.saturating_sub(hand.bytes));
        // Once half of the events in hand are gone.
        let enough = events * 2 < most || bytes * 2 < most_bytes;
        if hand.reach < self.end && hand.reading.is_none() && hand.again_at.is_none() && !enough {
            hand.reading = Some(hand.reach);
            outputs.push(Output::Read { from: hand.reach, events, bytes });
        }
        outputs
    }
}
