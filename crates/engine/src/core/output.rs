//! Outputs of the core.

use std::sync::Arc;

use delivery::lane::Counts;
use domain::outcome::{Failure, SuspensionReason};
use domain::subscription::Subscription;
use domain::{LoggedEvent, PimId, Position, ReplayId, SubscriptionId};
use store::{ReadLimit, Save};

use super::ids::{AttemptId, ReadId};
use super::replay_read::ReplayRead;

/// An output of the core.
#[derive(Debug)]
pub enum Output {
    /// Send events in one attempt; reply with [`Reply::Outcomes`](super::Reply::Outcomes).
    Deliver {
        /// Id of the attempt.
        attempt: AttemptId,
        /// The subscription with the destination.
        subscription: Arc<Subscription>,
        /// The events.
        events: Vec<Arc<LoggedEvent>>,
        /// The replay that the attempt is part of, if any.
        replay: Option<ReplayId>,
    },
    /// Read for a replay; reply with [`Reply::ReplayRead`](super::Reply::ReplayRead).
    ReplayRead(Box<ReplayRead>),
    /// Read from the log; reply with [`Reply::Read`](super::Reply::Read).
    Read(Read),
    /// Read single events; reply with [`Reply::Loaded`](super::Reply::Loaded).
    Load {
        /// Id of the load.
        id: ReadId,
        /// PIM of the events.
        pim: PimId,
        /// Their positions.
        positions: Vec<Position>,
    },
    /// Save; reply with [`Input::Saved`](super::Input::Saved). There is one save at a time.
    Save {
        /// State to save, all or nothing.
        save: Save,
    },
    /// Suspend a subscription unless it has changed ([`crate::suspension`]). The resulting change arrives as
    /// [`Input::Changed`](super::Input::Changed).
    Suspend(Suspend),
    /// Warn the owner of a subscription that is failing, if it is still active ([`crate::warning`]).
    Warn(Warn),
    /// Close the resources of a subscription's destination.
    Forget {
        /// The subscription.
        subscription: SubscriptionId,
    },
}

/// A requested part of the log.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// Id of the read.
    pub id: ReadId,
    /// PIM of the events.
    pub pim: PimId,
    /// The first position.
    pub from: Position,
    /// End and size limits.
    pub limit: ReadLimit,
}

/// A requested suspension.
#[derive(Clone, Debug)]
pub struct Suspend {
    /// The subscription as it was judged.
    pub subscription: Arc<Subscription>,
    /// Reason of the suspension.
    pub reason: SuspensionReason,
    /// The last failure, shown to the owner.
    pub last: Option<Failure>,
}

/// A warning about a low success rate.
#[derive(Clone, Debug)]
pub struct Warn {
    /// The subscription as it was judged.
    pub subscription: Arc<Subscription>,
    /// Outcomes of the last hour.
    pub counts: Counts,
    /// The last failure, shown to the owner.
    pub last: Option<Failure>,
}
