//! The clocks of a machine.

use std::time::Duration;

use domain::{Now, Timestamp};

/// Wall-clock time at the beginning of a world.
const START: i64 = 1_790_000_000_000_000;

/// The clocks of one machine. Each starts somewhere else.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// True time in microseconds since the beginning.
    time: u64,
    /// `CLOCK_BOOTTIME` at the beginning.
    booted: u64,
    /// The wall clock's lead, now and when the process started.
    offset: i64,
    offset_at_start: i64,
    /// How long the machine has slept, and by the start of the process.
    slept: u64,
    slept_by_start: u64,
}

impl Clock {
    /// True time.
    pub(super) fn at(time: u64) -> Timestamp {
        Timestamp::from_micros(START + time as i64)
    }

    pub(super) fn new(booted: u64, offset: i64) -> Clock {
        Clock { time: 0, booted, offset, offset_at_start: offset, slept: 0, slept_by_start: 0 }
    }

    pub(super) fn advance(&mut self, time: u64) {
        self.time = time.max(self.time);
    }

    pub(super) fn set(&mut self, by: i64) {
        self.offset += by;
    }

    pub(super) fn sleep(&mut self, for_: u64) {
        self.slept += for_;
    }

    /// A process starts.
    pub(super) fn start(&mut self) {
        (self.offset_at_start, self.slept_by_start) = (self.offset, self.slept);
    }

    /// `CLOCK_BOOTTIME`.
    pub(super) fn uptime(&self) -> Duration {
        Duration::from_micros(self.booted + self.time)
    }

    /// `CLOCK_MONOTONIC`, which stands still while the machine sleeps.
    pub(super) fn monotonic(&self) -> Duration {
        Duration::from_micros(self.booted + self.time - self.slept)
    }

    /// The wall clock, as a duration.
    pub(super) fn of_day(&self) -> Duration {
        Duration::from_micros((START + self.time as i64 + self.offset) as u64)
    }

    /// The clocks of the process.
    pub(super) fn now(&self) -> Now {
        let wall = Timestamp::from_micros(START + self.time as i64 + self.offset);
        let slept = (self.slept - self.slept_by_start) as i64;
        Now { steady: Timestamp::from_micros(START + self.time as i64 + self.offset_at_start - slept), wall }
    }
}
