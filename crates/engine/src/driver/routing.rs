//! Routing of events from the tail, or from the log if the tail doesn't reach back far enough, with changes applied
//! before later events.

use std::sync::Arc;

use domain::{LoggedEvent, Position, Timestamp};
use store::{Chunk, ReadLimit, StoreError};

use super::{Driver, Request, STORE_AGAIN, Seen};
use crate::core;

/// Events routed before the driver checks for other inputs.
const ROUTE_AT_ONCE: usize = 256;

/// Maximum bytes of missed events per read.
const READ_AT_ONCE: usize = 4 * 1024 * 1024;

/// Progress of the router with the next events.
#[derive(Debug, Default)]
pub(super) enum Routing {
    /// There are none; the tail is checked on each input.
    #[default]
    Idle,
    /// Events from the tail, waiting until the changes that apply to them are known.
    Waiting(Seen),
    /// The tail doesn't reach back to them: they are being read.
    Reading,
    /// They could not be read.
    Failed { again_at: Timestamp },
}

impl Routing {
    pub(super) fn again_at(&self) -> Option<Timestamp> {
        match self {
            Routing::Failed { again_at } => Some(*again_at),
            Routing::Idle | Routing::Waiting(_) | Routing::Reading => None,
        }
    }
}

impl Driver {
    /// Checks for news, first in the tail, then in the catalogue: changes that apply to events in the tail were
    /// announced before them.
    pub(super) fn look(&mut self) {
        if self.routing.again_at().is_some_and(|at| at <= self.clock.steady) {
            self.routing = Routing::Idle;
        }
        match self.routing {
            Routing::Idle => {
                self.requests.push_back(Request::Look { from: self.core.routed(), max: ROUTE_AT_ONCE });
            }
            // Changes are still handled meanwhile.
            Routing::Reading | Routing::Failed { .. } => self.requests.push_back(Request::Version),
            Routing::Waiting(_) => {}
        }
    }

    pub(super) fn seen(&mut self, seen: Seen) {
        self.routing = Routing::Waiting(seen);
        self.requests.push_back(Request::Version);
    }

    /// All changes announced when the tail was viewed are known: its events may continue.
    pub(super) fn go_on(&mut self) {
        if !matches!(self.routing, Routing::Waiting(_)) {
            return;
        }
        let Routing::Waiting(seen) = std::mem::take(&mut self.routing) else { return };
        let Some(events) = seen.events else {
            let limit = ReadLimit { events: ROUTE_AT_ONCE, bytes: READ_AT_ONCE, until: seen.head };
            self.routing = Routing::Reading;
            return self.requests.push_back(Request::Missed { from: self.core.routed(), limit });
        };
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return };
        self.meters.routing_lag.observe(self.clock.wall.since(first.accepted_at));
        self.more = events.len() == ROUTE_AT_ONCE;
        let next = last.position.next();
        self.route(events, next);
    }

    pub(super) fn missed(&mut self, result: Result<Chunk, StoreError>) {
        match result {
            Ok(Chunk { events, next }) => {
                self.routing = Routing::Idle;
                self.route(events, next);
            }
            Err(error) => {
                let position = self.core.routed().0;
                tracing::error!(%error, position, "cannot read the event log; retrying");
                self.routing = Routing::Failed { again_at: self.clock.steady + STORE_AGAIN };
            }
        }
    }

    fn route(&mut self, events: Vec<Arc<LoggedEvent>>, next: Position) {
        self.tell(core::Input::Events { events, next });
        if self.follows {
            let (routed, since) = (self.core.take_routed(), self.clock.wall);
            self.requests.push_back(Request::Follow { routed, since });
        }
    }
}
