//! What is remembered of a PIM's bridge for its operator: `postrider pim check` reads it from another process.
//!
//! Kept in the store, at once after a quiet time and then at most every few seconds, so that it costs nothing under load.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// How the bridge of a PIM stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// Requests with a genuine signature, tests included.
    pub verified: u64,
    /// The latest of them.
    pub verified_at: Option<Timestamp>,
    /// The latest test by the button of the PIM's page.
    pub tested_at: Option<Timestamp>,
    /// Requests that were refused because of their signature.
    pub refused: u64,
    /// The latest of them.
    pub refused_at: Option<Timestamp>,
    /// Why that was refused.
    pub refusal: Option<String>,
    /// Events that were taken.
    pub events: u64,
    /// The latest request with some.
    pub events_at: Option<Timestamp>,
    /// Events of which nothing could be told.
    pub bad: u64,
    /// What was wrong with the latest of them.
    pub bad_why: Option<String>,
    /// Events with an action that is not known.
    pub unknown: u64,
    /// The latest such action.
    pub unknown_action: Option<String>,
    /// Events without a delta because their entity cannot be compared.
    pub uncompared: u64,
    /// Which entity the latest of them was about, and why.
    pub uncompared_why: Option<String>,
    /// Up to when reconciliation has seen everything, by kind of entity.
    pub reconciled: BTreeMap<String, Timestamp>,
    /// Events that the PIM failed to send and reconciliation made.
    pub filled: u64,
    /// The latest time that it made some.
    pub filled_at: Option<Timestamp>,
}

impl Note {
    /// Adds what came later.
    pub fn absorb(&mut self, later: Note) {
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

    /// As it is stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From what is stored; nothing, if that cannot be read.
    pub fn from_text(text: &str) -> Note {
        serde_json::from_str(text).unwrap_or_default()
    }
}
