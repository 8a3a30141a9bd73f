//! What the API asks the engines, whichever node they run on.

use async_trait::async_trait;
use domain::attempt::PastAttempts;
use domain::backlog;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::subscription::Subscription;
use domain::traffic::{Traffic, Trouble};
use domain::{PimId, Position, SubscriptionId};

/// No answer from the node that delivers for a PIM; perhaps there is none at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the node that delivers for this PIM does not answer")]
pub struct Unanswered;

/// Something of the whole platform, as far as its nodes answered.
#[derive(Clone, PartialEq, Debug)]
pub struct Gathered<T> {
    /// What was gathered.
    pub all: T,
    /// Shards whose owner did not answer, in their order.
    pub missing: Vec<u8>,
}

impl<T> Gathered<T> {
    /// What was gathered, if all were heard.
    pub fn complete(self) -> Result<T, Unanswered> {
        if self.missing.is_empty() { Ok(self.all) } else { Err(Unanswered) }
    }
}

/// Delivery status, provided by the engine.
#[async_trait]
pub trait LaneStatuses: Send + Sync + 'static {
    /// Status of a subscription's lane; `None` if no lane runs for it.
    async fn status(&self, subscription: &Subscription) -> Result<Option<LaneStatus>, Unanswered>;

    /// Statuses of several lanes of a PIM at one moment, in their order. Of lanes that are behind, the backlog is a
    /// lower bound: no event is read to count it.
    async fn statuses(&self, pim: PimId, of: Vec<SubscriptionId>) -> Result<Vec<Option<LaneStatus>>, Unanswered>;
}

/// What the engines know about single events and attempts.
#[async_trait]
pub trait Deliveries: Send + Sync + 'static {
    /// Whereabouts of an event that a subscription gets; `None` if no lane runs for it.
    async fn whereabouts(
        &self,
        subscription: &Subscription,
        position: Position,
    ) -> Result<Option<Whereabouts>, Unanswered>;

    /// Outcomes of a PIM's subscriptions that are not saved yet, together.
    async fn outcome_counts(&self, pim: PimId, of: Vec<SubscriptionId>) -> Result<Vec<OutcomeCounts>, Unanswered>;

    /// The backlogs of subscriptions over the last 24 hours, together.
    async fn backlog(&self, of: backlog::Of) -> Gathered<Vec<backlog::Step>>;

    /// The remembered attempts of a subscription.
    async fn attempts(&self, subscription: &Subscription) -> Result<PastAttempts, Unanswered>;

    /// What came in and went out for a PIM since its engine's start.
    async fn traffic_of(&self, pim: PimId) -> Result<Traffic, Unanswered>;

    /// The same for the platform.
    async fn traffic(&self) -> Gathered<Traffic>;

    /// At most this many active subscriptions that are behind or failing, the worst first.
    async fn troubled(&self, at_most: usize) -> Gathered<Vec<Trouble>>;
}
