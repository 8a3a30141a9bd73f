//! Trimming: events that no lane needs are deleted periodically, and lanes drop events that are too old or too many.

use std::time::Duration;

use domain::Timestamp;
use store::{Shard, Spread, TenureError};

use super::{Driver, Request, Trimmed};
use crate::core;

/// Time of the next trim, and whether one is in flight.
#[derive(Debug)]
pub(super) struct Trimming {
    due: Timestamp,
    under_way: bool,
}

impl Trimming {
    /// A node may take over all shards at once: they take turns, so that the saves of none wait for trims of others.
    pub(super) fn new(now: Timestamp, every: Duration, shard: Shard) -> Trimming {
        let turn = every * u32::from(shard.number()) / u32::from(Spread::CLUSTER.count());
        Trimming { due: now + turn, under_way: false }
    }

    pub(super) fn due(&self) -> Timestamp {
        self.due
    }
}

impl Driver {
    pub(super) fn trim_if_due(&mut self) {
        if self.trimming.due > self.clock.steady {
            return;
        }
        self.trimming.due = self.clock.steady + self.settings.trim_every;
        if !std::mem::replace(&mut self.trimming.under_way, true) {
            let (floors, retention) = (self.core.floors(), self.settings.retention);
            self.requests.push_back(Request::Trim { floors, retention });
        }
    }

    pub(super) fn trimmed(&mut self, result: Result<Trimmed, TenureError>) {
        self.trimming.under_way = false;
        let Trimmed { expired, pressed } = match result {
            Ok(trimmed) => trimmed,
            // Nothing was found; the next trim tries again.
            Err(TenureError::Store(_)) => return,
            Err(TenureError::Fenced) => return self.fenced(),
        };
        if let Some(before) = expired {
            self.tell(core::Input::Expired { before });
        }
        if let Some((pim, before)) = pressed {
            self.tell(core::Input::MakeRoom { pim, before });
        }
    }
}
