//! A topic that takes nothing: since when, for how long it was tried, and when its owner is told again.

use std::time::Duration;

use domain::Timestamp;

use crate::settings::Settings;

/// The owner is told at the first failure, after this long, and then every [`TELL_EVERY`].
const TELL_SECOND: Duration = Duration::from_secs(10 * 60);

const TELL_EVERY: Duration = Duration::from_secs(3600);

/// Failures since a topic last took a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unfed {
    /// The first of them.
    pub(crate) since: Timestamp,
    /// How long it has been tried: hours of service without trouble of the platform's own.
    pub(crate) tried_for: Duration,
    /// The same when its owner was last told.
    pub(crate) told_at: Duration,
    /// Attempts since then.
    pub(crate) untold: u32,
    /// The failure before, unless the time since then doesn't count.
    pub(crate) last_tried: Option<Timestamp>,
}

impl Unfed {
    /// The first failure, of which its owner is told.
    pub(crate) fn new(now: Timestamp) -> Unfed {
        Unfed { since: now, tried_for: Duration::ZERO, told_at: Duration::ZERO, untold: 0, last_tried: Some(now) }
    }

    /// A further attempt failed. Gives the number of attempts that the owner is to be told of now, if any.
    pub(crate) fn failed(&mut self, now: Timestamp, settings: &Settings) -> Option<u32> {
        // Where there was nothing to be tried, no patience was needed.
        let since = self.last_tried.map_or(Duration::ZERO, |last| now.since(last)).min(3 * settings.longest_backoff);
        self.tried_for += since;
        self.last_tried = Some(now);
        self.untold = self.untold.saturating_add(1);
        let hours = u32::try_from(self.told_at.as_secs() / TELL_EVERY.as_secs()).unwrap_or(u32::MAX - 1);
        let next = if self.told_at < TELL_SECOND { TELL_SECOND } else { TELL_EVERY * (hours + 1) };
        if self.tried_for < next {
            return None;
        }
        self.told_at = self.tried_for;
        Some(std::mem::take(&mut self.untold))
    }

    /// The time until the next failure is the platform's trouble.
    pub(crate) fn interrupted(&mut self) {
        self.last_tried = None;
    }
}
