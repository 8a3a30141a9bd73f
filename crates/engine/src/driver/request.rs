//! Requests of the driver.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::Lack;
use domain::subscription::Subscription;
use domain::{LoggedEvent, PimId, Position, ReplayId, SubscriptionId, Timestamp};
use store::{ReadLimit, Save};

use crate::core::{AttemptId, Floors, Read, ReadId, ReplayRead, Suspend, Warn};
use crate::trace::Routed;

/// A request of the driver. Replies may come in any order; those to the first three come at once, before anything else.
#[derive(Debug)]
pub enum Request {
    /// Look at the tail for the router: [`Input::Seen`](super::Input::Seen).
    Look {
        /// The first position.
        from: Position,
        /// Maximum number of events.
        max: usize,
    },
    /// Look up the announced version of the catalogue: [`Input::Announced`](super::Input::Announced).
    Version,
    /// Look up the last sign of life: [`Input::Heard`](super::Input::Heard), if there was any.
    Listen,
    /// Read changes: [`Input::Changed`](super::Input::Changed).
    Changes {
        /// The known version.
        since: u64,
    },
    /// Read replays: [`Input::Replays`](super::Input::Replays).
    Replays {
        /// Those started or ended since this version; all running ones for `None`.
        since: Option<u64>,
    },
    /// Read for a replay ([`crate::work::read_for_replay`]): [`Input::ReplayRead`](super::Input::ReplayRead).
    ReplayRead {
        /// The read.
        read: Box<ReplayRead>,
    },
    /// Report the applied version to waiting callers: [`Input::Applied`](super::Input::Applied).
    InEffect {
        /// The version.
        version: u64,
    },
    /// Read events that are no longer in the tail, of all PIMs: [`Input::Missed`](super::Input::Missed).
    Missed {
        /// The first position.
        from: Position,
        /// End and size limits.
        limit: ReadLimit,
    },
    /// Look at the tail for a lane: [`Input::SeenFor`](super::Input::SeenFor).
    LookFor {
        /// The lane's read.
        read: Read,
    },
    /// Read from the log for a lane: [`Reply::Read`](crate::core::Reply::Read).
    Read {
        /// The lane's read.
        read: Read,
    },
    /// Read single events: [`Reply::Loaded`](crate::core::Reply::Loaded).
    Load {
        /// Id of the load.
        id: ReadId,
        /// PIM of the events.
        pim: PimId,
        /// Their positions.
        positions: Vec<Position>,
    },
    /// Send events in one attempt: [`Reply::Outcomes`](crate::core::Reply::Outcomes).
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
    /// Save progress: [`Input::Saved`](super::Input::Saved). There is one save at a time.
    Save {
        /// State to save, all or nothing.
        save: Save,
    },
    /// Suspend a subscription: [`Input::Suspended`](super::Input::Suspended).
    Suspend {
        /// Number of the suspension.
        number: u64,
        /// The subscription, and the reason.
        wanted: Suspend,
    },
    /// Warn an owner: [`Input::Warned`](super::Input::Warned).
    Warn {
        /// Number of the warning.
        number: u64,
        /// The subscription, and its outcomes.
        wanted: Warn,
    },
    /// Delete events that no lane needs, and find those that are too old or too many:
    /// [`Input::Trimmed`](super::Input::Trimmed).
    Trim {
        /// Events still needed.
        floors: Floors,
        /// Retention of events.
        retention: Duration,
    },
    /// Close the resources of a subscription's destination.
    Forget {
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// Report the results of routing to the tracer.
    Follow {
        /// The events.
        routed: Vec<Routed>,
        /// Start of the routing, by the wall clock.
        since: Timestamp,
    },
    /// Show the platform's lacks, in the order of the contract.
    Show {
        /// All lacks.
        lacks: Vec<Lack>,
    },
}
