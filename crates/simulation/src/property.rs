//! Properties that must hold in every world, by name, and their violations.

use std::fmt;

/// A property of delivery.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Property {
    /// Every accepted, matched event ends in exactly one terminal state per subscription.
    EveryEventEnds,
    /// An event that was acknowledged to its producer is in the log.
    AcknowledgedIsKept,
    /// An event that a producer repeats is in the log once.
    AcceptedOnce,
    /// What a restart finds in the store covers every event that is not settled.
    NothingIsForgotten,
    /// An event is sent again only where a crash, a timeout or an answer explains it.
    DuplicatesAreExplained,
    /// A crash repeats only what was sent since the last save.
    DuplicatesAreBounded,
    /// Dropped events are counted in a dropped-backlog entry.
    DropsAreTold,
    /// Every failure is reported to the owner.
    FailuresAreReported,
    /// Nothing is sent after a suspension commits.
    SuspensionStops,
    /// The rate stays within the lowest and the highest.
    RateStaysWithin,
    /// Requests are spread: no bursts.
    RateIsSpread,
    /// `Retry-After` is respected where the subscription asks for it.
    RetryAfterIsRespected,
    /// Retries never fire early, and at most three times.
    RetriesAreNeverEarly,
    /// Retries fire when they are due.
    RetriesAreOnTime,
    /// The success rate equals the oracle's.
    SuccessRateIsTrue,
    /// Below 90 % of at least 20 outcomes, and at 404 and 3xx, suspends; nothing else does.
    SuspendsByTheRule,
    /// An owner is warned below 95 % of at least 20 outcomes, once an hour.
    WarnsByTheRule,
    /// A hanging destination doesn't change others' latency.
    OthersAreNotDisturbed,
    /// No second has more attempts of one PIM to one host than the rate allows.
    HostRateIsKept,
    /// An event never fails because of a wait on our side.
    WaitingIsNoFailure,
    /// A subscription gets the events of its PIM, types and filter, and no others.
    OnlyWhatMatches,
    /// No event crosses PIMs.
    PimsAreApart,
    /// Events of one entity are delivered one after another, also across retries.
    EntitiesStayInOrder,
    /// A topic has one batch under way at a time, within its bounds.
    OneBatchAtATime,
    /// A topic gets its events in order, and nothing overtakes what it did not take.
    TopicsStayInOrder,
    /// What a topic did not take is not sent again before its pause is over.
    PausesAreKept,
    /// New attempts go to the new destination.
    DestinationIsCurrent,
    /// Every status change by the platform has exactly one entry and one notification.
    SuspensionsAreToldOnce,
    /// `status` agrees with the world.
    StatusIsTrue,
    /// A lane's memory is bounded.
    MemoryIsBounded,
    /// Nothing kept lacks a fate.
    EveryFateIsKnown,
    /// No fate contradicts what receivers got, or what the world did.
    FatesAreTrue,
    /// Nothing that is needed is trimmed.
    NeededIsKept,
    /// Unneeded events are eventually trimmed.
    UnneededIsFreed,
    /// The loop rests when there is nothing to do.
    LoopRests,
    /// A replay sends what it has to, each event until it is settled, and its saves say so.
    ReplaysAreComplete,
    /// A replay ends by the rules, and sends nothing afterwards.
    ReplaysEnd,
    /// A replay leaves live events at least half of the pace.
    LiveComesFirst,
    /// A shard has one owner at a time: nobody else sends, saves or suspends for it.
    OneOwner,
    /// In the end every shard has an owner, and nodes have equal shares.
    EveryShardIsOwned,
    /// Nothing is sent as before a change once that was answered.
    ChangesAreInEffect,
    /// A notification is sent once, and again only if its owner ended before that was recorded.
    NoticesAreSentOnce,
    /// A capacity is found, used, and followed.
    CapacityIsFound,
}

/// A violated property, with details.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The property.
    pub property: Property,
    /// Observed and expected values.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.property, self.detail)
    }
}

/// Result of a check.
pub type Check<T = ()> = Result<T, Violation>;

/// Asserts a property.
pub fn hold(property: Property, holds: bool, detail: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Violation { property, detail: detail() }) }
}
