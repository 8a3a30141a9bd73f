//! Tracing of deliveries, implemented by `app` if traces are enabled. The store has the counterpart for appends.

use std::sync::Arc;

use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{LoggedEvent, Timestamp};
use sinks::TraceParents;

/// A routed event.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The event.
    pub event: Arc<LoggedEvent>,
    /// Number of matching subscriptions that keep up; others read it later.
    pub matched: u32,
    /// Number of subscriptions to its type whose filter excludes it.
    pub filtered_out: u32,
}

/// Traces events to their destinations.
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
    /// Trace context for the destination, one per event.
    fn parents(&self) -> TraceParents;

    /// The attempt ended, with one outcome per event.
    fn ended(self: Box<Self>, outcomes: &[Outcome]);
}
