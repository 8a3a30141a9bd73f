//! Storage with bad days: the in-memory backend, slow or failing by a schedule, and called without a runtime.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use store::StoreError;

use crate::random::Random;

/// Condition of the storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// Quick, never fails.
    Good,
    /// Up to three seconds per reply.
    Slow,
    /// This percentage of calls fails.
    Flaky(u64),
    /// Every call fails.
    Failing,
}

/// The bad days of a world's storage.
#[derive(Clone, Debug)]
pub struct Storage {
    /// `(from then on, health)`, in microseconds of true time.
    pub schedule: Vec<(u64, Health)>,
    random: Random,
}

impl Storage {
    /// Storage with its schedule and its own randomness.
    pub fn new(schedule: Vec<(u64, Health)>, random: Random) -> Storage {
        Storage { schedule, random }
    }

    fn health(&self, now: u64) -> Health {
        self.schedule.iter().rev().find(|(from, _)| *from <= now).map_or(Health::Good, |(_, health)| *health)
    }

    /// Whether a call fails.
    pub fn fails(&mut self, now: u64) -> bool {
        match self.health(now) {
            Health::Good | Health::Slow => false,
            Health::Flaky(percent) => self.random.percent(percent),
            Health::Failing => true,
        }
    }

    /// How long half a call takes.
    pub fn takes(&mut self, now: u64) -> Duration {
        Duration::from_micros(match self.health(now) {
            Health::Slow => self.random.within(1000, 1_500_000),
            Health::Good | Health::Flaky(_) | Health::Failing => self.random.within(50, 3000),
        })
    }
}

/// How a call fails.
pub fn unavailable() -> StoreError {
    StoreError::Unavailable("it has a bad day".to_owned())
}

/// The in-memory backend's answers are there at once.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the in-memory store answers at once"),
    }
}
