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
    /// Id of the subscription, `subject` of its deliveries.
    pub id: SubscriptionId,
    /// The subscriber.
    pub subscriber_id: SubscriberId,
    /// The PIM whose events it receives.
    pub pim: PimId,
    /// The client that owns the subscriber.
    pub client_id: ClientId,
    /// The selected events.
    pub selection: Selection,
    /// Selections that still apply to older events: `(up to but excluding, selection)`, oldest first. A lagging lane
    /// applies the selection that was in force when the event was accepted.
    pub past_selections: Vec<(Position, Selection)>,
    /// Destination of the events.
    pub destination: Destination,
    /// Whether `data.product.identifier` is delivered.
    pub send_product_identifier: bool,
    /// Optional behaviour.
    pub options: Options,
    /// Lifecycle state.
    pub status: SubscriptionStatus,
    /// Head of the log when [`Subscription::status`] took effect, or when a suspension began or ceased to hold events.
    pub status_since: Position,
    /// Head of the log when its lane began: when it was created, resumed without held events, or began to hold them
    /// during a suspension. Nothing before it concerns the lane.
    #[serde(default)]
    pub lane_since: Position,
    /// Number of suspensions, resumes and the like; reports from a lane of an older generation are ignored.
    pub generation: u32,
    /// Revision, incremented with each change; a change names the revision it is based on.
    pub revision: u64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

impl Subscription {
    /// Whether its events are held during a suspension and delivered after the resume.
    pub fn holds(&self) -> bool {
        match self.status {
            SubscriptionStatus::Suspended(SuspensionReason::PimWithdrawn) => true,
            SubscriptionStatus::Suspended(_) => self.options.hold,
            SubscriptionStatus::Active | SubscriptionStatus::Revoked | SubscriptionStatus::Deleted => false,
        }
    }

    /// The client that owns it.
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

/// A validated request to create a subscription.
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

/// Selection of events: their types, and a condition.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Selection {
    /// Event types, not empty, no duplicates, in the order given.
    pub events: Vec<EventType>,
    /// An additional condition; none passes all events.
    pub filter: Option<Filter>,
}

/// Optional behaviour of a subscription, all off by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Options {
    /// Hold the events of a suspension, within the platform's retention, and deliver them after the resume.
    #[serde(default)]
    pub hold: bool,
    /// Order of deliveries.
    #[serde(default)]
    pub ordering: Ordering,
    /// Wait as long as a 429's `Retry-After` demands.
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
    /// The events of one entity one after another, also across retries.
    PerEntity,
}

/// Lifecycle states of a subscription.
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

    /// Whether it counts towards a subscriber's limit of subscriptions.
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
