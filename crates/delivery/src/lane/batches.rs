//! Delivery to a topic: one batch at a time, in order. Failed events are resent in their place, after a pause, and no
//! later event overtakes them.

use domain::destination::BatchLimits;
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};
use domain::{Position, Timestamp};

use super::settle::{Cause, too_old};
use super::trouble::pause;
use super::{Attempt, Flight, Lane, Phase, Silence};
use crate::backoff::Backoff;
use crate::patience::Unfed;

impl Lane {
    /// Sends the next live batch. The caller ensures that no attempt is in flight, not even a single one to an earlier
    /// endpoint, and that no pause is running.
    pub(super) fn send_batch(&mut self, of_type: BatchLimits) {
        // Failed events are resent unchanged, and later ones wait so as not to overtake. If the failed events have left
        // the log meanwhile, there is nothing to wait for.
        let again = self.backoff.as_ref().filter(|_| self.sent_again() > 0);
        let before = again.map_or(Position(u64::MAX), |backoff| backoff.tried_before);
        let largest = self.settings.largest_batch(of_type);
        let mut batch: Vec<Flight> = Vec::new();
        let mut bytes = 0;
        while batch.len() < largest.events
            && let Some(flight) = self.next_of_batch(before)
        {
            bytes += flight.event.event.size();
            if bytes > largest.bytes && !batch.is_empty() {
                self.wait_for_room(flight);
                break;
            }
            batch.push(flight);
        }
        if !batch.is_empty() {
            self.send(batch);
        }
    }

    /// Events that waited before the destination became a topic are sent once due and at hand; their order was never
    /// promised.
    fn next_of_batch(&mut self, before: Position) -> Option<Flight> {
        if let Some(taken) = self.waiting.take_turn().or_else(|| self.waiting.take_retry()) {
            return Some(self.again(taken));
        }
        let event = self.take_fresh(before)?;
        Some(Flight { event, failures: 0, first_tried_at: self.now, waits: false, entity: 0 })
    }

    /// Without room in this batch, the event becomes the first of the next.
    fn wait_for_room(&mut self, flight: Flight) {
        if flight.waits {
            self.waiting.give_back(flight.event);
        } else {
            self.take_back(flight.event);
        }
    }

    /// Time of the next batch, if only time is missing.
    pub(super) fn next_batch_at(&self) -> Option<Timestamp> {
        let until = self.pause_ends()?;
        (self.under_way() == 0 && until > self.now).then_some(until)
    }

    pub(super) fn pause_ends(&self) -> Option<Timestamp> {
        // In trouble the time of the trouble counts, because it may end early.
        self.try_at().or_else(|| self.backoff.as_ref().map(|backoff| backoff.until))
    }

    pub(super) fn settle_batch(
        &mut self,
        in_order: bool,
        ended: impl Iterator<Item = (Flight, Outcome)>,
        silence: Silence,
    ) {
        let undecided = matches!(silence, Silence::Undecided { .. });
        let mut back = Back::default();
        // Events that failed together count as one statement about the topic.
        let mut failure = None;
        let mut broken = None;
        let mut delivered = false;
        for (flight, outcome) in ended {
            match outcome {
                Outcome::Delivered => {
                    delivered = true;
                    self.delivered(&flight);
                    self.settled_ahead(&flight, &back);
                }
                Outcome::Refused(failure) => {
                    let cause = Cause::of(&failure);
                    self.failed(failure, true, flight.id());
                    self.give_up(&flight, cause);
                    self.settled_ahead(&flight, &back);
                }
                Outcome::Silent(_) if undecided => back.push(flight),
                Outcome::Failed(why) | Outcome::Silent(why) => {
                    failure.get_or_insert((why, flight.id()));
                    back.push(flight);
                }
                Outcome::Broken(failure) => {
                    broken.get_or_insert((failure, flight.id()));
                    back.push(flight);
                }
                Outcome::Throttled { .. } => {
                    back.throttled = true;
                    back.push(flight);
                }
                Outcome::NotProcessed(why) => {
                    self.last_failure = Some((self.now, why));
                    back.push(flight);
                }
                Outcome::Ours(_) | Outcome::Abandoned => back.push(flight),
            }
        }
        back.throttled &= failure.is_none();
        let failure = failure.or_else(|| back.throttled.then(|| (over_quota(), back.first_id())));
        self.back_off(&back, delivered, failure.is_some() || broken.is_some());
        if delivered {
            self.unsaved.memory |= self.unfed.take().is_some();
        }
        if let Some((failure, event_id)) = failure {
            self.took_nothing(failure, event_id);
        }
        if let Some((failure, event_id)) = broken {
            let reason = failure.reason;
            // A rejection by the guard says nothing about the topic (contract page 7, "Success window").
            self.failed(failure, reason != ErrorReason::DestinationForbidden, event_id);
            self.suspend(SuspensionReason::Destination(reason));
        }
        self.put_back(back.flights, in_order);
        self.forget_ahead();
    }

    /// Every event of an attempt failed: the owner is notified, first at once and then at intervals; in the end the
    /// subscription is suspended.
    fn took_nothing(&mut self, failure: Failure, event_id: Option<String>) {
        self.unsaved.memory = true;
        self.last_failure = Some((self.now, failure.clone()));
        let Some(unfed) = &mut self.unfed else {
            self.unfed = Some(Unfed::new(self.now));
            return self.failed(failure, true, event_id);
        };
        let count = unfed.failed(self.now, &self.settings);
        let lost_patience = unfed.tried_for >= self.settings.topic_patience;
        if let Some(count) = count.or_else(|| lost_patience.then(|| std::mem::take(&mut unfed.unreported))) {
            self.unsaved.note(self.now, failure, count.into(), event_id);
        }
        if lost_patience {
            self.suspend(SuspensionReason::TookNothing);
        }
    }

    /// An attempt that was in flight when the destination changed: its result says nothing about the new destination,
    /// and undelivered events go there.
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
                    self.failed(failure, false, flight.id());
                }
                Outcome::Throttled { .. } | Outcome::NotProcessed(_) | Outcome::Ours(_) | Outcome::Abandoned => {}
            }
            // The new destination has not been tried.
            flight.first_tried_at = Timestamp::EPOCH;
            back.push(flight);
        }
        self.put_back(back.flights, in_order);
        self.forget_ahead();
    }

    /// Settles an event, ahead of the cursor if an earlier one is unsettled.
    fn settled_ahead(&mut self, flight: &Flight, back: &Back) {
        if !flight.waits && back.has_fresh() {
            self.ahead.insert(flight.event.position);
            self.unsaved.memory = true;
        }
    }

    /// Forgets events that the cursor has passed.
    pub(super) fn forget_ahead(&mut self) {
        if !self.ahead.is_empty() {
            self.ahead = self.cursor().map_or_else(Default::default, |cursor| self.ahead.split_off(&cursor));
        }
    }

    /// The pause after a batch with `back` undelivered, and whether the topic caused it.
    fn back_off(&mut self, back: &Back, delivered: bool, failed: bool) {
        let before = self.backoff.take();
        // Attempts that say nothing about the topic are not saved either.
        self.unsaved.memory |= failed || before.is_some() && (delivered || back.flights.is_empty());
        let (failures, uncounted) =
            before.as_ref().filter(|_| !delivered).map_or((0, 0), |before| (before.failures, before.uncounted));
        // After a restart failed events may be resent in parts: the remaining ones were tried before as well.
        let to_come = |before: &Backoff| self.cursor().is_some_and(|cursor| cursor < before.tried_before);
        if back.flights.is_empty() {
            let goes_on = |before: &Backoff| failures > 0 || to_come(before);
            self.backoff =
                before.filter(goes_on).map(|before| Backoff { failures, uncounted: 0, until: self.now, ..before });
            return;
        }
        let (failures, uncounted) =
            if failed { (failures.saturating_add(1), 0) } else { (failures, uncounted.saturating_add(1)) };
        let pause = if failed {
            Backoff::pause(failures, self.now, self.options.destination, &self.settings)
        } else {
            pause(uncounted - 1)
        };
        let fresh = || back.flights.iter().filter(|flight| !flight.waits);
        let tried_before = fresh().next_back().map(|flight| flight.event.position.next());
        self.backoff = Some(Backoff {
            failures,
            uncounted,
            until: self.now + pause,
            tried_before: tried_before.max(before.map(|before| before.tried_before)).unwrap_or(Position::FIRST),
            throttled: back.throttled,
        });
    }

    /// Returns undelivered events to their place: in hand, or in the log if nothing stays in hand. Without such a
    /// place, because earlier events did not settle in order, they wait.
    fn put_back(&mut self, back: Vec<Flight>, in_order: bool) {
        let running = self.phase == Phase::Running;
        let until = self.pause_ends().filter(|_| running).unwrap_or(self.now);
        // In reverse, because each moves to the front.
        for flight in back.into_iter().rev() {
            if flight.waits || flight.entity != 0 || !in_order {
                self.wait_for_turn(&flight, until, 0);
            } else if flight.event.position < self.expired_before {
                // Its place is gone, as are those behind it.
                // The attempt is among the failures already.
                let attempts = flight.attempts(self).saturating_sub(1).max(1);
                self.record_given_up(flight.event.position, Cause::of(&too_old()), attempts);
                self.failed(too_old(), false, flight.id());
                self.given_up += 1;
            } else if running {
                self.take_back(flight.event);
            } else {
                self.read_from(flight.event.position);
            }
        }
    }
}

/// Undelivered events of a batch, in order.
#[derive(Debug, Default)]
struct Back {
    flights: Vec<Flight>,
    /// Only throttled.
    throttled: bool,
}

impl Back {
    fn push(&mut self, flight: Flight) {
        self.flights.push(flight);
    }

    /// Id of the first event, for log entries.
    fn first_id(&self) -> Option<String> {
        self.flights.first().and_then(Flight::id)
    }

    /// Fresh events come last in a batch.
    fn has_fresh(&self) -> bool {
        self.flights.last().is_some_and(|flight| !flight.waits)
    }
}

impl Attempt {
    /// The first event that is not waiting: the cursor stands before it. Events of a batch are in order.
    pub(super) fn first_fresh(&self) -> Option<Position> {
        self.flights.iter().find(|flight| !flight.waits).map(|flight| flight.event.position)
    }

    /// Number of events that are not waiting.
    pub(super) fn fresh(&self) -> usize {
        self.flights.iter().filter(|flight| !flight.waits).count()
    }
}

fn over_quota() -> Failure {
    Failure::without_status(ErrorReason::Throttled, "The topic's quota is exceeded; delivery is retried.")
}
