//! What the API counts, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    duplicates: AtomicU64,
    unknown_types: AtomicU64,
    unfitting_payloads: AtomicU64,
    refused_ingests: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Events in accepted requests.
    pub accepted: u64,
    /// Those among them that were known already.
    pub duplicates: u64,
    /// Those among them whose type is not known.
    pub unknown_types: u64,
    /// Events whose payload does not fit the schema of their type.
    pub unfitting_payloads: u64,
    /// Requests with events that were refused.
    pub refused_ingests: u64,
}

impl Counters {
    /// The counts now.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            accepted: read(&self.accepted),
            duplicates: read(&self.duplicates),
            unknown_types: read(&self.unknown_types),
            unfitting_payloads: read(&self.unfitting_payloads),
            refused_ingests: read(&self.refused_ingests),
        }
    }

    pub(crate) fn accepted(&self, events: usize, duplicates: usize, unknown_types: usize) {
        self.accepted.fetch_add(events as u64, Ordering::Relaxed);
        if duplicates > 0 {
            self.duplicates.fetch_add(duplicates as u64, Ordering::Relaxed);
        }
        if unknown_types > 0 {
            self.unknown_types.fetch_add(unknown_types as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn unfitting_payload(&self) {
        self.unfitting_payloads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused_ingest(&self) {
        self.refused_ingests.fetch_add(1, Ordering::Relaxed);
    }
}
