//! Consequences of an attempt's outcome: the table of contract page 4, event by event.

use std::time::Duration;

use domain::exception::{Exception, ExceptionKind};
use domain::fate::GivenUp;
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};
use domain::{Position, Timestamp};

use super::trouble::pause;
use super::{Flight, Lane, Manner, Output, Phase, Silence, Ticket};

impl Lane {
    pub(super) fn settle(&mut self, ticket: Ticket, mut outcomes: Vec<Outcome>, silence: Silence) {
        if self.settle_replayed(ticket, &mut outcomes, silence) {
            return;
        }
        // A second result of the same attempt finds nothing.
        let Some(mut attempt) = self.in_flight.remove(&ticket) else { return };
        let stopped = matches!(self.phase, Phase::Stopped | Phase::Dropped);
        if !stopped && attempt.destination == self.options.destination {
            let lasted = self.weigh(ticket, &mut outcomes, silence);
            attempt.flights.iter_mut().for_each(|flight| flight.first_tried_at = flight.first_tried_at + lasted);
        }
        // An event without an outcome would be lost. This says nothing about the destination: the fault lies in the
        // platform.
        let outcomes = outcomes.into_iter().chain(std::iter::repeat_with(|| Outcome::NotProcessed(no_outcome())));
        let ended = attempt.flights.into_iter().zip(outcomes);
        match self.options.manner {
            _ if stopped => ended.for_each(|(flight, outcome)| self.late(flight, outcome)),
            _ if attempt.destination != self.options.destination => self.settle_elsewhere(attempt.in_order, ended),
            Manner::OneByOne => ended.for_each(|(flight, outcome)| self.settle_one(flight, outcome, silence)),
            Manner::InBatches(_) => self.settle_batch(attempt.in_order, ended, silence),
        }
    }

    fn settle_one(&mut self, flight: Flight, outcome: Outcome, silence: Silence) {
        match outcome {
            Outcome::Delivered => {
                self.pace.delivered(&self.settings);
                self.delivered(&flight);
            }
            Outcome::Throttled { retry_after } => self.throttled(flight, retry_after),
            Outcome::Silent(_) if matches!(silence, Silence::Undecided { .. }) => self.untried(flight),
            Outcome::Silent(failure) => {
                self.window.silent(self.now);
                self.unsaved.memory = true;
                let cause = Cause::of(&failure);
                self.failed(failure, false, flight.id());
                self.try_later(&flight, cause);
            }
            Outcome::Failed(failure) => {
                let cause = Cause::of(&failure);
                self.failed(failure, true, flight.id());
                self.try_later(&flight, cause);
            }
            Outcome::Refused(failure) => {
                let cause = Cause::of(&failure);
                self.failed(failure, true, flight.id());
                self.give_up(&flight, cause);
                self.judge();
            }
            Outcome::Broken(failure) => {
                let cause = Cause::of(&failure);
                // A rejection by the guard says nothing about the endpoint (contract page 7, "Success window").
                self.failed(failure, cause.reason != ErrorReason::DestinationForbidden, flight.id());
                self.give_up(&flight, cause);
                self.suspend(SuspensionReason::Destination(cause.reason));
            }
            Outcome::NotProcessed(failure) => self.not_processed(flight, failure),
            Outcome::Ours(_) => self.untried(flight),
            Outcome::Abandoned => self.wait_for_turn(&flight, self.now, 0),
        }
    }

    /// Follows the retry schedule until it is exhausted.
    fn try_later(&mut self, flight: &Flight, cause: Cause) {
        match self.settings.retry_delays.get(usize::from(flight.failures)).copied() {
            Some(delay) => self.wait_for_retry(flight, delay),
            None => self.give_up(flight, cause),
        }
        self.judge();
    }

    /// Sent again in its turn, after a growing pause, as if never tried.
    fn not_processed(&mut self, mut flight: Flight, failure: Failure) {
        self.last_failure = Some((self.now, failure));
        flight.first_tried_at = Timestamp::EPOCH;
        let times = self.waiting.throttles(flight.event.position);
        self.wait_for_turn(&flight, self.now + pause(times), times + 1);
    }

    /// An attempt that was in flight when the lane stopped. Its event is neither counted as dropped nor retried; a
    /// failure is reported to the owner.
    fn late(&mut self, flight: Flight, outcome: Outcome) {
        match outcome {
            Outcome::Delivered => self.unsaved.late.push(flight.event.position),
            Outcome::Failed(failure)
            | Outcome::Silent(failure)
            | Outcome::Refused(failure)
            | Outcome::Broken(failure) => {
                self.record_given_up(flight.event.position, Cause::of(&failure), flight.attempts(self));
                self.note(failure, flight.id());
            }
            Outcome::Throttled { .. } | Outcome::NotProcessed(_) | Outcome::Ours(_) | Outcome::Abandoned => {
                let message = "The subscription was suspended while the event was being delivered; it was not retried.";
                let failure = Failure::without_status(ErrorReason::SubscriptionSuspended, message);
                // The cursor passes it now, before the drop is recorded.
                self.record_given_up(flight.event.position, Cause::of(&failure), flight.attempts(self));
                self.note(failure, flight.id());
            }
        }
        if flight.waits {
            self.waiting.remove(flight.event.position);
        }
    }

    fn throttled(&mut self, flight: Flight, retry_after: Option<Duration>) {
        self.pace.throttled(self.now, &self.settings);
        self.unsaved.counted = true;
        if self.now.since(flight.first_tried_at) > self.settings.undelivered_at_most {
            let failure = Failure {
                reason: ErrorReason::Throttled,
                code: 429,
                message: "The endpoint answered 429 Too Many Requests to every attempt for more than an hour; the \
                          event was dropped."
                    .into(),
                answer: None,
            };
            let cause = Cause::of(&failure);
            self.failed(failure, true, flight.id());
            self.give_up(&flight, cause);
            return self.judge();
        }
        let asked = retry_after
            .filter(|_| self.options.respect_retry_after)
            .map(|asked| asked.min(self.settings.undelivered_at_most));
        if let Some(asked) = asked {
            self.pace.pause(self.now + asked);
        }
        let throttles = self.waiting.throttles(flight.event.position);
        let asked = asked.unwrap_or_else(|| pause(throttles));
        self.wait_for_turn(&flight, self.now + asked, throttles + 1);
    }

    pub(super) fn delivered(&mut self, flight: &Flight) {
        self.window.delivered(self.now);
        self.last_success_at = Some(self.now);
        self.unsaved.counted = true;
        self.done(flight);
    }

    pub(super) fn wait_for_turn(&mut self, flight: &Flight, due_at: Timestamp, throttles: u32) {
        let exception = flight.exception(ExceptionKind::Throttled, flight.failures, due_at);
        self.unsaved.changed(exception.position);
        self.waiting.put(exception, throttles);
    }

    fn wait_for_retry(&mut self, flight: &Flight, delay: Duration) {
        self.wait(flight.exception(ExceptionKind::Retry, flight.failures + 1, self.now + delay));
    }

    pub(super) fn wait(&mut self, exception: Exception) {
        self.unsaved.changed(exception.position);
        self.waiting.put(exception, 0);
    }

    /// Settles the event: no further attempts.
    pub(super) fn done(&mut self, flight: &Flight) {
        let position = flight.event.position;
        if flight.waits {
            self.waiting.remove(position);
            self.unsaved.settled(position);
        }
        self.next_of_entity(flight.entity, position);
    }

    /// Settles the event undelivered.
    pub(super) fn give_up(&mut self, flight: &Flight, cause: Cause) {
        self.given_up += 1;
        self.record_given_up(flight.event.position, cause, flight.attempts(self));
        self.done(flight);
    }

    /// Records that an event was given up ([`domain::fate`]).
    pub(super) fn record_given_up(&mut self, position: Position, Cause { reason, status }: Cause, attempts: u8) {
        self.unsaved.given_up.push(GivenUp { position, reason, status, attempts, at: self.now });
    }

    /// Gives up a waiting event without an attempt.
    pub(super) fn forget(&mut self, position: Position) {
        if let Some(exception) = self.waiting.remove(position) {
            self.unsaved.settled(position);
            self.next_of_entity(exception.entity, position);
        }
    }

    /// A waiting event no longer in the log.
    pub(super) fn lost(&mut self, position: Position) {
        let attempts = self.waiting.get(position).map_or(0, |exception| exception.failures);
        self.record_given_up(position, Cause::of(&too_old()), attempts);
        self.failed(too_old(), false, None);
        self.given_up += 1;
        self.forget(position);
    }

    fn next_of_entity(&mut self, entity: u64, position: Position) {
        if entity != 0
            && let Some(next) = self.order.leave(entity, position)
        {
            self.waiting.wake(next, self.now);
        }
    }

    /// `event_id`: event of the failed attempt.
    pub(super) fn failed(&mut self, failure: Failure, counts: bool, event_id: Option<String>) {
        if counts {
            self.window.failed(self.now);
            self.unsaved.memory = true;
        }
        self.last_failure = Some((self.now, failure.clone()));
        self.note(failure, event_id);
    }

    fn note(&mut self, failure: Failure, event_id: Option<String>) {
        self.unsaved.note(self.now, failure, 1, event_id);
    }

    /// Whether the hour is bad enough to suspend an endpoint. If only its first failure is too young, it is judged
    /// again later.
    pub(super) fn judge(&mut self) {
        self.judge_at = None;
        let counts = self.window.counts(self.now);
        if self.options.manner != Manner::OneByOne
            || !counts.is_below(self.settings.success_percent, self.settings.judged_from)
        {
            return;
        }
        let Some(oldest) = self.window.oldest_failure(self.now) else { return };
        let from = (oldest + self.settings.suspend_after).max(self.suspends_from);
        if from > self.now {
            self.judge_at = Some(from);
        } else if self.trouble.is_some() {
            // No suspensions during trouble that may be the platform's.
            self.judge_at = Some(self.now);
        } else {
            self.suspend(SuspensionReason::SuccessRate);
        }
    }

    pub(super) fn judge_if_due(&mut self) {
        if self.trouble.is_none() && self.judge_at.is_some_and(|at| at <= self.now) && self.phase == Phase::Running {
            self.judge();
        }
    }

    /// Warns the owner of a low success rate, at intervals. The window changes with each outcome and with each minute.
    pub(super) fn warn_if_failing(&mut self) {
        let runs = self.phase == Phase::Running && self.options.manner == Manner::OneByOne && self.trouble.is_none();
        let every = self.settings.warn_every;
        if !runs || self.window.is_empty() || self.warned_at.is_some_and(|at| self.now.since(at) < every) {
            return;
        }
        let counts = self.window.counts(self.now);
        if counts.is_below(self.settings.failing_percent, self.settings.judged_from) {
            self.warned_at = Some(self.now);
            self.unsaved.memory = true;
            self.outputs.push_back(Output::Warn(counts));
        }
    }

    pub(super) fn suspend(&mut self, reason: SuspensionReason) {
        if self.phase == Phase::Running {
            self.phase = Phase::Halted;
            self.trouble = None;
            self.let_go();
            self.outputs.push_back(Output::Suspend(reason));
        }
    }
}

/// Why an event was given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    reason: ErrorReason,
    status: Option<u16>,
}

impl Cause {
    pub(super) fn of(failure: &Failure) -> Cause {
        Cause { reason: failure.reason, status: failure.status() }
    }
}

impl Flight {
    /// Number of failed attempts, this one included. The attempts of a topic count for all of its events.
    pub(super) fn attempts(&self, lane: &Lane) -> u8 {
        let of_topic = lane.backoff.as_ref().filter(|backoff| self.event.position < backoff.tried_before);
        let before = of_topic.map_or(0, |backoff| u8::try_from(backoff.failures).unwrap_or(u8::MAX));
        before.max(self.failures).saturating_add(1)
    }

    /// The event's id, for log entries.
    pub(super) fn id(&self) -> Option<String> {
        Some(self.event.event.id().to_owned())
    }

    fn exception(&self, kind: ExceptionKind, failures: u8, due_at: Timestamp) -> Exception {
        Exception {
            position: self.event.position,
            kind,
            failures,
            due_at,
            first_tried_at: self.first_tried_at,
            entity: self.entity,
        }
    }
}

/// The retention period ended before the event was delivered.
pub(super) fn too_old() -> Failure {
    let message = "The event exceeded the retention before its next attempt was due.";
    Failure::without_status(ErrorReason::DestinationFailure, message)
}

/// The attempt had fewer outcomes than events.
pub(super) fn no_outcome() -> Failure {
    let message = "The attempt failed within the platform without an outcome for the event; the event is sent again.";
    Failure::without_status(ErrorReason::ClientClosedConnection, message)
}
