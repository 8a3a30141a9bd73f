//! A lane's load, for sums over all lanes: inspects only the attempts in flight.

use domain::{Now, Timestamp};

use super::{Attempt, Lane, Manner, Ticket};

/// Load of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Events in flight.
    pub in_flight: u64,
    /// Events in flight, in hand or waiting, without those that a lane behind has yet to read.
    pub backlog: u64,
    /// Events waiting for a retry.
    pub waiting_retries: u64,
    /// Events waiting for their turn: after a 429, or behind another event of their entity.
    pub waiting_turns: u64,
    /// Time at which the oldest of them was accepted; for waiting events, first tried.
    pub oldest: Option<Timestamp>,
}

impl Lane {
    /// Load of the lane.
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

    /// Events in flight, in hand or waiting.
    pub(super) fn backlog(&self) -> u64 {
        let under_way = self.in_flight.values().map(Attempt::fresh).sum::<usize>();
        (self.fresh.len() + under_way + self.waiting.len()) as u64
    }

    /// Events waiting for a retry, and for their turn. Events rejected by a topic count as the former, unless they were
    /// only throttled.
    pub(super) fn waits(&self) -> (u64, u64) {
        let (retries, turns) = self.waiting.counts();
        match &self.backoff {
            Some(backoff) if backoff.throttled => (retries, turns + self.sent_again()),
            _ => (retries + self.sent_again(), turns),
        }
    }

    /// Attempt number of the events in flight: the first, plus one per earlier failure.
    pub fn attempt_number(&self, ticket: Ticket) -> u32 {
        if let Some(attempt) = self.replay.as_ref().and_then(|replay| replay.in_flight.get(&ticket)) {
            return 1 + attempt.flights.iter().map(|flight| u32::from(flight.failures)).max().unwrap_or(0);
        }
        let flights = self.in_flight.get(&ticket).map_or(&[][..], |attempt| attempt.flights.as_slice());
        let failures = flights.iter().map(|flight| u32::from(flight.failures)).max().unwrap_or(0);
        1 + failures.max(self.backoff.as_ref().map_or(0, |backoff| backoff.failures))
    }

    /// Current maximum rate in events per second; none for topics.
    pub fn rate(&self) -> Option<f64> {
        (self.options.manner == Manner::OneByOne).then(|| self.pace.rate())
    }

    /// Events in hand that a topic rejected before.
    pub(super) fn sent_again(&self) -> u64 {
        let Some(backoff) = &self.backoff else { return 0 };
        self.fresh.partition_point(|event| event.position < backoff.tried_before) as u64
    }

    /// Events given up since the last call: rejected, failed too often or failing too long.
    pub fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }
}
