//! Inputs and outputs of a replay.

use std::sync::Arc;

use domain::replay::{ReplayProgress, ReplayStatus};
use domain::{LoggedEvent, Position, ReplayId, Timestamp};

use crate::lane::Ticket;

/// A replay to be started, or continued after a restart.
#[derive(Clone, PartialEq, Debug)]
pub struct Begin {
    /// Its id.
    pub id: ReplayId,
    /// Exclusive end of its scope.
    pub end: Position,
    /// Maximum rate in events per second, below that of the lane.
    pub rate: Option<f64>,
    /// Progress so far.
    pub progress: ReplayProgress,
}

/// Number of events left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LeftOut {
    /// Not settled by the live lane.
    pub skipped: u64,
    /// Deleted or not visible.
    pub gone: u64,
}

/// A part of a replay's scope.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// Events to be sent, in order, each with the number left out since the one before.
    pub events: Vec<(LeftOut, Arc<LoggedEvent>)>,
    /// Number left out after the last event.
    pub rest: LeftOut,
    /// The scope before it is in this part or preceded it.
    pub next: Position,
    /// Acceptance time of the last event seen, sent or not.
    pub at: Option<Timestamp>,
}

/// Input of a replay.
#[derive(Clone, Debug)]
pub enum Input {
    /// Start or continue. Only if the lane has no replay ([`crate::Lane::replay`]).
    Begin(Begin),
    /// It was cancelled, or ended with its subscription: nothing more is sent.
    Ended,
    /// The platform stops: nothing more is sent in this run.
    Paused,
    /// The response to [`Output::Read`].
    Read(Part),
    /// The scope could not be read.
    ReadFailed,
    /// The response to [`Output::Load`].
    Loaded {
        /// Found.
        events: Vec<Arc<LoggedEvent>>,
        /// Deleted, or not visible any more.
        gone: Vec<Position>,
        /// Excluded by the current selection or filter.
        excluded: Vec<Position>,
    },
    /// The bodies could not be read.
    LoadFailed(Vec<Position>),
}

/// Output of a replay.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send these events in one attempt, marked with the replay's id; respond with [`crate::Input::Outcomes`].
    Send {
        /// Identifies the attempt.
        ticket: Ticket,
        /// The replay.
        id: ReplayId,
        /// The events.
        events: Vec<Arc<LoggedEvent>>,
    },
    /// Read the scope from `from` on; respond with [`Input::Read`] or [`Input::ReadFailed`].
    Read {
        /// Start of the read.
        from: Position,
        /// Maximum number of events.
        events: usize,
        /// Maximum number of bytes, but at least one event.
        bytes: usize,
    },
    /// Load these events; respond with [`Input::Loaded`] or [`Input::LoadFailed`].
    Load(Vec<Position>),
}

/// State of a replay to be saved.
#[derive(Clone, PartialEq, Debug)]
pub struct State {
    /// The replay.
    pub id: ReplayId,
    /// Its progress.
    pub progress: ReplayProgress,
    /// Its end, with the reason unless it is done.
    pub end: Option<(ReplayStatus, Option<String>)>,
}
