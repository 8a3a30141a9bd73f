//! What a lane has at hand, for sums over all lanes: it looks at no more than the attempts under way.

use domain::{Now, Timestamp};

use super::{Attempt, Lane, Manner, Ticket};

/// What a lane has at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Events under way.
    pub in_flight: u64,
    /// Events that are under way, in hand, or wait. What a lane that is behind has still to read is not among them.
    pub backlog: u64,
    /// Events that wait for a retry.
    pub waiting_retries: u64,
    /// Events that wait for their turn: after a 429, or behind another event of their entity.
    pub waiting_turns: u64,
    /// When the oldest of them was accepted; of those that wait, when it was first tried.
    pub oldest: Option<Timestamp>,
}

impl Lane {
    /// What the lane has at hand.
    pub fn load(&self, now: Now) -> Load {
        let (waiting_retries, waiting_turns) = self.waits();
        let fresh = self.fresh.front().map(|event| event.accepted_at);
        let flights = self.in_flight.values().flat_map(|attempt| &attempt.flights);
        let under_way = flights.map(|flight| flight.event.accepted_at).min();
        let first_tried = self.waiting.first_tried_at();
        Load {
            in_flight: self.in_flight() as u64,
            backlog: self.backlog(),
            waiting_retries,
            waiting_turns,
            oldest: fresh.into_iter().chain(under_way).chain(first_tried.map(|at| now.on_the_wall(at))).min(),
        }
    }

    /// Events that are under way, in hand, or wait.
    pub(super) fn backlog(&self) -> u64 {
        let under_way = self.in_flight.values().map(Attempt::fresh).sum::<usize>();
        (self.fresh.len() + under_way + self.waiting.len()) as u64
    }

    /// Events that wait for a retry, and for their turn. What a topic did not take is among the first, unless that was only too much for now.
    pub(super) fn waits(&self) -> (u64, u64) {
        let (retries, turns) = self.waiting.counts();
        match &self.backoff {
            Some(backoff) if backoff.throttled => (retries, turns + self.sent_again()),
            _ => (retries + self.sent_again(), turns),
        }
    }

    /// Which attempt at its events one under way is: the first, and one more for each that failed before.
    pub fn attempt_number(&self, ticket: Ticket) -> u32 {
        let flights = self.in_flight.get(&ticket).map_or(&[][..], |attempt| attempt.flights.as_slice());
        let failures = flights.iter().map(|flight| u32::from(flight.failures)).max().unwrap_or(0);
        1 + failures.max(self.backoff.as_ref().map_or(0, |backoff| backoff.failures))
    }

    /// Events a second that the lane sends at most right now; none for topics.
    pub fn rate(&self) -> Option<f64> {
        (self.options.manner == Manner::OneByOne).then(|| self.pace.rate())
    }

    /// Events in hand that a topic did not take before.
    pub(super) fn sent_again(&self) -> u64 {
        let Some(backoff) = &self.backoff else { return 0 };
        self.fresh.partition_point(|event| event.position < backoff.tried_before) as u64
    }

    /// Events that were given up since this was last asked: refused, or failed too often or for too long.
    pub fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }
}
