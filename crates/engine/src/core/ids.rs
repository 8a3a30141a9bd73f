//! Ids of lanes, attempts and reads.

use delivery::Ticket;
use domain::Timestamp;

/// A slot and the number of its lane: slots are reused, numbers are not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LaneId {
    pub(super) slot: usize,
    pub(super) number: u64,
}

/// Id of a lane's attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttemptId {
    pub(super) lane: LaneId,
    pub(super) ticket: Ticket,
    pub(super) number: u32,
    pub(super) started: Timestamp,
    pub(super) host: u64,
    /// Whether it is part of a replay: it counts nowhere.
    pub(super) of_replay: bool,
}

impl AttemptId {
    /// Number of the attempt at its events, from 1; only if events are traced.
    pub fn number(self) -> u32 {
        self.number
    }
}

/// Id of a read for a lane, or for a count of dropped events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadId(pub(super) ReadFor);

impl ReadId {
    /// Id of a read for a count of dropped events.
    pub(crate) fn of_a_drop(number: u64) -> ReadId {
        ReadId(ReadFor::Drop(number))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ReadFor {
    Lane(LaneId),
    Drop(u64),
}
