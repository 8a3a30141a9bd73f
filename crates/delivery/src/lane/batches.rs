//! How a topic is served: a batch at a time, in order. What failed goes again in its place, after a pause, and nothing goes past it.

use domain::Timestamp;
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};

use super::{Flight, Lane, Phase};
use crate::backoff::Backoff;

/// `code` of a failure without an HTTP exchange (contract page 5).
const NO_HTTP_STATUS: u16 = 500;

impl Lane {
    pub(super) fn send_batch(&mut self) {
        if !self.in_flight.is_empty() || self.backoff.as_ref().is_some_and(|backoff| backoff.until > self.now) {
            return;
        }
        let mut batch: Vec<Flight> = Vec::new();
        let mut bytes = 0;
        while batch.len() < self.settings.batch_events
            && bytes < self.settings.batch_bytes
            && let Some(flight) = self.next_of_batch()
        {
            bytes += flight.event.event.size();
            batch.push(flight);
        }
        if !batch.is_empty() {
            self.send(batch);
        }
    }

    fn next_of_batch(&mut self) -> Option<Flight> {
        if let Some(taken) = self.waiting.take_turn().or_else(|| self.waiting.take_retry()) {
            return Some(self.again(taken));
        }
        // Waiting events of which the bodies are still to come are older: they go first.
        if self.waiting.at_hand() > 0 || self.waiting.next_due().is_some_and(|due_at| due_at <= self.now) {
            return None;
        }
        let first = self.fresh.front()?.position;
        let tried = self.backoff.as_ref().filter(|backoff| first < backoff.tried_before);
        // What failed is sent again as it was; what comes behind it has to wait, for it must not overtake.
        if self.backoff.is_some() && tried.is_none() {
            return None;
        }
        let first_tried_at = tried.map_or(self.now, |backoff| backoff.since);
        let event = self.take_fresh()?;
        Some(Flight { event, failures: 0, first_tried_at, waits: false, entity: 0 })
    }

    /// When the next batch may go, if that is a question of time.
    pub(super) fn next_batch_at(&self) -> Option<Timestamp> {
        let until = self.backoff.as_ref()?.until;
        (self.in_flight.is_empty() && until > self.now).then_some(until)
    }

    pub(super) fn settle_batch(&mut self, ended: Vec<(Flight, Outcome)>) {
        let mut back = Vec::new();
        // Events that failed together tell one thing about the topic, not as many as they are: each failure counts and is noted once.
        let mut failures: Vec<Failure> = Vec::new();
        let mut broken = None;
        let mut delivered = false;
        for (flight, outcome) in ended {
            match outcome {
                Outcome::Delivered => {
                    delivered = true;
                    self.delivered(&flight);
                }
                Outcome::Refused(failure) => {
                    self.failed(failure, true);
                    self.give_up(&flight);
                }
                Outcome::Failed(failure) if self.is_overdue(&flight) => {
                    self.failed(failure, true);
                    self.give_up(&flight);
                }
                Outcome::Throttled { .. } if self.is_overdue(&flight) => {
                    self.failed(throttled_for_too_long(), true);
                    self.give_up(&flight);
                }
                Outcome::Failed(failure) => {
                    if !failures.contains(&failure) {
                        failures.push(failure);
                    }
                    back.push(flight);
                }
                Outcome::Broken(failure) => {
                    broken.get_or_insert(failure);
                    back.push(flight);
                }
                Outcome::Throttled { .. } | Outcome::Abandoned => back.push(flight),
            }
        }
        for failure in failures {
            self.failed(failure, true);
        }
        self.back_off(&back, delivered);
        if let Some(failure) = broken {
            let reason = failure.reason;
            self.failed(failure, reason != ErrorReason::DestinationForbidden);
            self.suspend(SuspensionReason::Destination(reason));
        } else {
            self.judge();
        }
        self.put_back(back);
    }

    fn is_overdue(&self, flight: &Flight) -> bool {
        self.now.since(flight.first_tried_at) > self.settings.undelivered_at_most
    }

    /// How long to wait after a batch of which `back` was not taken.
    fn back_off(&mut self, back: &[Flight], delivered: bool) {
        let tried =
            back.iter().filter(|flight| !flight.waits).map(|flight| (flight.event.position, flight.first_tried_at));
        let (last, first_tried_at) = (tried.clone().map(|(position, _)| position).max(), tried.map(|(_, at)| at).min());
        let before = self.backoff.take();
        self.unsaved.memory |= before.is_some() || !back.is_empty();
        if back.is_empty() {
            return;
        }
        let failures = before.filter(|_| !delivered).map_or(1, |before| before.failures.saturating_add(1));
        self.backoff = Some(Backoff {
            since: first_tried_at.unwrap_or(self.now),
            failures,
            until: self.now + Backoff::pause(failures, self.now, self.options.destination, &self.settings),
            tried_before: last.map_or(domain::Position::FIRST, domain::Position::next),
        });
    }

    fn put_back(&mut self, back: Vec<Flight>) {
        let until = self.backoff.as_ref().map_or(self.now, |backoff| backoff.until);
        for flight in back {
            let position = flight.event.position;
            // Those that waited before wait on: they have a place of their own in the ledger. While the lane does not run, nothing stays in hand.
            if flight.waits || flight.entity != 0 || self.phase != Phase::Running {
                let due_at = if self.phase == Phase::Running { until } else { self.now };
                self.wait_for_turn(&flight, due_at, 0);
                continue;
            }
            let place = self.fresh.partition_point(|event| event.position < position);
            self.fresh_bytes += flight.event.event.size();
            self.fresh.insert(place, flight.event);
        }
    }
}

fn throttled_for_too_long() -> Failure {
    Failure {
        reason: ErrorReason::Throttled,
        code: NO_HTTP_STATUS,
        message: "The topic's quota let the event not pass for more than an hour; the event was dropped.".into(),
    }
}
