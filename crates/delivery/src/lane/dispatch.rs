//! Sending order: events whose turn has come, retries, fresh events.

use std::sync::Arc;

use domain::exception::{Exception, ExceptionKind};
use domain::{LoggedEvent, Position, Timestamp};

use super::{Attempt, Flight, Lane, Manner, Output, Phase, Supply, Ticket};
use crate::waiting::Taken;

/// While fresh events wait as well, at most every fourth event sent is a retry: retries neither hold back fresh events
/// nor starve.
const FRESH_PER_RETRY: u32 = 3;

/// Maximum number of bodies of waiting events being loaded.
const MAX_LOADING: usize = 32;

impl Lane {
    /// Sends everything that may be sent now, and requests what will be needed next.
    pub(super) fn dispatch(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        let room = MAX_LOADING.saturating_sub(self.waiting.at_hand());
        let due = self.waiting.due(self.now, room);
        if !due.is_empty() {
            self.outputs.push_back(Output::Load(due));
        }
        match self.options.manner {
            Manner::OneByOne if self.trouble.is_some() => {
                if self.under_way() == 0
                    && self.try_at().is_none_or(|at| at <= self.now)
                    && self.pace.next_at() <= self.now
                    && self.take_turn()
                {
                    self.send_next();
                }
            }
            Manner::OneByOne => {
                while self.under_way() < self.settings.max_in_flight
                    && self.pace.next_at() <= self.now
                    && self.take_turn()
                    && self.send_next()
                {}
            }
            Manner::InBatches(limits) => self.send_any_batch(limits),
        }
        self.read_on();
        self.supply_replay();
    }

    /// Whether lanes of the same host permit an attempt; each turn permits one.
    fn take_turn(&mut self) -> bool {
        !self.options.by_turns || std::mem::take(&mut self.has_turn)
    }

    /// Whether the next attempt lacks only a turn (`LaneOptions::by_turns`).
    pub fn wants_turn(&self) -> bool {
        let send_at = self.send_at().into_iter().chain(self.replay_send_at()).min();
        self.phase == Phase::Running && self.options.by_turns && send_at.is_some_and(|at| at <= self.now)
    }

    /// Time of the next attempt; `None` = not before the next input.
    fn send_at(&self) -> Option<Timestamp> {
        let (has_fresh, has_ready) = (!self.fresh.is_empty(), self.waiting.has_ready());
        match self.options.manner {
            Manner::OneByOne if has_ready || has_fresh && self.waiting.len() < self.settings.max_waiting => {
                let most = if self.trouble.is_some() { 1 } else { self.settings.max_in_flight };
                let at = self.pace.next_at().max(self.try_at().unwrap_or(Timestamp::EPOCH));
                (self.under_way() < most).then_some(at)
            }
            Manner::InBatches(_) if has_ready || has_fresh => self.next_batch_at(),
            Manner::OneByOne | Manner::InBatches(_) => None,
        }
    }

    pub(super) fn next_one(&mut self) -> Option<Flight> {
        if let Some(taken) = self.waiting.take_turn() {
            return Some(self.again(taken));
        }
        if (self.fresh.is_empty() || self.fresh_since_retry >= FRESH_PER_RETRY)
            && let Some(taken) = self.waiting.take_retry()
        {
            self.fresh_since_retry = 0;
            return Some(self.again(taken));
        }
        while self.waiting.len() < self.settings.max_waiting
            && let Some(event) = self.take_fresh(Position(u64::MAX))
        {
            let entity = self.options.entity_of.map_or(0, |entity_of| entity_of(&event));
            if self.order.enter(entity, event.position) {
                self.fresh_since_retry = self.fresh_since_retry.saturating_add(1);
                return Some(Flight { event, failures: 0, first_tried_at: self.now, waits: false, entity });
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
        // No fresh event could be sent, for lack of room among the waiting events: a retry makes room.
        let taken = self.waiting.take_retry()?;
        self.fresh_since_retry = 0;
        Some(self.again(taken))
    }

    /// The first event in hand that does not have to wait, if it is before `before`.
    pub(super) fn take_fresh(&mut self, before: Position) -> Option<Arc<LoggedEvent>> {
        while let Some(event) = self.fresh.pop_front_if(|event| event.position < before) {
            self.fresh_bytes -= event.event.size();
            if !self.waits_on(event.position) {
                return Some(event);
            }
        }
        None
    }

    /// Whether an event read again after a restart was waiting before it, and still is.
    fn waits_on(&mut self, position: Position) -> bool {
        let Some(exception) = self.beyond.remove(&position) else { return false };
        if exception.kind == ExceptionKind::Predecessor {
            // Its turn is determined again; until it is settled the cursor stands before it.
            self.unsaved.settled(position);
            return false;
        }
        self.order.enter(exception.entity, position);
        self.waiting.put(exception, 0);
        true
    }

    /// A waiting event, sent again.
    pub(super) fn again(&self, taken: Taken) -> Flight {
        let exception = self.waiting.get(taken.event.position);
        let first_tried_at = exception.map_or(Timestamp::EPOCH, |exception| exception.first_tried_at);
        Flight {
            failures: taken.failures,
            first_tried_at: if first_tried_at == Timestamp::EPOCH { self.now } else { first_tried_at },
            waits: true,
            entity: exception.map_or(0, |exception| exception.entity),
            event: taken.event,
        }
    }

    pub(super) fn send(&mut self, flights: Vec<Flight>) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        let events = flights.iter().map(|flight| flight.event.clone()).collect();
        let (destination, in_order) = (self.options.destination, self.options.manner != Manner::OneByOne);
        self.in_flight.insert(ticket, Attempt { destination, in_order, flights });
        self.outputs.push_back(Output::Send { ticket, events });
    }

    /// Time at which the lane wants to be called again; `None` = not before the next input.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.phase != Phase::Running {
            return None;
        }
        // Turns are granted from outside; no timer brings one.
        let send_at = self.send_at().into_iter().chain(self.replay_send_at()).min().filter(|_| !self.wants_turn());
        let load_at = (self.waiting.at_hand() < MAX_LOADING).then(|| self.waiting.next_due()).flatten();
        let read_at = match self.supply {
            Supply::Behind { reading: None, again_at, .. } => again_at,
            _ => None,
        };
        // Nothing is judged while in trouble.
        let judge_at = self.judge_at.filter(|_| self.trouble.is_none());
        [send_at, load_at, read_at, judge_at, self.replay_supply_at()].into_iter().flatten().min()
    }
}
