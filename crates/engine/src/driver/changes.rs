//! Changes of the catalogue: announced and known versions, and reading the changes in between.

use domain::Timestamp;
use domain::subscription::Subscription;
use store::{StoreError, TenureError};

use super::{Driver, Request, STORE_AGAIN};
use crate::core;

/// Progress of the driver with the catalogue.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The newest announced version.
    announced: u64,
    state: State,
    /// Time to report the applied version again; none once that has succeeded.
    apply_again_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Reading {
        /// Whether the previous read failed.
        again: bool,
    },
    Failed {
        again_at: Timestamp,
    },
}

impl Changes {
    pub(super) fn apply_again_at(&self) -> Option<Timestamp> {
        self.apply_again_at
    }

    pub(super) fn again_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Failed { again_at } => Some(again_at),
            State::Idle | State::Reading { .. } => None,
        }
    }
}

impl Driver {
    pub(super) fn announced(&mut self, version: u64) {
        self.changes.announced = version.max(self.changes.announced);
        if matches!(self.changes.state, State::Idle) {
            self.take_changes();
        }
    }

    /// Reads announced changes; if there are none, events may continue.
    fn take_changes(&mut self) {
        let known = self.core.version();
        if known >= self.changes.announced {
            return self.go_on();
        }
        self.changes.state = State::Reading { again: false };
        self.requests.push_back(Request::Changes { since: known });
    }

    pub(super) fn read_changes_again(&mut self) {
        if self.changes.again_at().is_some_and(|at| at <= self.clock.steady) {
            self.changes.state = State::Reading { again: true };
            self.requests.push_back(Request::Changes { since: self.core.version() });
        }
    }

    pub(super) fn changed(&mut self, result: Result<(u64, Vec<Subscription>), StoreError>) {
        let State::Reading { again } = std::mem::take(&mut self.changes.state) else { return };
        // A lane started by a change would send again.
        if self.stops() {
            return;
        }
        match result {
            Ok((version, subscriptions)) => {
                self.tell(core::Input::Changed { version, subscriptions });
                self.requests.push_back(Request::InEffect { version });
                self.take_changes();
            }
            // Taken up anew, the shard goes on without the subscription that cannot be read.
            Err(StoreError::Corrupt(error)) => {
                tracing::error!(error, "a changed subscription cannot be read; taking the shard up without it");
                self.give_up();
            }
            Err(error) => {
                if !again {
                    tracing::error!(
                        %error,
                        "cannot read subscriptions; nothing new is delivered until they are readable"
                    );
                }
                self.changes.state = State::Failed { again_at: self.clock.steady + STORE_AGAIN };
            }
        }
    }

    pub(super) fn applied(&mut self, result: Result<(), TenureError>) {
        match result {
            Ok(()) => {}
            Err(TenureError::Store(error)) => {
                tracing::warn!(%error, "others cannot be told which changes are in effect; it will be tried again");
                self.changes.apply_again_at = Some(self.clock.steady + STORE_AGAIN);
            }
            Err(TenureError::Fenced) => self.fenced(),
        }
    }

    pub(super) fn apply_again(&mut self) {
        if self.changes.apply_again_at.is_some_and(|at| at <= self.clock.steady) {
            self.changes.apply_again_at = None;
            self.requests.push_back(Request::InEffect { version: self.core.version() });
        }
    }
}
