//! The clock by which leases run out.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since the start of the machine, including sleep: it is never set.
pub fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}
