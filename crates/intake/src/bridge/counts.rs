//! Counters since the start, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Requests with a genuine signature.
    pub verified: u64,
    /// Requests rejected because of their signature.
    pub refused: u64,
    /// Valid events.
    pub events: u64,
    /// Duplicates among them.
    pub duplicates: u64,
    /// Deltas.
    pub deltas: u64,
    /// Unrecognisable events.
    pub bad: u64,
    /// Events with an unknown action.
    pub unknown: u64,
    /// Events without a delta because their entity cannot be compared.
    pub uncompared: u64,
    /// Events without a delta because it would exceed the limit of an event.
    pub too_large: u64,
    /// Events that the PIM failed to send and reconciliation created, without deltas.
    pub filled: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) verified: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) deltas: AtomicU64,
    pub(super) bad: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) uncompared: AtomicU64,
    pub(super) too_large: AtomicU64,
    pub(super) filled: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            verified: read(&self.verified),
            refused: read(&self.refused),
            events: read(&self.events),
            duplicates: read(&self.duplicates),
            deltas: read(&self.deltas),
            bad: read(&self.bad),
            unknown: read(&self.unknown),
            uncompared: read(&self.uncompared),
            too_large: read(&self.too_large),
            filled: read(&self.filled),
        }
    }
}

pub(super) fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}
