//! A subscription: which events of a PIM go to which destination, and how.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::destination::Destination;
use crate::event_type::EventType;
use crate::filter::Filter;
use crate::id::{ClientId, PimId, Position, SubscriberId, SubscriptionId};
use crate::outcome::SuspensionReason;
use crate::subscriber::Owner;
use crate::time::Timestamp;

/// A subscription.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id, `subject` of what is delivered for it.
    pub id: SubscriptionId,
    /// Whose it is.
    pub subscriber_id: SubscriberId,
    /// The PIM whose events it gets.
    pub pim: PimId,
    /// The client whose subscriber it belongs to.
    pub client_id: ClientId,
    /// Which of them.
    pub selection: Selection,
    /// Selections that still hold for older events: `(up to but without, selection)`, oldest first. A lane that lags
    /// behind judges each event by the selection that was in force when the event was accepted.
    pub past_selections: Vec<(Position, Selection)>,
    /// Where they go.
    pub destination: Destination,
    /// Whether `data.product.identifier` is delivered.
    pub send_product_identifier: bool,
    /// What may be switched on for it.
    pub options: Options,
    /// Its life.
    pub status: SubscriptionStatus,
    /// The head of the log when [`Subscription::status`] took effect.
    pub status_since: Position,
    /// Counts suspensions, resumes and the like; what a lane of an older generation reports changes nothing.
    pub generation: u32,
    /// Counts the changes; a change names the revision that it was made from.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Subscription {
    /// Whether its events wait while it is suspended, and are delivered after the resume.
    pub fn holds(&self) -> bool {
        match self.status {
            SubscriptionStatus::Suspended(SuspensionReason::PimWithdrawn) => true,
            SubscriptionStatus::Suspended(_) => self.options.hold,
            SubscriptionStatus::Active | SubscriptionStatus::Revoked | SubscriptionStatus::Deleted => false,
        }
    }

    /// The client that may see and touch it.
    pub fn owner(&self) -> Owner {
        Owner { pim: self.pim, client_id: self.client_id.clone() }
    }

    /// The selection in force for the event at `position`.
    pub fn selection_at(&self, position: Position) -> &Selection {
        self.past_selections
            .iter()
            .find(|(until, _)| position < *until)
            .map_or(&self.selection, |(_, selection)| selection)
    }
}

/// What a client asks for when it makes a subscription, checked.
#[derive(Clone, PartialEq, Debug)]
pub struct NewSubscription {
    /// [`Subscription::selection`].
    pub selection: Selection,
    /// [`Subscription::destination`].
    pub destination: Destination,
    /// [`Subscription::send_product_identifier`].
    pub send_product_identifier: bool,
    /// [`Subscription::options`].
    pub options: Options,
}

/// Which events: their types, and a condition.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Selection {
    /// Event types, not empty, no duplicates, in the order given.
    pub events: Vec<EventType>,
    /// A further condition; none lets all pass.
    pub filter: Option<Filter>,
}

/// What a subscription may switch on; all is off by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Options {
    /// Keep the events of a suspension, within the platform's retention, and deliver them after the resume.
    #[serde(default)]
    pub hold: bool,
    /// In which order events may be delivered.
    #[serde(default)]
    pub ordering: Ordering,
    /// Wait as long as a 429's `Retry-After` asks.
    #[serde(default)]
    pub respect_retry_after: bool,
    /// Send `Content-Type: application/cloudevents+json` instead of `application/json` to an HTTPS endpoint.
    #[serde(default)]
    pub cloudevents_content_type: bool,
}

/// The order of deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    /// Any order; several in flight.
    #[default]
    None,
    /// Events of one entity one after another, also across retries.
    PerEntity,
}

/// The life of a subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// Events are delivered.
    Active,
    /// Nothing is delivered until it is resumed.
    Suspended(SuspensionReason),
    /// Its connection or app was removed from the PIM. Terminal.
    Revoked,
    /// Deleted by its owner. Terminal.
    Deleted,
}

impl SubscriptionStatus {
    /// Whether events are delivered.
    pub fn is_active(self) -> bool {
        self == SubscriptionStatus::Active
    }

    /// Whether it fills up the limit of subscriptions a subscriber may have.
    pub fn counts(self) -> bool {
        matches!(self, SubscriptionStatus::Active | SubscriptionStatus::Suspended(_))
    }
}

impl fmt::Display for SubscriptionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SubscriptionStatus::Active => "active",
            SubscriptionStatus::Suspended(_) => "suspended",
            SubscriptionStatus::Revoked => "revoked",
            SubscriptionStatus::Deleted => "deleted",
        })
    }
}
