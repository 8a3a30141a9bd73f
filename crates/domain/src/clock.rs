//! Source of the current time.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Now, Timestamp};

/// Source of the current time, injected everywhere: one per process, another in tests.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// A clock that reads `now`.
    pub fn new(now: impl Fn() -> Now + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// The system's clocks. The steady one starts at the wall clock's reading and ignores its later steps.
    pub fn system() -> Clock {
        let (origin, begin) = (system_time(), Instant::now());
        Clock::new(move || Now { steady: origin + begin.elapsed(), wall: system_time() })
    }

    /// The current time by both clocks.
    pub fn now(&self) -> Now {
        (self.0)()
    }

    /// The current time by the wall clock: for stored or displayed times.
    pub fn wall(&self) -> Timestamp {
        self.now().wall
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's wall clock")]
fn system_time() -> Timestamp {
    let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_system_clocks_agree_at_the_start() {
        let now = Clock::system().now();
        assert!(now.wall.since(now.steady) < Duration::from_secs(60));
        assert!(now.steady.since(now.wall) < Duration::from_secs(60));
    }

    #[test]
    fn a_clock_reads_its_source() {
        let clock = Clock::new(|| Now { steady: Timestamp::from_micros(1), wall: Timestamp::from_micros(2) });
        assert_eq!((clock.now().steady, clock.wall()), (Timestamp::from_micros(1), Timestamp::from_micros(2)));
    }
}
