//! How a topic is served: a batch at a time, in order. What failed goes again in its place, after a pause, and nothing
//! goes past it.

use domain::destination::BatchLimits;
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};
use domain::{Position, Timestamp};

use super::settle::too_old;
use super::trouble::pause;
use super::{Attempt, Flight, Lane, Phase, Silence};
use crate::backoff::Backoff;
use crate::patience::Unfed;

impl Lane {
    /// Sends the next batch, unless one is under way: attempts one by one from before, if the destination was an
    /// endpoint, count as well.
    pub(super) fn send_batch(&mut self, of_type: BatchLimits) {
        if !self.in_flight.is_empty() || self.pause_ends().is_some_and(|until| until > self.now) {
            return;
        }
        // What failed is sent again as it was; what comes behind it has to wait, for it must not overtake. What failed
        // may have left the log meanwhile: then there is nothing to wait for.
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

    /// Events that waited before the destination was a topic go as soon as they are due and at hand; no order was
    /// promised for them.
    fn next_of_batch(&mut self, before: Position) -> Option<Flight> {
        if let Some(taken) = self.waiting.take_turn().or_else(|| self.waiting.take_retry()) {
            return Some(self.again(taken));
        }
        let event = self.take_fresh(before)?;
        Some(Flight { event, failures: 0, first_tried_at: self.now, waits: false, entity: 0 })
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
        let until = self.pause_ends()?;
        (self.in_flight.is_empty() && until > self.now).then_some(until)
    }

    fn pause_ends(&self) -> Option<Timestamp> {
        // In trouble that of the trouble counts, for it may end early.
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
        // Events that failed together tell one thing about the topic, not as many as they are.
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
                    self.failed(failure, true, flight.id());
                    self.give_up(&flight);
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
            // The guard's refusal says nothing about the topic (contract page 7, "Success window").
            self.failed(failure, reason != ErrorReason::DestinationForbidden, event_id);
            self.suspend(SuspensionReason::Destination(reason));
        }
        self.put_back(back.flights, in_order);
        self.forget_ahead();
    }

    /// An attempt failed for all that it was sent: at first, and then from time to time, its owner is told; in the end
    /// it is suspended.
    fn took_nothing(&mut self, failure: Failure, event_id: Option<String>) {
        self.unsaved.memory = true;
        self.last_failure = Some((self.now, failure.clone()));
        let Some(unfed) = &mut self.unfed else {
            self.unfed = Some(Unfed::new(self.now));
            return self.failed(failure, true, event_id);
        };
        let count = unfed.failed(self.now, &self.settings);
        let lost_patience = unfed.tried_for >= self.settings.topic_patience;
        if let Some(count) = count.or_else(|| lost_patience.then(|| std::mem::take(&mut unfed.untold))) {
            self.unsaved.note(self.now, failure, count.into(), event_id);
        }
        if lost_patience {
            self.suspend(SuspensionReason::TookNothing);
        }
    }

    /// An attempt that was under way when the destination was changed: what it tells about the old one does not count,
    /// and what that did not take goes to the new one.
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
            // The new one has not been tried.
            flight.first_tried_at = Timestamp::EPOCH;
            back.push(flight);
        }
        self.put_back(back.flights, in_order);
        self.forget_ahead();
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

    /// How long to wait after a batch of which `back` was not taken, and whether that was the topic's doing.
    fn back_off(&mut self, back: &Back, delivered: bool, failed: bool) {
        let before = self.backoff.take();
        // What says nothing about the topic is not written either.
        self.unsaved.memory |= failed || before.is_some() && (delivered || back.flights.is_empty());
        let (failures, uncounted) =
            before.as_ref().filter(|_| !delivered).map_or((0, 0), |before| (before.failures, before.uncounted));
        // After a restart what failed may go again in parts: what is to come of it was tried before as well.
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

    /// What was not taken goes back to its place: in hand, or where nothing stays in hand, in the log. Where there is
    /// no such place, because not all before it came to an end in order, it waits.
    fn put_back(&mut self, back: Vec<Flight>, in_order: bool) {
        let running = self.phase == Phase::Running;
        let until = self.pause_ends().filter(|_| running).unwrap_or(self.now);
        // The last first: so each goes to the front.
        for flight in back.into_iter().rev() {
            if flight.waits || flight.entity != 0 || !in_order {
                self.wait_for_turn(&flight, until, 0);
            } else if flight.event.position < self.expired_before {
                // Its place is gone, with those behind it.
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

    /// The id of the first, for log entries.
    fn first_id(&self) -> Option<String> {
        self.flights.first().and_then(Flight::id)
    }

    /// Fresh events are behind the others in a batch.
    fn has_fresh(&self) -> bool {
        self.flights.last().is_some_and(|flight| !flight.waits)
    }
}

impl Attempt {
    /// The first of its events that are not among the waiting: the cursor stands before it. Those of a batch are in
    /// their order.
    pub(super) fn first_fresh(&self) -> Option<Position> {
        self.flights.iter().find(|flight| !flight.waits).map(|flight| flight.event.position)
    }

    /// Events that are not among the waiting.
    pub(super) fn fresh(&self) -> usize {
        self.flights.iter().filter(|flight| !flight.waits).count()
    }
}

fn over_quota() -> Failure {
    Failure::without_status(ErrorReason::Throttled, "The topic's quota is exceeded; delivery is retried.")
}
