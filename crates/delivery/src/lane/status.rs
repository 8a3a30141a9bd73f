//! Status of a lane.

use domain::lane_status::LaneStatus;
use domain::outcome::Failure;
use domain::{Now, Position, Timestamp};

use super::{Lane, Phase};

impl Lane {
    /// Status of the lane. If the lane is behind, the backlog counts only events at hand; the rest is in the log.
    pub fn status(&mut self, now: impl Into<Now>) -> LaneStatus {
        let clock: Now = now.into();
        let now = clock.steady;
        let on_the_wall = |at| clock.on_the_wall(at);
        let window = self.window.counts(now);
        let (waiting_retries, throttled) = self.waits();
        let again = self.backoff.as_ref().filter(|_| self.sent_again() > 0).map(|backoff| backoff.until);
        let next_due_at = self.waiting.next_due().into_iter().chain(again).min();
        let oldest = self
            .in_flight
            .values()
            .flat_map(|attempt| &attempt.flights)
            .map(|flight| flight.event.accepted_at)
            .chain(self.fresh.front().map(|event| event.accepted_at))
            .chain(
                self.waiting
                    .iter()
                    .map(|exception| exception.first_tried_at)
                    .filter(|at| *at > Timestamp::EPOCH)
                    .map(on_the_wall),
            )
            .min();
        LaneStatus {
            rate: self.rate(),
            delivered_last_minute: self.window.last_minute(now).delivered,
            in_flight: self.in_flight() as u64,
            backlog: self.backlog(),
            oldest_accepted_at: oldest,
            waiting_retries,
            throttled,
            // Nothing is due while nothing is sent; overdue events are due now.
            next_due_at: next_due_at
                .filter(|_| self.phase == Phase::Running)
                .map(|due_at| on_the_wall(due_at.max(now))),
            delivered_in_window: window.delivered,
            failed_in_window: window.failed,
            last_success_at: self.last_success_at.map(on_the_wall),
            last_failure: self.last_failure.clone().map(|(at, failure)| (on_the_wall(at), failure)),
            taking_nothing_since: self.unfed.as_ref().map(|unfed| on_the_wall(unfed.since)),
            lacks: self.lack().into_iter().collect(),
            ..LaneStatus::default()
        }
    }

    /// Successes and failures of the last rolling hour.
    pub fn last_hour(&mut self, now: Timestamp) -> (u64, u64) {
        let window = self.window.counts(now);
        (window.delivered, window.failed)
    }

    /// The latest failure.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref().map(|(_, failure)| failure)
    }

    /// Events dropped by a stop, except those still to be read: in hand and waiting, without those in flight.
    pub fn undelivered(&self) -> u64 {
        (self.fresh.len() + self.waiting.len() - self.waiting.in_flight()) as u64
    }

    /// Matching events from the lane's reading position up to `before` that it would skip: settled or waiting.
    pub fn passed_over(&self, before: Position) -> u64 {
        let Some(reach) = self.reach().filter(|reach| *reach < before) else { return 0 };
        let waiting = self.waiting.iter().filter(|exception| (reach..before).contains(&exception.position));
        (self.ahead.range(reach..before).count() + waiting.count()) as u64
    }

    /// Number of events in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.values().map(|attempt| attempt.flights.len()).sum()
    }
}
