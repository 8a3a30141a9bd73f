//! A topic that accepts nothing: since when, how long it was tried, and when its owner is notified again.

use std::time::Duration;

use domain::Timestamp;

use crate::settings::Settings;

/// The owner is notified at the first failure, after this time, and then every [`REPORT_EVERY`].
const REPORT_SECOND: Duration = Duration::from_secs(10 * 60);

const REPORT_EVERY: Duration = Duration::from_secs(3600);

/// Failures since a topic last accepted a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unfed {
    /// Time of the first failure.
    pub(crate) since: Timestamp,
    /// Time spent trying: hours of service without trouble of the platform's own.
    pub(crate) tried_for: Duration,
    /// The same at the owner's latest notification.
    pub(crate) reported_at: Duration,
    /// Attempts since that notification.
    pub(crate) unreported: u32,
    /// Time of the previous failure, unless the time since then doesn't count.
    pub(crate) last_tried: Option<Timestamp>,
}

impl Unfed {
    /// The first failure, reported to the owner.
    pub(crate) fn new(now: Timestamp) -> Unfed {
        Unfed {
            since: now,
            tried_for: Duration::ZERO,
            reported_at: Duration::ZERO,
            unreported: 0,
            last_tried: Some(now),
        }
    }

    /// Records a further failed attempt. Returns the number of attempts to report to the owner now, if any.
    pub(crate) fn failed(&mut self, now: Timestamp, settings: &Settings) -> Option<u32> {
        // Without anything to try, no patience was needed.
        let since = self.last_tried.map_or(Duration::ZERO, |last| now.since(last)).min(3 * settings.longest_backoff);
        self.tried_for += since;
        self.last_tried = Some(now);
        self.unreported = self.unreported.saturating_add(1);
        let hours = u32::try_from(self.reported_at.as_secs() / REPORT_EVERY.as_secs()).unwrap_or(u32::MAX - 1);
        let next = if self.reported_at < REPORT_SECOND { REPORT_SECOND } else { REPORT_EVERY * (hours + 1) };
        if self.tried_for < next {
            return None;
        }
        self.reported_at = self.tried_for;
        Some(std::mem::take(&mut self.unreported))
    }

    /// The time until the next failure is attributed to the platform.
    pub(crate) fn interrupted(&mut self) {
        self.last_tried = None;
    }
}
