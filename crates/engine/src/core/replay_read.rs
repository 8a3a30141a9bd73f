//! Reads of the log for replays.

use std::sync::Arc;

use domain::fate::DroppedBacklog;
use domain::subscriber::Owner;
use domain::{LoggedEvent, PimId, Position, ReplayId, SubscriptionId};
use store::{History, ReadLimit};

use super::ids::LaneId;

/// A part of the log requested for a replay.
#[derive(Clone, Debug)]
pub struct ReplayRead {
    pub(super) lane: LaneId,
    /// The replay.
    pub replay: ReplayId,
    /// PIM of the events.
    pub pim: PimId,
    /// Its subscription.
    pub subscription: SubscriptionId,
    /// Events to be read.
    pub wanted: Wanted,
    /// Owner whose histories are to be read as well.
    pub histories_of: Option<Owner>,
    /// Whether its exceptional events are to be read as well.
    pub exceptional: bool,
    /// Version of the catalogue known at the request.
    pub(super) version: u64,
    /// Number of events and bytes that the replay has room for.
    pub(super) room: (usize, usize),
}

/// Events requested for a replay.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Those of a range.
    Range {
        /// The first position.
        from: Position,
        /// End and size limits.
        limit: ReadLimit,
    },
    /// Single ones of its scope, in order.
    Listed(Vec<Position>),
    /// Those that wait for another attempt.
    Again(Vec<Position>),
}

/// The response to a [`ReplayRead`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ReplayChunk {
    /// Events found, in order.
    pub events: Vec<Arc<LoggedEvent>>,
    /// Next position of a range.
    pub next: Position,
    /// The histories, if requested.
    pub histories: Option<Vec<History>>,
    /// Events of the range that were given up.
    pub given_up: Vec<Position>,
    /// Backlogs dropped in the range.
    pub dropped: Vec<DroppedBacklog>,
    /// The PIM's events from there on are complete.
    pub kept_from: Position,
}
