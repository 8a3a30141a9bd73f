//! How a topic is served: a batch at a time, in order. What failed goes again in its place, after a pause, and nothing goes past it.

use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};
use domain::{Position, Timestamp};

use super::settle::too_old;
use super::{Attempt, Flight, Lane, Phase};
use crate::backoff::Backoff;

/// `code` of a failure without an HTTP exchange (contract page 5).
const NO_HTTP_STATUS: u16 = 500;

impl Lane {
    /// Sends the next batch, unless one is under way: attempts one by one from before, if the destination was an endpoint, count as well.
    pub(super) fn send_batch(&mut self) {
        if !self.in_flight.is_empty() || self.backoff.as_ref().is_some_and(|backoff| backoff.until > self.now) {
            return;
        }
        // What failed is sent again as it was; what comes behind it has to wait, for it must not overtake. What failed may have left the
        // log meanwhile: then there is nothing to wait for.
        let again = self.backoff.as_ref().filter(|_| self.sent_again() > 0);
        let (first_tried_at, before) =
            again.map_or((self.now, Position(u64::MAX)), |backoff| (backoff.since, backoff.tried_before));
        let mut batch: Vec<Flight> = Vec::new();
        let mut bytes = 0;
        while batch.len() < self.settings.batch_events
            && let Some(flight) = self.next_of_batch(first_tried_at, before)
        {
            bytes += flight.event.event.size();
            if bytes > self.settings.batch_bytes && !batch.is_empty() {
                self.wait_for_room(flight);
                break;
            }
            batch.push(flight);
        }
        if !batch.is_empty() {
            self.send(batch);
        }
    }

    /// Events that waited before the destination was a topic go as soon as they are due and at hand; no order was promised for them.
    fn next_of_batch(&mut self, first_tried_at: Timestamp, before: Position) -> Option<Flight> {
        if let Some(taken) = self.waiting.take_turn().or_else(|| self.waiting.take_retry()) {
            return Some(self.again(taken));
        }
        let event = self.take_fresh(before)?;
        Some(Flight { event, failures: 0, first_tried_at, waits: false, entity: 0 })
    }

    /// The batch has no room for it: it is the first of the next.
    fn wait_for_room(&mut self, flight: Flight) {
        if flight.waits {
            self.waiting.give_back(flight.event);
        } else {
            self.take_back(flight.event);
        }
    }

    /// When the next batch may go, if that is a question of time.
    pub(super) fn next_batch_at(&self) -> Option<Timestamp> {
        let until = self.backoff.as_ref()?.until;
        (self.in_flight.is_empty() && until > self.now).then_some(until)
    }

    pub(super) fn settle_batch(&mut self, in_order: bool, ended: impl Iterator<Item = (Flight, Outcome)>) {
        let mut back = Back::default();
        // Events that failed together tell one thing about the topic, not as many as they are: each failure counts and is noted once.
        let mut failures: Vec<Failure> = Vec::new();
        let mut broken = None;
        let (mut delivered, mut counted) = (false, false);
        for (flight, outcome) in ended {
            // What was not taken for an hour is given up.
            let outcome = match outcome {
                Outcome::Failed(failure) if self.is_overdue(&flight) => Outcome::Refused(failure),
                Outcome::Throttled { .. } if self.is_overdue(&flight) => Outcome::Refused(throttled_for_too_long()),
                outcome => outcome,
            };
            match outcome {
                Outcome::Delivered => {
                    delivered = true;
                    self.delivered(&flight);
                    self.settled_ahead(&flight, &back);
                }
                Outcome::Refused(failure) => {
                    counted = true;
                    self.failed(failure, true);
                    self.give_up(&flight);
                    self.settled_ahead(&flight, &back);
                }
                Outcome::Failed(failure) | Outcome::Silent(failure) => {
                    if !failures.contains(&failure) {
                        failures.push(failure);
                    }
                    back.push(flight);
                }
                Outcome::Broken(failure) => {
                    broken.get_or_insert(failure);
                    back.push(flight);
                }
                Outcome::Throttled { .. } => {
                    back.throttled = true;
                    back.push(flight);
                }
                Outcome::NotProcessed(_) | Outcome::Ours(_) | Outcome::Abandoned => back.push(flight),
            }
        }
        back.throttled &= failures.is_empty();
        counted |= !failures.is_empty();
        for failure in failures {
            self.failed(failure, true);
        }
        self.back_off(&back, delivered);
        if let Some(failure) = broken {
            let reason = failure.reason;
            // The guard's refusal says nothing about the topic (contract page 7, "Success window").
            self.failed(failure, reason != ErrorReason::DestinationForbidden);
            self.suspend(SuspensionReason::Destination(reason));
        } else if counted {
            self.judge();
        }
        self.put_back(back.flights, in_order);
        self.forget_ahead();
    }

    /// An attempt that was under way when the destination was changed: what it tells about the old one does not count, and what that did not
    /// take goes to the new one.
    pub(super) fn settle_elsewhere(&mut self, in_order: bool, ended: impl Iterator<Item = (Flight, Outcome)>) {
        let mut back = Back::default();
        for (mut flight, outcome) in ended {
            match outcome {
                Outcome::Delivered => {
                    self.last_success_at = Some(self.now);
                    self.done(&flight);
                    self.settled_ahead(&flight, &back);
                    continue;
                }
                Outcome::Failed(failure)
                | Outcome::Silent(failure)
                | Outcome::Refused(failure)
                | Outcome::Broken(failure) => {
                    self.failed(failure, false);
                }
                Outcome::Throttled { .. } | Outcome::NotProcessed(_) | Outcome::Ours(_) | Outcome::Abandoned => {}
            }
            // The new one has not been tried.
            flight.first_tried_at = Timestamp::EPOCH;
            back.push(flight);
        }
        self.put_back(back.flights, in_order);
        self.forget_ahead();
    }

    fn is_overdue(&self, flight: &Flight) -> bool {
        self.now.since(flight.first_tried_at) > self.settings.undelivered_at_most
    }

    /// An event is settled. Where one before it is not, it lies ahead of the cursor.
    fn settled_ahead(&mut self, flight: &Flight, back: &Back) {
        if !flight.waits && back.has_fresh() {
            self.ahead.insert(flight.event.position);
            self.unsaved.memory = true;
        }
    }

    /// What the cursor has passed is not ahead of it any more.
    pub(super) fn forget_ahead(&mut self) {
        if !self.ahead.is_empty() {
            self.ahead = self.cursor().map_or_else(Default::default, |cursor| self.ahead.split_off(&cursor));
        }
    }

    /// How long to wait after a batch of which `back` was not taken.
    fn back_off(&mut self, back: &Back, delivered: bool) {
        let before = self.backoff.take();
        self.unsaved.memory |= before.is_some() || !back.flights.is_empty();
        let failures = before.as_ref().filter(|_| !delivered).map_or(0, |before| before.failures);
        // After a restart what failed may go again in parts: what is to come of it was tried before as well.
        let to_come = |before: &Backoff| self.cursor().is_some_and(|cursor| cursor < before.tried_before);
        if back.flights.is_empty() {
            let goes_on = |before: &Backoff| failures > 0 || to_come(before);
            self.backoff = before.filter(goes_on).map(|before| Backoff { failures, until: self.now, ..before });
            return;
        }
        let failures = failures.saturating_add(1);
        let fresh = || back.flights.iter().filter(|flight| !flight.waits);
        let since = fresh().map(|flight| flight.first_tried_at).min();
        let tried_before = fresh().next_back().map(|flight| flight.event.position.next());
        self.backoff = Some(Backoff {
            since: since.or(before.as_ref().map(|before| before.since)).unwrap_or(self.now).min(self.now),
            failures,
            until: self.now + Backoff::pause(failures, self.now, self.options.destination, &self.settings),
            tried_before: tried_before.max(before.map(|before| before.tried_before)).unwrap_or(Position::FIRST),
            throttled: back.throttled,
        });
    }

    /// What was not taken goes back to its place: in hand, or where nothing stays in hand, in the log. Where there is no such place, because
    /// not all before it came to an end in order, it waits.
    fn put_back(&mut self, back: Vec<Flight>, in_order: bool) {
        let running = self.phase == Phase::Running;
        let until = self.backoff.as_ref().filter(|_| running).map_or(self.now, |backoff| backoff.until);
        // The last first: so each goes to the front.
        for flight in back.into_iter().rev() {
            if flight.waits || flight.entity != 0 || !in_order {
                self.wait_for_turn(&flight, until, 0);
            } else if flight.event.position < self.expired_before {
                // Its place is gone, with those behind it.
                self.failed(too_old(), false);
                self.given_up += 1;
            } else if running {
                self.take_back(flight.event);
            } else {
                self.read_from(flight.event.position);
            }
        }
    }
}

/// The events of a batch that were not taken, in their order.
#[derive(Debug, Default)]
struct Back {
    flights: Vec<Flight>,
    /// They were only too many for now.
    throttled: bool,
}

impl Back {
    fn push(&mut self, flight: Flight) {
        self.flights.push(flight);
    }

    /// Fresh events are behind the others in a batch.
    fn has_fresh(&self) -> bool {
        self.flights.last().is_some_and(|flight| !flight.waits)
    }
}

impl Attempt {
    /// The first of its events that are not among the waiting: the cursor stands before it. Those of a batch are in their order.
    pub(super) fn first_fresh(&self) -> Option<Position> {
        self.flights.iter().find(|flight| !flight.waits).map(|flight| flight.event.position)
    }

    /// Events that are not among the waiting.
    pub(super) fn fresh(&self) -> usize {
        self.flights.iter().filter(|flight| !flight.waits).count()
    }
}

fn throttled_for_too_long() -> Failure {
    Failure {
        reason: ErrorReason::Throttled,
        code: NO_HTTP_STATUS,
        message: "The topic's quota let the event not pass for more than an hour; the event was dropped.".into(),
        answer: None,
    }
}
