//! Where events go out: a sink per destination type, and the address guard that every connection passes.

use std::sync::Arc;

use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{LoggedEvent, SubscriptionId};
use futures_util::future::BoxFuture;

/// One event to send for one subscription.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// For whom, and where to.
    pub subscription: Arc<Subscription>,
    /// What.
    pub event: Arc<LoggedEvent>,
}

/// Sends events to destinations. An attempt always ends, within a time that the sink bounds, with a typed outcome.
pub trait Sink: Send + Sync + 'static {
    /// Makes one attempt. Nothing happens before the future is polled; dropping it gives the attempt up.
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Outcome>;

    /// The subscription is gone, suspended or has another configuration: closes what is kept for it. Attempts in
    /// flight end in their own time.
    fn forget(&self, id: SubscriptionId);
}
