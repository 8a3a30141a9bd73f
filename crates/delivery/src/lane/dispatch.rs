//! Who goes next: events whose turn has come, retries, fresh ones.

use std::sync::Arc;

use domain::exception::{Exception, ExceptionKind};
use domain::{LoggedEvent, Position, Timestamp};

use super::{Flight, Lane, Output, Phase, Supply, Ticket};

/// While fresh events wait as well, at most every fourth event sent is a retry: retries never hold back fresh events, and are not
/// starved by them either.
const FRESH_PER_RETRY: u32 = 3;

/// Bodies of waiting events that are loaded at the same time, at most.
const MAX_LOADING: usize = 32;

impl Lane {
    /// Sends what may be sent now, and asks for what will be needed next.
    pub(super) fn dispatch(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        let room = MAX_LOADING.saturating_sub(self.waiting.at_hand());
        let due = self.waiting.due(self.now, room);
        if !due.is_empty() {
            self.outputs.push_back(Output::Load(due));
        }
        while self.in_flight.len() < self.settings.max_in_flight && self.pace.next_at() <= self.now && self.send_next()
        {
        }
        self.read_on();
    }

    fn send_next(&mut self) -> bool {
        if let Some(taken) = self.waiting.take_turn() {
            self.send(taken.event, taken.failures, true);
            return true;
        }
        if (self.fresh.is_empty() || self.fresh_since_retry >= FRESH_PER_RETRY)
            && let Some(taken) = self.waiting.take_retry()
        {
            self.fresh_since_retry = 0;
            self.send(taken.event, taken.failures, true);
            return true;
        }
        while self.waiting.len() < self.settings.max_waiting
            && let Some(event) = self.fresh.pop_front()
        {
            self.fresh_bytes -= event.event.size();
            if self.waits_on(event.position) {
                continue;
            }
            let entity = self.options.entity_of.map_or(0, |entity_of| entity_of(&event));
            if self.order.enter(entity, event.position) {
                self.fresh_since_retry = self.fresh_since_retry.saturating_add(1);
                self.send(event, 0, false);
                return true;
            }
            self.wait(Exception {
                position: event.position,
                kind: ExceptionKind::Predecessor,
                failures: 0,
                due_at: Timestamp::EPOCH,
                first_tried_at: Timestamp::EPOCH,
                entity,
            });
        }
        // No fresh event could go, for want of room among the waiting: then a retry goes, for it makes room.
        if let Some(taken) = self.waiting.take_retry() {
            self.fresh_since_retry = 0;
            self.send(taken.event, taken.failures, true);
            return true;
        }
        false
    }

    /// Whether an event that the lane has come to again after a restart waited before it, and waits on.
    fn waits_on(&mut self, position: Position) -> bool {
        let Some(exception) = self.beyond.remove(&position) else { return false };
        if exception.kind == ExceptionKind::Predecessor {
            // Its turn is found anew; until it is settled the cursor stands before it.
            self.unsaved.settled(position);
            return false;
        }
        self.order.enter(exception.entity, position);
        self.waiting.put(exception, 0);
        true
    }

    fn send(&mut self, event: Arc<LoggedEvent>, failures: u8, waits: bool) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.pace.sent(self.now);
        let exception = self.waiting.get(event.position).filter(|_| waits);
        let first_tried_at = exception.map_or(Timestamp::EPOCH, |exception| exception.first_tried_at);
        let entity = match exception {
            Some(exception) => exception.entity,
            None => self.options.entity_of.map_or(0, |entity_of| entity_of(&event)),
        };
        if !waits {
            self.fresh_in_flight.insert(event.position);
        }
        let flight = Flight {
            ticket,
            event: event.clone(),
            failures,
            first_tried_at: if first_tried_at == Timestamp::EPOCH { self.now } else { first_tried_at },
            waits,
            entity,
        };
        self.in_flight.insert(ticket, flight);
        self.outputs.push_back(Output::Send { ticket, event, failures });
    }

    /// Reads on when half of what is in hand is gone.
    fn read_on(&mut self) {
        let (room, bytes) = (
            self.settings.max_in_hand.saturating_sub(self.fresh.len()),
            self.settings.max_bytes_in_hand.saturating_sub(self.fresh_bytes),
        );
        let enough = room * 2 < self.settings.max_in_hand || bytes * 2 < self.settings.max_bytes_in_hand;
        let full = self.waiting.len() >= self.settings.max_waiting;
        // A pause that is over is forgotten even where there is enough at hand for now: it would wake the lane for nothing, again and again.
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

    /// When the lane wants to be told the time; `None` = only when something happens.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.phase != Phase::Running {
            return None;
        }
        let may_send = self.in_flight.len() < self.settings.max_in_flight;
        let has_fresh = !self.fresh.is_empty() && self.waiting.len() < self.settings.max_waiting;
        let send_at = (may_send && (has_fresh || self.waiting.has_ready())).then(|| self.pace.next_at());
        let load_at = (self.waiting.at_hand() < MAX_LOADING).then(|| self.waiting.next_due()).flatten();
        let read_at = match self.supply {
            Supply::Behind { reading: None, again_at, .. } => again_at,
            _ => None,
        };
        [send_at, load_at, read_at].into_iter().flatten().min()
    }
}
