//! Inputs and outputs of a lane.

use std::sync::Arc;

use domain::destination::Manner;
use domain::outcome::{Outcome, SuspensionReason};
use domain::{LoggedEvent, Position};

use super::Silence;
use crate::replay;
use crate::window::Counts;

/// Identifies an attempt, so that late or repeated results have no effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// Input of a lane.
#[derive(Clone, Debug)]
pub enum Input {
    /// A matching event was routed. Only for a live lane ([`Lane::is_live`]).
    Offered(Arc<LoggedEvent>),
    /// The complete response to [`Output::Read`].
    Read {
        /// The matching events, in order.
        events: Vec<Arc<LoggedEvent>>,
        /// All matching events before it are among `events` or were before them.
        next: Position,
        /// Whether the router stands there too: from now on the lane is offered new events.
        caught_up: bool,
    },
    /// The log could not be read.
    ReadFailed,
    /// The response to [`Output::Load`]: events found, and events no longer in the log.
    Loaded {
        /// Found.
        events: Vec<Arc<LoggedEvent>>,
        /// Not found.
        gone: Vec<Position>,
    },
    /// The bodies could not be read.
    LoadFailed(Vec<Position>),
    /// The result of an attempt: the outcomes of its events in order, and the cause of a silence among them.
    Outcomes(Ticket, Vec<Outcome>, Silence),
    /// Another lane got a response: a lane in trouble may retry at once.
    TryNow,
    /// The subscription changed. `new_destination` discards what was learnt about the old one.
    Configured {
        /// The new options.
        options: LaneOptions,
        /// Whether the destination changed.
        new_destination: bool,
    },
    /// The subscription is suspended and holds its events: nothing is sent until [`Input::Released`].
    Held,
    /// The subscription resumed with its events held: starts with an empty window and the initial rate.
    Released,
    /// The subscription was suspended without hold, revoked or deleted: nothing more is sent.
    Stopped,
    /// The undelivered events of the stopped lane have been counted and may be forgotten.
    Dropped,
    /// Permits one attempt now. Only if the lane wants one ([`Lane::wants_turn`]).
    Turn,
    /// Events before it have left the log (retention).
    Expired(Position),
    /// An input of the replay.
    Replay(replay::Input),
    /// Only time has passed.
    Timeout,
}

/// Output of a lane.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send these events in one attempt; respond with [`Input::Outcomes`].
    Send {
        /// Identifies the attempt.
        ticket: Ticket,
        /// The events: one under [`Manner::OneByOne`], otherwise at least one, in order.
        events: Vec<Arc<LoggedEvent>>,
    },
    /// Read matching events from `from` on; respond with [`Input::Read`] or [`Input::ReadFailed`].
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
    /// Warn the owner: the success rate is low, but no reason for a suspension.
    Warn(Counts),
    /// Suspend the subscription. The lane sends nothing more, whatever the result.
    Suspend(SuspensionReason),
    /// An output of the replay.
    Replay(replay::Output),
}

/// A lane's view of its subscription.
#[derive(Clone, Copy, Debug, Default)]
pub struct LaneOptions {
    /// How the destination accepts events.
    pub manner: Manner,
    /// Sends the events of one entity one after another: the function identifies an event's entity (0 = none). `None` =
    /// any order.
    pub entity_of: Option<fn(&LoggedEvent) -> u64>,
    /// Wait as long as a 429's `Retry-After` demands.
    pub respect_retry_after: bool,
    /// Each attempt of [`Manner::OneByOne`] needs a turn ([`Input::Turn`]), because other lanes send to the same host.
    pub by_turns: bool,
    /// A number for the destination, stable across runs of the platform: knowledge about one destination does not apply
    /// to another.
    pub destination: u64,
}
