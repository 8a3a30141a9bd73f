//! What the core asks for.

use std::sync::Arc;

use delivery::Ticket;
use domain::outcome::{Failure, SuspensionReason};
use domain::subscription::Subscription;
use domain::{LoggedEvent, PimId, Position, SubscriptionId, Timestamp};
use store::{ReadLimit, Save};

use super::lanes::LaneId;

/// What the core asks for.
#[derive(Debug)]
pub enum Output {
    /// Send events in one attempt; answer with [`Input::Outcomes`](super::Input::Outcomes).
    Deliver {
        /// Names the attempt.
        attempt: AttemptId,
        /// Where they go.
        subscription: Arc<Subscription>,
        /// The events.
        events: Vec<Arc<LoggedEvent>>,
    },
    /// Read from the log; answer with [`Input::Read`](super::Input::Read).
    Read(Read),
    /// Read single events; answer with [`Input::Loaded`](super::Input::Loaded).
    Load {
        /// Names the load.
        id: ReadId,
        /// Whose events.
        pim: PimId,
        /// Which.
        positions: Vec<Position>,
    },
    /// Save; answer with [`Input::Saved`](super::Input::Saved). There is one save at a time.
    Save {
        /// All of it, or nothing.
        save: Save,
    },
    /// Suspend a subscription, unless it has changed ([`crate::suspension`]); what comes of it arrives by
    /// [`Input::Changed`](super::Input::Changed).
    Suspend(Suspend),
    /// Close what is kept for a subscription's destination.
    Forget {
        /// Whose destination.
        subscription: SubscriptionId,
    },
}

/// A part of the log that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// Names the read.
    pub id: ReadId,
    /// Whose events.
    pub pim: PimId,
    /// The first position.
    pub from: Position,
    /// How far, and how much.
    pub limit: ReadLimit,
}

/// A suspension that is wanted.
#[derive(Clone, Debug)]
pub struct Suspend {
    /// The subscription as it was found wanting.
    pub subscription: Arc<Subscription>,
    /// Why.
    pub reason: SuspensionReason,
    /// What failed last, for the person who is told.
    pub last: Option<Failure>,
}

/// Names an attempt of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttemptId {
    pub(super) lane: LaneId,
    pub(super) ticket: Ticket,
    pub(super) number: u32,
    pub(super) started: Timestamp,
    pub(super) host: u64,
}

impl AttemptId {
    /// Which attempt at its events it is, from 1; only where the core was asked to follow events.
    pub fn number(self) -> u32 {
        self.number
    }
}

/// Names a read for a lane, or for a count of dropped events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadId(pub(super) ReadFor);

impl ReadId {
    /// That of a count of dropped events.
    pub(crate) fn of_a_drop(number: u64) -> ReadId {
        ReadId(ReadFor::Drop(number))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ReadFor {
    Lane(LaneId),
    Drop(u64),
}
