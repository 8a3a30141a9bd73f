//! Learning of replays: read after each change of the catalogue, and all running ones at the start.

use domain::Timestamp;
use domain::replay::Replay;
use store::StoreError;

use super::{Driver, Request, STORE_AGAIN};
use crate::core;

/// Progress of the driver with the list of replays.
#[derive(Debug)]
pub(super) struct Replays {
    /// Replays started or ended up to this version are known.
    known: Option<u64>,
    /// Version of the catalogue when the read in flight was requested.
    reading: Option<u64>,
    /// Time of the next try after a failed read.
    again_at: Option<Timestamp>,
}

impl Replays {
    /// All running replays are being read, at this version of the catalogue.
    pub(super) fn new(version: u64) -> Replays {
        Replays { known: None, reading: Some(version), again_at: None }
    }

    pub(super) fn again_at(&self) -> Option<Timestamp> {
        self.again_at
    }
}

impl Driver {
    /// Reads what has changed, once the subscriptions of this version are known.
    pub(super) fn read_replays(&mut self) {
        let version = self.core.version();
        let replays = &mut self.replays;
        let due = replays.again_at.is_none_or(|at| at <= self.clock.steady);
        if replays.reading.is_none() && due && replays.known.is_none_or(|known| known < version) {
            (replays.reading, replays.again_at) = (Some(version), None);
            self.requests.push_back(Request::Replays { since: replays.known });
        }
    }

    pub(super) fn replays(&mut self, result: Result<Vec<Replay>, StoreError>) {
        let Some(version) = self.replays.reading.take() else { return };
        // A replay started now would send.
        if self.stops() {
            return;
        }
        match result {
            Ok(replays) => {
                self.replays.known = Some(version);
                self.tell(core::Input::Replays { replays });
                self.read_replays();
            }
            Err(error) => {
                tracing::error!(%error, "cannot read replays; retrying");
                self.replays.again_at = Some(self.clock.steady + STORE_AGAIN);
            }
        }
    }
}
