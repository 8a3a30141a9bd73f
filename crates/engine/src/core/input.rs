//! Inputs of the core.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::Outcome;
use domain::replay::Replay;
use domain::subscription::Subscription;
use domain::{LoggedEvent, PimId, Position};
use store::{Chunk, StoreError};

use super::ids::{AttemptId, ReadId};
use super::replay_read::{ReplayChunk, ReplayRead};

/// An input of the core.
#[derive(Debug)]
pub enum Input {
    /// Subscriptions changed. Must precede events accepted after the change.
    Changed {
        /// Version of the catalogue that the core applies from now on.
        version: u64,
        /// Subscriptions that differ from the previous version.
        subscriptions: Vec<Subscription>,
    },
    /// Replays were started or ended.
    Replays {
        /// All of them, in the store's form.
        replays: Vec<Replay>,
    },
    /// New events in the log.
    Events {
        /// All events from [`Core::routed`](super::Core::routed) up to `next`, exclusive.
        events: Vec<Arc<LoggedEvent>>,
        /// Position of the next events.
        next: Position,
    },
    /// Something requested has happened.
    Reply(Reply),
    /// A host answered, destination or not: see [`Core::listens`](super::Core::listens).
    Heard {
        /// Time since the answer.
        ago: Duration,
    },
    /// The save in flight ended.
    Saved {
        /// Its result.
        result: Result<(), StoreError>,
    },
    /// Events are about to be deleted from the log because of their age.
    Expired {
        /// Exclusive end.
        before: Position,
    },
    /// The log is nearly full, and events must be dropped.
    MakeRoom {
        /// PIM of the events.
        pim: PimId,
        /// Exclusive end.
        before: Position,
    },
    /// The platform stops: send nothing any more.
    Stop,
    /// A timer is due.
    Timeout,
}

/// A reply to an output of the core, passed on to it by the driver.
#[derive(Debug)]
pub enum Reply {
    /// An attempt ended. Responsibility for a silence ([`Outcome::Silent`]) is decided here.
    Outcomes {
        /// The attempt.
        attempt: AttemptId,
        /// One outcome per event.
        outcomes: Vec<Outcome>,
    },
    /// A read ended.
    Read {
        /// The read.
        id: ReadId,
        /// Its result.
        chunk: Result<Chunk, StoreError>,
    },
    /// A load ended.
    Loaded {
        /// The load.
        id: ReadId,
        /// Requested positions.
        positions: Vec<Position>,
        /// Events found at them.
        events: Result<Vec<Arc<LoggedEvent>>, StoreError>,
    },
    /// A read for a replay ended.
    ReplayRead {
        /// The read.
        read: Box<ReplayRead>,
        /// Its result.
        result: Result<Box<ReplayChunk>, StoreError>,
    },
}

impl From<Reply> for Input {
    fn from(reply: Reply) -> Input {
        Input::Reply(reply)
    }
}
