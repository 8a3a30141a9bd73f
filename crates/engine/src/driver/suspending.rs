//! Suspensions requested by lanes, retried until they succeed or there is nothing to suspend any more. The lane has
//! stopped sending meanwhile.

use domain::Timestamp;
use store::ChangeError;

use super::{Driver, Request, STORE_AGAIN};
use crate::core::Suspend;

/// Pending suspensions.
#[derive(Debug, Default)]
pub(super) struct Suspensions {
    pending: Vec<Pending>,
    next_number: u64,
}

#[derive(Debug)]
struct Pending {
    number: u64,
    wanted: Suspend,
    /// Time of the next retry; none while in flight.
    again_at: Option<Timestamp>,
}

impl Pending {
    fn request(&self) -> Request {
        Request::Suspend { number: self.number, wanted: self.wanted.clone() }
    }
}

impl Suspensions {
    pub(super) fn begin(&mut self, wanted: Suspend) -> Request {
        self.next_number += 1;
        let pending = Pending { number: self.next_number, wanted, again_at: None };
        let request = pending.request();
        self.pending.push(pending);
        request
    }

    pub(super) fn again_at(&self) -> Option<Timestamp> {
        self.pending.iter().filter_map(|pending| pending.again_at).min()
    }

    /// Suspensions to be retried now.
    pub(super) fn again(&mut self, now: Timestamp) -> impl Iterator<Item = Request> {
        let due = self.pending.iter_mut().filter(move |pending| pending.again_at.is_some_and(|at| at <= now));
        due.map(|pending| {
            pending.again_at = None;
            pending.request()
        })
    }
}

impl Driver {
    pub(super) fn suspended(&mut self, number: u64, result: Result<bool, ChangeError>) {
        let pending = &mut self.suspensions.pending;
        let Some(index) = pending.iter().position(|pending| pending.number == number) else { return };
        let Suspend { subscription, reason, .. } = &pending[index].wanted;
        match result {
            Ok(suspended) => {
                if suspended {
                    let destination = &subscription.destination;
                    tracing::warn!(subscription.id = %subscription.id, %destination, %reason, "subscription suspended");
                }
                pending.swap_remove(index);
            }
            Err(ChangeError::Fenced) => self.fenced(),
            // It was changed meanwhile: there may be nothing to suspend any more.
            Err(ChangeError::Conflict) => self.requests.push_back(pending[index].request()),
            Err(error) => {
                tracing::error!(subscription.id = %subscription.id, %error, "cannot record a suspension; retrying");
                pending[index].again_at = Some(self.clock.steady + STORE_AGAIN);
            }
        }
    }
}
