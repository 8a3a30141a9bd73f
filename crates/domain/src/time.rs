//! Wall-clock instants: microseconds since the Unix epoch, written as RFC 3339 UTC with `Z` and six digits. And hours
//! of service, the unit of ages.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant. Stored times are by the wall clock, because they outlive the process; times measured while it runs are
/// by the steady clock ([`Now`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// Later than everything.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// An instant `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later, as after a step of the clock.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Parses RFC 3339 with any offset; fractions finer than a microsecond are truncated.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let instant: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp(instant.as_microsecond()))
    }
}

/// Hours of operation of the platform, over all its starts, when a record was written.
///
/// Deletion by age uses these hours (contract page 4, "Time"): downtime does not age anything, and neither does a step
/// of the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ServiceHour(pub u32);

impl ServiceHour {
    /// The hour `age` ago, rounded to the safe side: records from earlier hours are at least that old.
    pub fn ago(self, age: Duration) -> ServiceHour {
        ServiceHour(self.0.saturating_sub(u32::try_from(age.as_secs().div_ceil(3600)).unwrap_or(u32::MAX)))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// For third-party libraries.
impl From<Timestamp> for std::time::SystemTime {
    fn from(at: Timestamp) -> Self {
        let since = Duration::from_micros(at.0.unsigned_abs());
        let at = if at.0 < 0 { Self::UNIX_EPOCH.checked_sub(since) } else { Self::UNIX_EPOCH.checked_add(since) };
        at.unwrap_or(Self::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant:.6}"),
            Err(_) => write!(f, "{} µs since 1970", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The current time by two clocks: a steady one that only moves forward, for durations, and the wall clock, for people
/// and storage. At the start of the process both are equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// By the steady clock.
    pub steady: Timestamp,
    /// By the wall clock.
    pub wall: Timestamp,
}

impl Now {
    /// The wall clock's time at `steady`, at its current offset. The epoch, which stands for no time, is kept.
    pub fn on_the_wall(self, steady: Timestamp) -> Timestamp {
        if steady == Timestamp::EPOCH || steady == Timestamp::MAX {
            return steady;
        }
        Timestamp(steady.0.saturating_add(self.wall.0.saturating_sub(self.steady.0)))
    }
}

/// A wall clock that was never set.
impl From<Timestamp> for Now {
    fn from(now: Timestamp) -> Now {
        Now { steady: now, wall: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_with_six_digits_and_z() {
        let instant = Timestamp::parse("2026-11-02T09:00:00.7+01:00").unwrap();
        assert_eq!(instant.to_string(), "2026-11-02T08:00:00.700000Z");
    }

    #[test]
    fn an_age_in_hours_of_service_is_never_cut_short() {
        let now = ServiceHour(100);
        assert_eq!(now.ago(Duration::ZERO), ServiceHour(100));
        assert_eq!(now.ago(Duration::from_secs(1)), ServiceHour(99));
        assert_eq!(now.ago(Duration::from_secs(24 * 3600)), ServiceHour(76));
        assert_eq!(now.ago(Duration::MAX), ServiceHour(0));
    }

    #[test]
    fn stored_times_follow_the_current_wall_clock() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let now = Now { steady: at(1_000), wall: at(5_000) };
        assert_eq!(now.on_the_wall(at(1_300)), at(5_300));
        assert_eq!(now.on_the_wall(Timestamp::EPOCH), Timestamp::EPOCH);
        assert_eq!(Now::from(at(7)).on_the_wall(at(9)), at(9));
    }

    #[test]
    fn a_step_back_of_the_clock_is_no_time_at_all() {
        let later = Timestamp::from_micros(5);
        assert_eq!(Timestamp::EPOCH.since(later), Duration::ZERO);
    }
}
