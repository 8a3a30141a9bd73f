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
use domain::subscription::{Selection, Subscription, SubscriptionStatus};
use domain::{LoggedEvent, PimId, Position, ServiceHour, SubscriptionId, Timestamp};

use serde::{Deserialize, Serialize};

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

    /// Whether anything is kept.
    pub fn keep_any(self) -> bool {
        self.hours > 0 && self.bytes > 0
    }

    /// The first hour of service whose events are kept.
    pub fn oldest(self, now: ServiceHour) -> ServiceHour {
        ServiceHour(now.0.saturating_sub(self.hours))
    }
}

/// State of a subscription from a position on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Era {
    /// First position.
    pub from: Position,
    /// Time since which it has this status.
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

impl Era {
    /// The era that begins with a subscription's last change.
    pub fn of(subscription: &Subscription, from: Position) -> Era {
        Era {
            from,
            since: subscription.updated_at,
            status: subscription.status,
            holds: subscription.holds(),
            selection: subscription.selection.clone(),
            send_product_identifier: subscription.send_product_identifier,
        }
    }

    /// The same, after `last`.
    #[must_use]
    pub fn after(mut self, last: &Era) -> Era {
        if self.status == last.status {
            self.since = last.since;
        }
        self
    }

    /// Approximate size.
    pub fn size(&self) -> u64 {
        let filter = self.selection.filter.as_ref().map_or(0, |filter| filter.as_str().len());
        let types: usize = self.selection.events.iter().map(|of_type| of_type.as_str().len()).sum();
        ROW + (filter + types) as u64
    }
}

/// Approximate size of a row with its index entries.
const ROW: u64 = 100;

/// Sizes of records about events, which count as bytes of kept events.
pub mod size {
    use domain::fate::DroppedBacklog;

    use super::ROW;

    /// An event given up.
    pub const GIVEN_UP: u64 = ROW;
    /// An event delivered after it had been dropped.
    pub const DELIVERED_LATE: u64 = ROW;

    /// Keys of events, besides the keys themselves.
    pub const SEGMENT: u64 = ROW;

    /// A dropped backlog.
    pub fn dropped(backlog: &DroppedBacklog) -> u64 {
        ROW + 8 * (backlog.also.len() + backlog.except.len()) as u64
    }
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

    /// The history of a new subscription.
    pub fn begin(subscription: SubscriptionId, era: Era) -> History {
        History { subscription, eras: vec![era], from_creation: true }
    }

    /// Adds an era. It replaces one that begins at the same position, which never applied to an event.
    pub fn push(&mut self, era: Era) {
        let era = match self.eras.last() {
            Some(last) => era.after(last),
            None => era,
        };
        if self.eras.last().is_some_and(|last| last.from == era.from) {
            self.eras.pop();
        }
        self.eras.push(era);
        let over = self.eras.len().saturating_sub(History::MAX_ERAS);
        self.eras.drain(..over);
        self.from_creation &= over == 0;
    }

    /// Deletes eras that ended at this position or before.
    pub fn prune(&mut self, kept_from: Position) {
        let ended = self.eras.iter().skip(1).take_while(|next| next.from <= kept_from).count();
        self.eras.drain(..ended);
        self.from_creation &= ended == 0;
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

    /// History of a subscription, unless it is deleted.
    async fn history(&self, subscription: SubscriptionId) -> Result<Option<History>, StoreError>;

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
    /// Events delivered after their drop are not in the backlogs.
    async fn exceptional(
        &self,
        subscription: SubscriptionId,
        positions: Range<Position>,
    ) -> Result<(Vec<Position>, Vec<DroppedBacklog>), StoreError>;

    /// Outcome counts of an owner's subscriptions from a time on, together, ascending.
    async fn outcome_counts(
        &self,
        owner: &Owner,
        of: &[SubscriptionId],
        from: Timestamp,
    ) -> Result<Vec<OutcomeCounts>, StoreError>;

    /// Number of given-up events of each of an owner's subscriptions, in their order, counted up to `at_most`.
    async fn given_up(&self, owner: &Owner, of: &[SubscriptionId], at_most: u32) -> Result<Vec<u32>, StoreError>;

    /// Bytes of the kept events of all PIMs, with the records about them.
    async fn kept_bytes(&self) -> Result<u64, StoreError>;
}
