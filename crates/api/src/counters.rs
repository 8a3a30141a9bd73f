//! Counters of the API, for metrics.

use meter::{Counter, Counters as ByName, Names};

use crate::requests::Requests;

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: Counter,
    duplicates: Counter,
    unknown_types: Counter,
    unfitting_payloads: Counter,
    refused: ByName<RefusedBecause>,
    /// Requests by path and result.
    pub requests: Requests,
}

/// A snapshot of the counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Events in accepted requests.
    pub accepted: u64,
    /// Duplicates among them.
    pub duplicates: u64,
    /// Events of unknown type among them.
    pub unknown_types: u64,
    /// Events whose payload does not match the schema of their type.
    pub unfitting_payloads: u64,
    /// Rejected requests with events.
    pub refused_ingests: u64,
}

/// Reason of a rejected request with events, by status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RefusedBecause {
    /// 400, 408: not JSON, or incomplete.
    Malformed,
    /// 401: wrong or missing key or signature.
    Unauthorized,
    /// 404: unknown source.
    UnknownSource,
    /// 413.
    TooLarge,
    /// 415.
    MediaType,
    /// 422: an invalid event.
    Invalid,
    /// 429: no space for more events.
    BacklogFull,
    /// 5xx: an error of the platform.
    Unavailable,
    /// Any other status.
    Other,
}

impl RefusedBecause {
    fn of(status: u16) -> RefusedBecause {
        match status {
            400 | 408 => RefusedBecause::Malformed,
            401 => RefusedBecause::Unauthorized,
            404 => RefusedBecause::UnknownSource,
            413 => RefusedBecause::TooLarge,
            415 => RefusedBecause::MediaType,
            422 => RefusedBecause::Invalid,
            429 => RefusedBecause::BacklogFull,
            500.. => RefusedBecause::Unavailable,
            _ => RefusedBecause::Other,
        }
    }
}

impl Names for RefusedBecause {
    const ALL: &'static [RefusedBecause] = &[
        RefusedBecause::Malformed,
        RefusedBecause::Unauthorized,
        RefusedBecause::UnknownSource,
        RefusedBecause::TooLarge,
        RefusedBecause::MediaType,
        RefusedBecause::Invalid,
        RefusedBecause::BacklogFull,
        RefusedBecause::Unavailable,
        RefusedBecause::Other,
    ];

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            RefusedBecause::Malformed => "malformed",
            RefusedBecause::Unauthorized => "unauthorized",
            RefusedBecause::UnknownSource => "unknown_source",
            RefusedBecause::TooLarge => "too_large",
            RefusedBecause::MediaType => "media_type",
            RefusedBecause::Invalid => "invalid",
            RefusedBecause::BacklogFull => "backlog_full",
            RefusedBecause::Unavailable => "unavailable",
            RefusedBecause::Other => "other",
        }
    }
}

impl Counters {
    /// A snapshot of the counts.
    pub fn counts(&self) -> Counts {
        Counts {
            accepted: self.accepted.get(),
            duplicates: self.duplicates.get(),
            unknown_types: self.unknown_types.get(),
            unfitting_payloads: self.unfitting_payloads.get(),
            refused_ingests: self.refused().map(|(_, count)| count).sum(),
        }
    }

    /// Rejected requests with events, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.refused.all()
    }

    pub(crate) fn accepted(&self, events: usize, duplicates: usize, unknown_types: usize) {
        self.accepted.add(events as u64);
        if duplicates > 0 {
            self.duplicates.add(duplicates as u64);
        }
        if unknown_types > 0 {
            self.unknown_types.add(unknown_types as u64);
        }
    }

    pub(crate) fn unfitting_payload(&self) {
        self.unfitting_payloads.one();
    }

    pub(crate) fn refused_ingest(&self, status: u16) {
        self.refused.of(RefusedBecause::of(status)).one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place() {
        for (index, reason) in RefusedBecause::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
    }
}
