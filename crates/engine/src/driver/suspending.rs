//! Suspensions and warnings requested by lanes. A lane that requests its suspension has stopped sending meanwhile.

use store::ChangeError;

use super::commits::Follows;
use super::{Driver, Request, STORE_AGAIN};
use crate::core::{Suspend, Warn};

impl Driver {
    pub(super) fn suspended(&mut self, number: u64, result: Result<bool, ChangeError>) {
        match self.suspensions.tried(number, result, self.clock.steady + STORE_AGAIN) {
            Follows::Over(Suspend { subscription, reason, .. }, true) => {
                let destination = &subscription.destination;
                tracing::warn!(subscription.id = %subscription.id, %destination, %reason, "subscription suspended");
            }
            Follows::AtOnce(number, wanted) => self.requests.push_back(Request::Suspend { number, wanted }),
            Follows::Later(Suspend { subscription, .. }, error) => {
                tracing::error!(subscription.id = %subscription.id, %error, "cannot record a suspension; retrying");
            }
            Follows::Fenced => self.fenced(),
            Follows::Over(_, false) | Follows::Nothing => {}
        }
    }

    pub(super) fn warned(&mut self, number: u64, result: Result<bool, ChangeError>) {
        match self.warnings.tried(number, result, self.clock.steady + STORE_AGAIN) {
            Follows::AtOnce(number, wanted) => self.requests.push_back(Request::Warn { number, wanted }),
            Follows::Later(Warn { subscription, .. }, error) => {
                tracing::error!(subscription.id = %subscription.id, %error, "cannot record a warning; retrying");
            }
            Follows::Fenced => self.fenced(),
            Follows::Over(..) | Follows::Nothing => {}
        }
    }
}
