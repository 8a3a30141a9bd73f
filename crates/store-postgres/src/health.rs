//! Whether the database is reached and can be written, from what every statement shows: no probe of its own.

use std::time::Duration;

use domain::outcome::Lack;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::failure::Failure;

/// A failure that nothing has followed for this time is over: the next write shows.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// What the latest statements showed.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failed: Mutex<Option<(Instant, Lack)>>,
    /// When a read last succeeded.
    read: Mutex<Option<Instant>>,
}

impl Health {
    /// A statement failed.
    pub(crate) fn failed(&self, failure: &Failure) {
        *self.failed.lock() = Some((Instant::now(), failure.lack()));
    }

    /// A write succeeded.
    pub(crate) fn wrote(&self) {
        let mut failed = self.failed.lock();
        // The renewal of a lease fits where an event does not.
        if failed.as_ref().is_none_or(|(at, lack)| *lack != Lack::Disk || at.elapsed() > FORGOTTEN) {
            *failed = None;
        }
    }

    /// A read succeeded.
    pub(crate) fn read(&self) {
        *self.read.lock() = Some(Instant::now());
    }

    /// Whether reads succeed.
    pub(crate) fn reads(&self, within: Duration) -> bool {
        self.read.lock().is_some_and(|at| at.elapsed() < within)
    }

    /// Events were written.
    pub(crate) fn appended(&self) {
        *self.failed.lock() = None;
    }

    /// The missing resource, if any.
    pub(crate) fn lack(&self) -> Option<Lack> {
        self.failed.lock().as_ref().map(|(_, lack)| *lack)
    }
}
