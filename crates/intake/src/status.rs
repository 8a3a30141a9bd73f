//! Records about a PIM's bridge for its operator, read by `postrider pim check` from another process.
//!
//! Stored immediately after a quiet period and then at most every few seconds, so that it costs nothing under load.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// Status of a PIM's bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgeStatus {
    /// Requests with a genuine signature, including tests.
    pub verified: u64,
    /// Time of the latest one.
    pub verified_at: Option<Timestamp>,
    /// Time of the latest test by the button on the PIM's page.
    pub tested_at: Option<Timestamp>,
    /// Requests rejected because of their signature.
    pub refused: u64,
    /// Time of the latest one.
    pub refused_at: Option<Timestamp>,
    /// Reason of its rejection.
    pub refusal: Option<String>,
    /// Accepted events.
    pub events: u64,
    /// Time of the latest request with events.
    pub events_at: Option<Timestamp>,
    /// Unrecognisable events.
    pub bad: u64,
    /// Error in the latest one.
    pub bad_why: Option<String>,
    /// Events with an unknown action.
    pub unknown: u64,
    /// The latest such action.
    pub unknown_action: Option<String>,
    /// Events without a delta because their entity cannot be compared.
    pub uncompared: u64,
    /// Entity and reason of the latest one.
    pub uncompared_why: Option<String>,
    /// Progress of reconciliation, by kind of entity.
    pub reconciled: BTreeMap<String, Timestamp>,
    /// Events that the PIM failed to send and reconciliation created.
    pub filled: u64,
    /// Time of the latest ones.
    pub filled_at: Option<Timestamp>,
}

impl BridgeStatus {
    /// Adds later records.
    pub fn absorb(&mut self, later: BridgeStatus) {
        self.verified += later.verified;
        self.verified_at = later.verified_at.or(self.verified_at);
        self.tested_at = later.tested_at.or(self.tested_at);
        self.refused += later.refused;
        self.refused_at = later.refused_at.or(self.refused_at);
        self.refusal = later.refusal.or(self.refusal.take());
        self.events += later.events;
        self.events_at = later.events_at.or(self.events_at);
        self.bad += later.bad;
        self.bad_why = later.bad_why.or(self.bad_why.take());
        self.unknown += later.unknown;
        self.unknown_action = later.unknown_action.or(self.unknown_action.take());
        self.uncompared += later.uncompared;
        self.uncompared_why = later.uncompared_why.or(self.uncompared_why.take());
        self.reconciled.extend(later.reconciled);
        self.filled += later.filled;
        self.filled_at = later.filled_at.or(self.filled_at);
    }

    /// Serialises the note.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses a stored note; an empty note if unreadable.
    pub fn from_text(text: &str) -> BridgeStatus {
        serde_json::from_str(text).unwrap_or_default()
    }
}
