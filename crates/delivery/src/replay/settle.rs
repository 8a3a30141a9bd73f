//! Consequences of an attempt's outcome for a replay (contract page 8, "Replay").

use std::time::Duration;

use domain::exception::{Exception, ExceptionKind};
use domain::outcome::{Failure, Outcome};
use domain::replay::ReplayStatus;
use domain::{Position, Timestamp};

use super::{Back, FAILURES_IN_A_ROW, Flight, Input, READ_AGAIN, RETRY_DELAYS, Replay};
use crate::lane::pause;

/// Circumstances of an attempt's end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) now: Timestamp,
    /// A silence may be the platform's.
    pub(crate) undecided: bool,
    /// Maximum time for which an event may be throttled.
    pub(crate) throttled_at_most: Duration,
    /// Pause that a 429 asked for, if it is to be respected.
    pub(crate) asked: Option<Duration>,
}

impl Replay {
    /// Handles an input other than [`Input::Begin`], [`Input::Ended`] and [`Input::Paused`].
    pub(crate) fn handle(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Read(part) => self.read(part),
            Input::ReadFailed => self.read_failed(now),
            Input::Loaded { events, gone, excluded } => {
                for event in events {
                    self.waiting.loaded(event);
                }
                for position in gone {
                    self.counts.gone += u64::from(self.forget(position, now));
                }
                for position in excluded {
                    self.forget(position, now);
                }
            }
            Input::LoadFailed(positions) => {
                for position in positions {
                    self.waiting.load_later(position, now + READ_AGAIN);
                }
            }
            Input::Begin(_) | Input::Ended | Input::Paused => {}
        }
    }

    pub(crate) fn settle_one(&mut self, flight: Flight, outcome: Outcome, at: Circumstances) {
        self.unsaved = true;
        let Circumstances { now, undecided, .. } = at;
        match outcome {
            Outcome::Delivered => {
                self.in_a_row = 0;
                self.delivered(&flight, now);
            }
            Outcome::Throttled { .. } if self.is_throttled_for_too_long(&flight, at) => {
                self.give_up(&flight, now);
                self.failed(1, "the destination answered 429 (too many requests) for more than an hour");
            }
            Outcome::Throttled { .. } => {
                let due_at = now + at.asked.unwrap_or_else(|| pause(flight.throttles));
                self.wait(&flight, ExceptionKind::Throttled, due_at, flight.throttles + 1);
            }
            Outcome::Silent(_) if undecided => self.untried(flight, now),
            Outcome::Failed(failure) | Outcome::Silent(failure) => {
                match RETRY_DELAYS.get(usize::from(flight.failures)) {
                    Some(delay) => {
                        let failures = flight.failures + 1;
                        self.wait(&Flight { failures, ..flight }, ExceptionKind::Retry, now + *delay, 0);
                    }
                    None => self.give_up(&flight, now),
                }
                self.failed(1, &failure.message);
            }
            Outcome::Refused(failure) => {
                self.give_up(&flight, now);
                self.failed(1, &failure.message);
            }
            Outcome::Broken(failure) => {
                self.give_up(&flight, now);
                self.broken(&failure);
            }
            Outcome::NotProcessed(_) => {
                let due_at = now + pause(flight.throttles);
                let throttles = flight.throttles + 1;
                let first_tried_at = Timestamp::EPOCH;
                self.wait(&Flight { first_tried_at, ..flight }, ExceptionKind::Throttled, due_at, throttles);
            }
            Outcome::Ours(_) => self.untried(flight, now),
            Outcome::Abandoned => self.wait(&flight, ExceptionKind::Throttled, now, 0),
        }
    }

    /// Settles a batch. Undelivered events are sent again in their place, after a pause, and none overtakes them.
    pub(crate) fn settle_batch(&mut self, ended: impl Iterator<Item = (Flight, Outcome)>, at: Circumstances) {
        self.unsaved = true;
        let Circumstances { now, undecided, .. } = at;
        let mut back = Vec::new();
        let (mut delivered, mut refused, mut uncounted) = (false, 0, false);
        // Events that failed together count once.
        let (mut failure, mut broken) = (None, None);
        for (mut flight, outcome) in ended {
            match outcome {
                Outcome::Delivered => {
                    delivered = true;
                    self.delivered(&flight, now);
                }
                Outcome::Refused(why) => {
                    refused += 1;
                    failure.get_or_insert(why.message);
                    self.give_up(&flight, now);
                }
                Outcome::Silent(_) if undecided => back.push(flight),
                Outcome::Failed(why) | Outcome::Silent(why) => {
                    failure.get_or_insert(why.message);
                    flight.failures += 1;
                    if usize::from(flight.failures) > RETRY_DELAYS.len() {
                        self.give_up(&flight, now);
                    } else {
                        back.push(flight);
                    }
                }
                Outcome::Broken(why) => {
                    broken.get_or_insert(why);
                    self.give_up(&flight, now);
                }
                Outcome::Throttled { .. } if self.is_throttled_for_too_long(&flight, at) => {
                    failure.get_or_insert("the topic's quota was exceeded for more than an hour".to_owned());
                    self.give_up(&flight, now);
                }
                Outcome::Throttled { .. } | Outcome::NotProcessed(_) => {
                    uncounted = true;
                    flight.throttles += 1;
                    back.push(flight);
                }
                Outcome::Ours(_) | Outcome::Abandoned => back.push(flight),
            }
        }
        let paused = match (&failure, back.iter().map(|flight| flight.failures).max()) {
            (Some(_), Some(failures @ 1..)) => super::retry_delay(usize::from(failures) - 1),
            _ if uncounted => pause(back.iter().map(|flight| flight.throttles).max().unwrap_or(1) - 1),
            // The platform's trouble has pauses of its own.
            _ => Duration::ZERO,
        };
        self.put_back(back, now + paused);
        if delivered {
            self.in_a_row = 0;
        } else if let Some(message) = failure {
            self.failed(refused.max(1), &message);
        }
        if let Some(failure) = broken {
            self.broken(&failure);
        }
    }

    /// An attempt that was in flight when the destination changed says nothing about the new one, which gets what is
    /// undelivered.
    pub(crate) fn settle_elsewhere(&mut self, ended: impl Iterator<Item = (Flight, Outcome)>, now: Timestamp) {
        self.unsaved = true;
        for (flight, outcome) in ended {
            match outcome {
                Outcome::Delivered => self.delivered(&flight, now),
                _ => self.untried(flight, now),
            }
        }
    }

    /// Forgets what was learnt about the old destination.
    pub(crate) fn start_afresh(&mut self, now: Timestamp) {
        self.in_a_row = 0;
        self.waiting.start_afresh(now);
    }

    fn is_throttled_for_too_long(&self, flight: &Flight, at: Circumstances) -> bool {
        at.now.since(flight.first_tried_at) > at.throttled_at_most
    }

    fn put_back(&mut self, flights: Vec<Flight>, until: Timestamp) {
        let mut place = Vec::new();
        for flight in flights {
            if flight.waits || !self.is_running() {
                self.wait(&flight, ExceptionKind::Retry, until, flight.throttles);
            } else {
                place.push(flight);
            }
        }
        if !place.is_empty() {
            let behind = self.back.take().map(|back| back.flights).unwrap_or_default();
            place.extend(behind);
            self.back = Some(Back { flights: place, until });
        }
    }

    /// Undoes an attempt at an event: it is first in line again.
    fn untried(&mut self, flight: Flight, now: Timestamp) {
        if flight.waits {
            if self.is_running() {
                self.waiting.give_back(flight.event);
            } else {
                self.waiting.back_to_sleep(flight.event.position);
            }
            return;
        }
        self.wait(&Flight { first_tried_at: Timestamp::EPOCH, ..flight.clone() }, ExceptionKind::Throttled, now, 0);
        if self.is_running() {
            self.waiting.at_hand_again(flight.event);
        }
    }

    pub(super) fn wait(&mut self, flight: &Flight, kind: ExceptionKind, due_at: Timestamp, throttles: u32) {
        let &Flight { failures, first_tried_at, entity, .. } = flight;
        let position = flight.event.position;
        self.waiting.put(Exception { position, kind, failures, due_at, first_tried_at, entity }, throttles);
    }

    fn delivered(&mut self, flight: &Flight, now: Timestamp) {
        self.counts.delivered += 1;
        self.settled(flight, now);
    }

    fn give_up(&mut self, flight: &Flight, now: Timestamp) {
        self.counts.failed += 1;
        self.settled(flight, now);
    }

    fn settled(&mut self, flight: &Flight, now: Timestamp) {
        let position = flight.event.position;
        if flight.waits {
            self.waiting.remove(position);
        }
        self.next_of_entity(flight.entity, position, now);
    }

    /// A waiting event that is not sent any more; whether it waited.
    fn forget(&mut self, position: Position, now: Timestamp) -> bool {
        let Some(exception) = self.waiting.remove(position) else { return false };
        self.unsaved = true;
        self.next_of_entity(exception.entity, position, now);
        true
    }

    fn next_of_entity(&mut self, entity: u64, position: Position, now: Timestamp) {
        if entity != 0
            && let Some(next) = self.order.leave(entity, position)
        {
            self.waiting.wake(next, now);
        }
    }

    fn failed(&mut self, attempts: u32, message: &str) {
        self.in_a_row = self.in_a_row.saturating_add(attempts);
        if self.in_a_row >= FAILURES_IN_A_ROW {
            let reason = format!("{FAILURES_IN_A_ROW} attempts in a row failed; the latest failure: {message}");
            self.over(ReplayStatus::Failed, Some(reason));
        }
    }

    fn broken(&mut self, failure: &Failure) {
        self.over(ReplayStatus::Failed, Some(failure.reason.sentence().to_owned()));
    }
}
