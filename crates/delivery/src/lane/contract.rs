//! What a lane is told, and what it asks for.

use std::sync::Arc;

use domain::destination::Manner;
use domain::outcome::{Outcome, SuspensionReason};
use domain::{LoggedEvent, Position};

use super::Silence;

/// Names an attempt, so that a late or repeated answer changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// What a lane is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A matching event was routed. Only for a live lane ([`Lane::is_live`]).
    Offered(Arc<LoggedEvent>),
    /// The answer to [`Output::Read`], whole.
    Read {
        /// The matching events, in order.
        events: Vec<Arc<LoggedEvent>>,
        /// All matching events before it are among them or were before them.
        next: Position,
        /// Whether the router stands there too: from now on the lane is offered what comes.
        caught_up: bool,
    },
    /// The log could not be read.
    ReadFailed,
    /// The answer to [`Output::Load`]: those found, and those that the log no longer has.
    Loaded {
        /// Found.
        events: Vec<Arc<LoggedEvent>>,
        /// Not there.
        gone: Vec<Position>,
    },
    /// The bodies could not be read.
    LoadFailed(Vec<Position>),
    /// An attempt ended, with the outcomes of its events in their order. Where one is silence: whose that is.
    Outcomes(Ticket, Vec<Outcome>, Silence),
    /// Somebody else has answered: a lane in trouble need not wait any longer to try again.
    TryNow,
    /// The subscription was changed. `new_destination`: what was learnt about the old one does not count any more.
    Configured {
        /// What the lane needs to know of it.
        options: LaneOptions,
        /// Whether the events go elsewhere from now on.
        new_destination: bool,
    },
    /// The subscription is suspended and its events are kept: nothing is sent until [`Input::Released`].
    Held,
    /// The subscription was resumed with its events kept: a clean window and a fresh rate.
    Released,
    /// The subscription is suspended for good as far as this lane goes, revoked or deleted: nothing is sent any more.
    Stopped,
    /// What the stopped lane did not deliver has been counted: it may be forgotten.
    Dropped,
    /// The lane may make one attempt now. Only where it wants one ([`Lane::wants_turn`]).
    Turn,
    /// Events before it have left the log (retention).
    Expired(Position),
    /// Nothing happened but time.
    Timeout,
}

/// What a lane asks for.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send these events in one attempt; answer with [`Input::Outcomes`].
    Send {
        /// Names the attempt.
        ticket: Ticket,
        /// The events: one where the manner is [`Manner::OneByOne`], else at least one, in order.
        events: Vec<Arc<LoggedEvent>>,
    },
    /// Read matching events from `from` on; answer with [`Input::Read`] or [`Input::ReadFailed`].
    Read {
        /// Where to begin.
        from: Position,
        /// At most so many.
        events: usize,
        /// At most so many bytes, but one event at least.
        bytes: usize,
    },
    /// Load these events; answer with [`Input::Loaded`] or [`Input::LoadFailed`].
    Load(Vec<Position>),
    /// Suspend the subscription. The lane sends nothing any more, whatever becomes of it.
    Suspend(SuspensionReason),
}

/// What a lane needs to know of its subscription.
#[derive(Clone, Copy, Debug, Default)]
pub struct LaneOptions {
    /// How its destination takes events.
    pub manner: Manner,
    /// Events of one entity one after another: the function that names the entity of an event (0 = none). `None` = any order.
    pub entity_of: Option<fn(&LoggedEvent) -> u64>,
    /// Wait as long as a 429's `Retry-After` asks.
    pub respect_retry_after: bool,
    /// Each attempt of [`Manner::OneByOne`] needs a turn ([`Input::Turn`]), since others send to the same host.
    pub by_turns: bool,
    /// A number for where the events go, the same in every run of the platform: what was learnt about one destination says nothing about
    /// another.
    pub destination: u64,
}
