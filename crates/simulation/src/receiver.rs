//! Receivers: responses of an endpoint or a topic, by a schedule that changes over time.

mod topic;

use std::time::Duration;

use domain::outcome::{ErrorReason, Failure, Outcome};

use crate::random::Random;

pub use topic::BatchVerdict;

/// The contract's limit for a whole attempt (page 4).
pub const ATTEMPT: Duration = Duration::from_secs(5);

/// Behaviour of an endpoint; a topic has its own equivalent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Behaviour {
    /// Accepts everything, after this many milliseconds.
    Good(u64),
    /// This many of 1,000 requests fail, in various ways.
    Flaky(u64),
    /// Accepts requests and never replies.
    Hanging,
    /// Nothing arrives, and nothing comes back.
    Mute,
    /// Accepts this many requests per second, and replies 429 to the rest.
    Throttling(u64),
    /// Accepts everything, but replies too late to some and twice to others.
    Lying,
    /// Replies this to everything.
    Answering(u16),
    /// No connection.
    Away,
}

/// Fate of a request.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// Whether the endpoint's application received the event.
    pub taken: bool,
    /// Outcome of the attempt.
    pub outcome: Outcome,
    /// Delay from its arrival.
    pub after: Duration,
    /// A second outcome for the same attempt.
    pub again: Option<Outcome>,
}

/// One endpoint.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// `(from then on, behaviour)`, in microseconds of true time.
    pub schedule: Vec<(u64, Behaviour)>,
    random: Random,
    second: u64,
    taken_in_second: u64,
}

impl Receiver {
    /// An endpoint with its schedule and its own random numbers.
    pub fn new(schedule: Vec<(u64, Behaviour)>, random: Random) -> Receiver {
        Receiver { schedule, random, second: u64::MAX, taken_in_second: 0 }
    }

    /// Transit time of a request.
    pub fn way(&mut self) -> Duration {
        Duration::from_micros(self.random.within(500, 40_000))
    }

    /// Current behaviour.
    pub fn behaviour(&self, now: u64) -> Behaviour {
        let past = self.schedule.iter().rev().find(|(from, _)| *from <= now);
        past.map_or(Behaviour::Good(1), |(_, behaviour)| *behaviour)
    }

    /// A request arrives.
    pub fn arrive(&mut self, now: u64) -> Verdict {
        let quick = Duration::from_micros(self.random.within(200, 30_000));
        let timeout = failed(ErrorReason::DestinationTimeout, 500);
        let answer = |taken, outcome| Verdict { taken, outcome, after: quick, again: None };
        match self.behaviour(now) {
            Behaviour::Good(millis) => {
                let after = Duration::from_millis(millis) + quick;
                Verdict { taken: true, outcome: Outcome::Delivered, after, again: None }
            }
            Behaviour::Flaky(permille) if self.random.permille(permille) => {
                let outcome = self.some_failure();
                Verdict { taken: self.random.percent(20), outcome, after: quick, again: None }
            }
            Behaviour::Flaky(_) => answer(true, Outcome::Delivered),
            Behaviour::Hanging => {
                Verdict { taken: self.random.percent(50), outcome: timeout, after: ATTEMPT, again: None }
            }
            Behaviour::Mute => {
                let outcome = Outcome::Silent(failure(ErrorReason::DestinationTimeout, 500));
                Verdict { taken: false, outcome, after: ATTEMPT, again: None }
            }
            Behaviour::Throttling(capacity) => {
                if self.second != now / 1_000_000 {
                    (self.second, self.taken_in_second) = (now / 1_000_000, 0);
                }
                if self.taken_in_second < capacity {
                    self.taken_in_second += 1;
                    return answer(true, Outcome::Delivered);
                }
                let asked = self.random.within(1, 40);
                let retry_after = self.random.percent(50).then(|| Duration::from_secs(asked));
                answer(false, Outcome::Throttled { retry_after })
            }
            Behaviour::Lying => match self.random.within(0, 99) {
                0..3 => Verdict { taken: true, outcome: timeout, after: ATTEMPT, again: Some(Outcome::Delivered) },
                3..30 => Verdict { again: Some(self.some_failure()), ..answer(true, Outcome::Delivered) },
                30..33 => Verdict { again: Some(Outcome::Delivered), ..answer(true, self.some_failure()) },
                _ => answer(true, Outcome::Delivered),
            },
            Behaviour::Answering(status) => answer(false, by_status(status)),
            Behaviour::Away => answer(false, failed(ErrorReason::ConnectionRefused, 500)),
        }
    }

    fn some_failure(&mut self) -> Outcome {
        match self.random.within(0, 9) {
            0 => by_status(500),
            1 => by_status(503),
            2 => by_status(400),
            3 => by_status(408),
            4 => failed(ErrorReason::ServerGoaway, 500),
            5 => failed(ErrorReason::UnexpectedEof, 500),
            6 => failed(ErrorReason::ConnectionReset, 500),
            7 => failed(ErrorReason::DnsLookupFailure, 500),
            8 => by_status(422),
            _ => failed(ErrorReason::InvalidTlsHandshake, 500),
        }
    }
}

fn failure(reason: ErrorReason, code: u16) -> Failure {
    Failure { reason, code, message: format!("{reason} {code}"), answer: None }
}

fn failed(reason: ErrorReason, code: u16) -> Outcome {
    Outcome::Failed(failure(reason, code))
}

/// Contract page 4's table.
fn by_status(status: u16) -> Outcome {
    match status {
        200..=299 => Outcome::Delivered,
        429 => Outcome::Throttled { retry_after: None },
        404 => Outcome::Broken(failure(ErrorReason::DestinationNotFound, status)),
        300..=399 => Outcome::Broken(failure(ErrorReason::DestinationRedirected, status)),
        401 | 403 => Outcome::Refused(failure(ErrorReason::AuthenticationFailed, status)),
        408 | 425 | 500.. => failed(ErrorReason::DestinationFailure, status),
        _ => Outcome::Refused(failure(ErrorReason::DestinationFailure, status)),
    }
}
