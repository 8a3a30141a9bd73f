//! Who follows events on their way out: `app` does, where traces are switched on. The store has the counterpart for their way in.

use std::sync::Arc;

use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{LoggedEvent, Timestamp};
use sinks::TraceParents;

/// An event that was routed.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The event.
    pub event: Arc<LoggedEvent>,
    /// Subscriptions that keep up and that it is for; others read it later.
    pub matched: u32,
    /// Subscriptions to its type whose filter let it not pass.
    pub filtered_out: u32,
}

/// Follows events to their destinations.
pub trait DeliveryTracer: Send + Sync + 'static {
    /// Events were routed together.
    fn routed(&self, events: &[Routed], since: Timestamp);

    /// An attempt begins, the `number`th as far as failures count; `None` if nothing of it is recorded.
    fn attempt(
        &self,
        subscription: &Arc<Subscription>,
        events: &[Arc<LoggedEvent>],
        number: u32,
    ) -> Option<Box<dyn AttemptTrace>>;
}

/// An attempt in flight.
pub trait AttemptTrace: Send {
    /// What the destination may be told of the trace, for each event.
    fn parents(&self) -> TraceParents;

    /// The attempt ended, with an outcome for each event.
    fn ended(self: Box<Self>, outcomes: &[Outcome]);
}
