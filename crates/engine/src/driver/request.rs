//! What the driver asks for.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::Lack;
use domain::subscription::Subscription;
use domain::{LoggedEvent, PimId, Position, SubscriptionId, Timestamp};
use store::{ReadLimit, Save};

use crate::core::{AttemptId, Floors, Read, ReadId, Suspend};
use crate::trace::Routed;

/// What the driver asks for. Answers come in any order; those to the first three come at once, before anything else.
#[derive(Debug)]
pub enum Request {
    /// Look at the tail for the router: [`Input::Seen`](super::Input::Seen).
    Look {
        /// The first position.
        from: Position,
        /// At most so many events.
        max: usize,
    },
    /// Look which version of the catalogue is announced: [`Input::Announced`](super::Input::Announced).
    Version,
    /// Look when anybody was last heard: [`Input::Heard`](super::Input::Heard), if anybody ever was.
    Listen,
    /// Read what changed: [`Input::Changed`](super::Input::Changed).
    Changes {
        /// The version that is known.
        since: u64,
    },
    /// The core works by this version: whoever waits for it may go on. [`Input::Applied`](super::Input::Applied).
    InEffect {
        /// The version.
        version: u64,
    },
    /// Read events that are no longer in the tail, of all PIMs: [`Input::Missed`](super::Input::Missed).
    Missed {
        /// The first position.
        from: Position,
        /// How far, and how much.
        limit: ReadLimit,
    },
    /// Look at the tail for a lane: [`Input::SeenFor`](super::Input::SeenFor).
    LookFor {
        /// What the lane wants.
        read: Read,
    },
    /// Read from the log for a lane: [`Input::Read`](super::Input::Read).
    Read {
        /// What the lane wants.
        read: Read,
    },
    /// Read single events: [`Input::Loaded`](super::Input::Loaded).
    Load {
        /// Names the load.
        id: ReadId,
        /// Whose events.
        pim: PimId,
        /// Which.
        positions: Vec<Position>,
    },
    /// Send events in one attempt: [`Input::Outcomes`](super::Input::Outcomes).
    Deliver {
        /// Names the attempt.
        attempt: AttemptId,
        /// Where they go.
        subscription: Arc<Subscription>,
        /// The events.
        events: Vec<Arc<LoggedEvent>>,
    },
    /// Save progress: [`Input::Saved`](super::Input::Saved). There is one save at a time.
    Save {
        /// All of it, or nothing.
        save: Save,
    },
    /// Suspend a subscription: [`Input::Suspended`](super::Input::Suspended).
    Suspend {
        /// Names the try.
        number: u64,
        /// Which subscription, and why.
        wanted: Suspend,
    },
    /// Delete what no lane needs, and look what is too old or too much: [`Input::Trimmed`](super::Input::Trimmed).
    Trim {
        /// What is still needed.
        floors: Floors,
        /// Events are kept for so long.
        retention: Duration,
    },
    /// Close what is kept for a subscription's destination.
    Forget {
        /// Whose destination.
        subscription: SubscriptionId,
    },
    /// Tell who follows events what became of these.
    Follow {
        /// The events.
        routed: Vec<Routed>,
        /// When the router began, by the wall clock.
        since: Timestamp,
    },
    /// Show what the platform lacks, in the order of the contract.
    Show {
        /// All that it lacks.
        lacks: Vec<Lack>,
    },
}
