//! Port of kept events: events stay readable after their delivery, within bounds of age and size, with what is needed
//! to tell what became of each of them.
//!
//! **A kept event costs its size once.** No row is written per delivery. The store records the exceptions: the
//! [`History`] of each subscription's statuses and selections, events given up, dropped backlogs, and events delivered
//! after a drop. Whatever matched, is before the cursor, and is none of these, was delivered.
//!
//! **Lanes come first.** An event that a lane needs is backlog, not kept. Kept events cost no acceptance: at a full
//! disk they are deleted first.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use domain::exception::Exception;
use domain::fate::{DroppedBacklog, GivenUp, OutcomeCounts};
use domain::subscriber::Owner;
use domain::subscription::{Selection, SubscriptionStatus};
use domain::{LoggedEvent, PimId, Position, SubscriptionId, Timestamp};

use crate::error::StoreError;
use crate::event_log::EventLog;

/// Bounds of the kept events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeepBounds {
    /// Hours of service after which an event is deleted; 0 keeps none.
    pub hours: u32,
    /// Bytes of all kept events, with the records about them. Beyond it the PIM with the most loses its oldest.
    pub bytes: u64,
}

impl KeepBounds {
    /// Contract page 8: 24 h of service, 1 GiB.
    pub const CONTRACT: KeepBounds = KeepBounds { hours: 24, bytes: 1 << 30 };
    /// Nothing is kept.
    pub const NONE: KeepBounds = KeepBounds { hours: 0, bytes: 0 };
}

/// State of a subscription from a position on.
#[derive(Clone, PartialEq, Debug)]
pub struct Era {
    /// First position.
    pub from: Position,
    /// Time of the change.
    pub since: Timestamp,
    /// Status.
    pub status: SubscriptionStatus,
    /// Whether events are held ([`domain::subscription::Subscription::holds`]).
    pub holds: bool,
    /// Selection.
    pub selection: Selection,
    /// Whether `data.product.identifier` is delivered.
    pub send_product_identifier: bool,
}

/// Statuses and selections of a subscription over the kept part of the log, by position. Nothing is known about events
/// before the first era, except that a subscription whose first era is its creation did not exist.
#[derive(Clone, PartialEq, Debug)]
pub struct History {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Eras, ascending; each ends at the next. Not empty.
    pub eras: Vec<Era>,
    /// Whether the first era begins with the subscription's creation; otherwise older eras were deleted.
    pub from_creation: bool,
}

impl History {
    /// Maximum number of eras. Older ones are deleted: their events count as no longer kept.
    pub const MAX_ERAS: usize = 1_000;

    /// The era of a position.
    pub fn at(&self, position: Position) -> Option<&Era> {
        let after = self.eras.partition_point(|era| era.from <= position);
        self.eras.get(after.checked_sub(1)?)
    }
}

/// Query for kept events of a PIM. Events that lanes still need are included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeptQuery {
    /// Event types; empty = all.
    pub types: Vec<String>,
    /// Uuid or code of the entity ([`Entity::key`](domain::entity::Entity::key)).
    pub entity: Option<String>,
    /// Event ids; empty = all.
    pub ids: Vec<String>,
    /// Identifier of the author ([`Event::author`](domain::Event::author)).
    pub author: Option<String>,
    /// Inclusive start of acceptance.
    pub since: Option<Timestamp>,
    /// Exclusive end of acceptance.
    pub until: Option<Timestamp>,
    /// Exclusive end of the positions: the last position of the previous page.
    pub before: Option<Position>,
    /// Maximum number of events.
    pub limit: usize,
}

impl KeptQuery {
    /// Whether the event matches, ignoring paging.
    pub fn asks_for(&self, logged: &LoggedEvent) -> bool {
        let LoggedEvent { event, accepted_at, .. } = logged;
        (self.types.is_empty() || self.types.iter().any(|wanted| wanted == event.event_type()))
            && (self.ids.is_empty() || self.ids.iter().any(|wanted| wanted == event.id()))
            && self.since.is_none_or(|since| since <= *accepted_at)
            && self.until.is_none_or(|until| *accepted_at < until)
            && self.author.as_ref().is_none_or(|wanted| event.author().is_some_and(|author| author == *wanted))
            && self.entity.as_ref().is_none_or(|wanted| event.entity().is_some_and(|entity| entity.key() == wanted))
    }
}

/// Events found, newest first.
#[derive(Clone, Debug, Default)]
pub struct KeptPage {
    /// The events. There may be fewer than requested although more follow: the work of one call is bounded.
    pub events: Vec<Arc<LoggedEvent>>,
    /// [`KeptQuery::before`] of the next page; `None` at the end.
    pub next: Option<Position>,
}

/// What the store knows about an event of a subscription, read at one moment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recorded {
    /// The lane's cursor, or the mark.
    pub cursor: Position,
    /// Its exception, if it waits.
    pub exception: Option<Exception>,
    /// The record of its last attempt, if it was given up.
    pub given_up: Option<GivenUp>,
    /// The latest drop that contains it.
    pub dropped: Option<DroppedBacklog>,
    /// Whether it was delivered after it had been dropped, by an attempt in flight at that time.
    pub delivered_late: bool,
}

/// An undelivered event of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Undelivered {
    /// Waits for a retry or for its turn after a 429.
    Waiting(Exception),
    /// Given up.
    GivenUp(GivenUp),
}

/// Kept events, and what became of them. Read by any process.
#[async_trait]
pub trait Kept: EventLog {
    /// The first position of which a PIM's events are complete up to the head; older ones are deleted or unknown.
    async fn kept_from(&self, pim: PimId) -> Result<Position, StoreError>;

    /// Acceptance time of a PIM's oldest kept event; `None` if there is none.
    async fn oldest_kept(&self, pim: PimId) -> Result<Option<Timestamp>, StoreError>;

    /// Events of a PIM that match the query, newest first.
    async fn find(&self, pim: PimId, query: &KeptQuery) -> Result<KeptPage, StoreError>;

    /// Positions containing all kept events accepted in this time span; possibly others, as the clock may be set.
    async fn positions(&self, pim: PimId, accepted: Range<Timestamp>) -> Result<Range<Position>, StoreError>;

    /// Histories of the owner's subscriptions that are neither deleted nor revoked.
    async fn histories(&self, owner: &Owner) -> Result<Vec<History>, StoreError>;

    /// What is recorded about an event of a subscription.
    async fn recorded(&self, subscription: SubscriptionId, position: Position) -> Result<Recorded, StoreError>;

    /// Waiting and given-up events of a subscription before a position, newest position first.
    async fn undelivered(
        &self,
        subscription: SubscriptionId,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Undelivered>, StoreError>;

    /// Given-up and dropped positions of a subscription within a range, ascending: `(given up, dropped backlogs)`.
    async fn exceptional(
        &self,
        subscription: SubscriptionId,
        positions: Range<Position>,
    ) -> Result<(Vec<Position>, Vec<DroppedBacklog>), StoreError>;

    /// Outcome counts of a subscription from a time on, ascending.
    async fn outcome_counts(
        &self,
        subscription: SubscriptionId,
        from: Timestamp,
    ) -> Result<Vec<OutcomeCounts>, StoreError>;

    /// Bytes of the kept events of all PIMs, with the records about them.
    fn kept_bytes(&self) -> u64;
}
