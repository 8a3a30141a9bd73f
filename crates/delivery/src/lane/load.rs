//! What a lane has at hand, for sums over all lanes: it looks at no more than the attempts under way.

use domain::Timestamp;

use super::{Lane, Manner};

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
    pub fn load(&self) -> Load {
        let (waiting_retries, waiting_turns) = self.waiting.counts();
        let fresh = self.fresh.front().map(|event| event.accepted_at);
        let under_way = self.in_flight.values().flatten().map(|flight| flight.event.accepted_at).min();
        Load {
            in_flight: self.in_flight() as u64,
            backlog: (self.fresh.len() + self.fresh_in_flight.len() + self.waiting.len()) as u64,
            waiting_retries: waiting_retries + self.sent_again(),
            waiting_turns,
            oldest: fresh.into_iter().chain(under_way).chain(self.waiting.first_tried_at()).min(),
        }
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
