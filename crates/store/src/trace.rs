//! Tracing of events into the log, implemented by `app` if traces are enabled. The engine has the counterpart for
//! deliveries.

use domain::pim::Pim;
use domain::trace_parent::TraceParent;
use domain::{Event, Timestamp};

use crate::event_log::Appended;

/// Events that are about to be appended together.
#[derive(Clone, Copy, Debug)]
pub struct Appending<'a> {
    /// Their PIM.
    pub pim: &'a Pim,
    /// Their origin: `events`, `events_api` or `reconciliation`.
    pub way: &'static str,
    /// Time at which the request was complete.
    pub since: Timestamp,
    /// Trace of the request.
    pub request: Option<TraceParent>,
    /// The events.
    pub events: &'a [Event],
}

/// Traces events into the log.
pub trait AppendTracer: Send + Sync + 'static {
    /// Starts the trace of events; `None` if none of them is recorded.
    fn appending(&self, appending: Appending<'_>) -> Option<Box<dyn AppendTrace>>;
}

/// Events that are being appended.
pub trait AppendTrace: Send {
    /// They are on stable storage, or were rejected.
    fn ended(self: Box<Self>, result: Result<Appended, String>);
}
