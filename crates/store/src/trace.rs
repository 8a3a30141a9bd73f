//! Who follows events into the log: `app` does, where traces are switched on. The engine has the counterpart for their way out.

use domain::pim::Pim;
use domain::trace_parent::TraceParent;
use domain::{Event, Timestamp};

use crate::event_log::Appended;

/// Events that are about to be appended together.
#[derive(Clone, Copy, Debug)]
pub struct Appending<'a> {
    /// Their PIM.
    pub pim: &'a Pim,
    /// How they came in: `events`, `events_api` or `reconciliation`.
    pub way: &'static str,
    /// When the request was there as a whole.
    pub since: Timestamp,
    /// The trace of the request that brought them.
    pub request: Option<TraceParent>,
    /// The events.
    pub events: &'a [Event],
}

/// Follows events into the log.
pub trait AppendTracer: Send + Sync + 'static {
    /// Takes note of events; `None` if nothing of them is recorded.
    fn appending(&self, appending: Appending<'_>) -> Option<Box<dyn AppendTrace>>;
}

/// Events that are being appended.
pub trait AppendTrace: Send {
    /// They are on stable storage, or were not taken.
    fn ended(self: Box<Self>, result: Result<Appended, String>);
}
