//! Topics: outcomes of batches, by the same schedule of behaviours as an endpoint's.

use std::time::Duration;

use domain::outcome::{ErrorReason, Outcome};

use super::{ATTEMPT, Behaviour, Receiver, failed, failure};

/// Result of a batch.
#[derive(Clone, PartialEq, Debug)]
pub struct BatchVerdict {
    /// The events accepted by the topic.
    pub taken: Vec<bool>,
    /// The outcome of each event; some may have none.
    pub outcomes: Vec<Outcome>,
    /// Delay from its arrival.
    pub after: Duration,
    /// A second response to the same attempt.
    pub again: Option<Vec<Outcome>>,
}

impl Receiver {
    /// A batch arrives; `keys`: the entities of its events, which select their partition.
    pub fn take(&mut self, now: u64, keys: &[u64]) -> BatchVerdict {
        let events = keys.len();
        let after = Duration::from_micros(self.random.within(200, 30_000));
        let all = |outcome: Outcome| vec![outcome; events];
        let timeout = failed(ErrorReason::DestinationTimeout, 500);
        let delivered =
            BatchVerdict { taken: vec![true; events], outcomes: all(Outcome::Delivered), after, again: None };
        match self.behaviour(now) {
            Behaviour::Good(millis) => BatchVerdict { after: Duration::from_millis(millis) + after, ..delivered },
            Behaviour::Flaky(permille) if self.random.permille(permille) => self.take_in_part(keys, delivered),
            Behaviour::Flaky(_) => delivered,
            Behaviour::Hanging => {
                BatchVerdict { taken: self.some_first(events), outcomes: all(timeout), after: ATTEMPT, again: None }
            }
            Behaviour::Mute => {
                let silent = Outcome::Silent(failure(ErrorReason::DestinationTimeout, 500));
                BatchVerdict { taken: vec![false; events], outcomes: all(silent), after: ATTEMPT, again: None }
            }
            Behaviour::Throttling(capacity) => {
                if self.second != now / 1_000_000 {
                    (self.second, self.taken_in_second) = (now / 1_000_000, 0);
                }
                let room = capacity.saturating_sub(self.taken_in_second).min(events as u64);
                self.taken_in_second += room;
                first_then(room as usize, events, &Outcome::Throttled { retry_after: None }, after)
            }
            Behaviour::Lying => match self.random.within(0, 99) {
                0..3 => BatchVerdict {
                    outcomes: all(timeout),
                    after: ATTEMPT,
                    again: Some(delivered.outcomes),
                    ..delivered
                },
                3..30 => BatchVerdict { again: Some(all(self.some_failure_of_topic())), ..delivered },
                30..33 => BatchVerdict {
                    outcomes: all(self.some_failure_of_topic()),
                    again: Some(delivered.outcomes),
                    ..delivered
                },
                _ => delivered,
            },
            Behaviour::Answering(status) => self.answer_all(status, events, after),
            Behaviour::Away => first_then(0, events, &failed(ErrorReason::ConnectionRefused, 500), after),
        }
    }

    /// A batch fails in part, or completely.
    fn take_in_part(&mut self, keys: &[u64], mut verdict: BatchVerdict) -> BatchVerdict {
        let events = keys.len();
        match self.random.within(0, 9) {
            // All of it, as far as known.
            0..4 => {
                verdict.taken = self.some_first(events);
                verdict.outcomes = vec![self.some_failure_of_topic(); events];
            }
            // One partition has no leader.
            4..7 => {
                let (ill, failure) =
                    (keys[self.random.within(0, events as u64 - 1) as usize], self.some_failure_of_topic());
                for (index, _) in keys.iter().enumerate().filter(|(_, key)| **key == ill) {
                    verdict.taken[index] = false;
                    verdict.outcomes[index] = failure.clone();
                }
            }
            // Some events are too large.
            7..9 => {
                for index in 0..events {
                    if self.random.percent(20) {
                        verdict.taken[index] = false;
                        verdict.outcomes[index] = Outcome::Refused(failure(ErrorReason::PublishRejected, 500));
                    }
                }
            }
            // Some without a report.
            _ => {
                verdict.taken = self.some_first(events);
                let known = verdict.taken.iter().filter(|taken| **taken).count();
                verdict.outcomes.truncate(known);
            }
        }
        verdict
    }

    fn answer_all(&mut self, status: u16, events: usize, after: Duration) -> BatchVerdict {
        let broken = |reason| Outcome::Broken(failure(reason, 500));
        let (first, outcome) = match status {
            404 => (0, broken(ErrorReason::TopicNotFound)),
            301 => (0, broken(ErrorReason::DestinationForbidden)),
            308 => (self.random.within(0, events as u64) as usize, broken(ErrorReason::AuthenticationFailed)),
            401 => (0, broken(ErrorReason::AuthenticationFailed)),
            410 => (0, Outcome::Refused(failure(ErrorReason::PublishRejected, 500))),
            _ => (0, failed(ErrorReason::DestinationFailure, status)),
        };
        first_then(first, events, &outcome, after)
    }

    /// None, some or all of the events, a prefix: in the order of sending.
    fn some_first(&mut self, events: usize) -> Vec<bool> {
        let first = match self.random.within(0, 2) {
            0 => 0,
            1 => events,
            _ => self.random.within(0, events as u64) as usize,
        };
        (0..events).map(|index| index < first).collect()
    }

    fn some_failure_of_topic(&mut self) -> Outcome {
        match self.random.within(0, 3) {
            0 => failed(ErrorReason::DestinationTimeout, 500),
            1 => failed(ErrorReason::ConnectionReset, 500),
            2 => failed(ErrorReason::DnsLookupFailure, 500),
            _ => failed(ErrorReason::DestinationFailure, 500),
        }
    }
}

/// The first events are delivered, the others get another outcome.
fn first_then(first: usize, events: usize, otherwise: &Outcome, after: Duration) -> BatchVerdict {
    let taken: Vec<bool> = (0..events).map(|index| index < first).collect();
    let outcome = |taken: &bool| if *taken { Outcome::Delivered } else { otherwise.clone() };
    BatchVerdict { outcomes: taken.iter().map(outcome).collect(), taken, after, again: None }
}
