//! The oracle's own book of fates: what each event must be for each subscription, from what was selected when it was
//! accepted, what receivers got and the answers that the platform got.

use domain::LoggedEvent;
use domain::fate::Fate;
use domain::outcome::{ErrorReason, Outcome};
use domain::subscription::{Subscription, SubscriptionStatus};
use store::fate::Judged;

use super::{Attempt, Item, Oracle, State, user_filter};

/// What an event was for a subscription when it was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// Its type was not selected.
    NotSubscribed,
    /// Its filter excluded it.
    FilteredOut,
    /// Suspended without hold, or over.
    NotActive,
    /// Owed to it.
    Owed,
}

impl Accepted {
    /// By the subscription at that moment; `user` is the event's author.
    pub(super) fn of(stored: &Subscription, event: &LoggedEvent, user: u64) -> Accepted {
        let selection = &stored.selection;
        if !selection.events.iter().any(|one| one.as_str() == event.event.event_type()) {
            return Accepted::NotSubscribed;
        }
        if selection.filter.as_ref().is_some_and(|filter| filter.as_str() != user_filter(user)) {
            return Accepted::FilteredOut;
        }
        match stored.status {
            SubscriptionStatus::Active => Accepted::Owed,
            SubscriptionStatus::Suspended(_) if stored.options.hold => Accepted::Owed,
            SubscriptionStatus::Suspended(_) | SubscriptionStatus::Revoked | SubscriptionStatus::Deleted => {
                Accepted::NotActive
            }
        }
    }
}

impl Oracle {
    /// A receiver accepted events, with these outcomes for the platform, unless the process that sent them is `dead`.
    pub fn received(&mut self, index: usize, made: &Attempt, taken: &[bool], outcomes: &[Outcome], dead: bool) {
        for ((position, taken), outcome) in made.positions.iter().zip(taken).zip(outcomes) {
            if let Some(item) = self.lanes[index].items.get_mut(position) {
                item.received |= *taken && *outcome == Outcome::Delivered;
                item.forgotten |= *taken && dead;
            }
        }
    }

    /// Why a fate contradicts the books, if it does. `up`: the platform is running, and was asked.
    pub fn contradicts(&self, index: usize, position: u64, judged: &Judged, up: bool) -> Option<&'static str> {
        let lane = &self.lanes[index];
        let accepted = lane.accepted.get(&position).copied().unwrap_or(Accepted::NotActive);
        let expected = match accepted {
            Accepted::NotSubscribed => Some(Fate::NotSubscribed),
            Accepted::FilteredOut => Some(Fate::FilteredOut),
            Accepted::NotActive => Some(Fate::NotActive),
            Accepted::Owed => None,
        };
        if let Some(expected) = expected {
            return (judged.fate != expected).then_some("it was not owed");
        }
        let Some(item) = lane.items.get(&position) else { return Some("it is unknown") };
        item.contradicts(judged, up)
    }
}

impl Item {
    fn contradicts(&self, judged: &Judged, up: bool) -> Option<&'static str> {
        let uncertain = matches!(judged.why, domain::fate::Why::Dropped { uncertain: true, .. });
        // What receivers got.
        match judged.fate {
            Fate::NotSubscribed | Fate::FilteredOut | Fate::NotActive => return Some("it was owed"),
            Fate::Delivered if self.taken == 0 => return Some("no receiver has it"),
            Fate::Dropped if self.received && !uncertain => return Some("a receiver has it"),
            // After a crash that forgot its delivery, it may have failed.
            Fate::GivenUp if self.received && !self.forgotten => return Some("a receiver has it"),
            Fate::GivenUp
                if judged.given_up.as_ref().is_none_or(|given_up| given_up.attempts == 0 && self.taken > 0) =>
            {
                return Some("without attempts");
            }
            _ => {}
        }
        // What the platform knows. While it is down, or in the states that the contract leaves open, it knows less.
        if !up || self.optional {
            return None;
        }
        let in_flight = judged.fate == Fate::InFlight;
        if in_flight != self.in_flight.is_some() {
            return Some(if in_flight { "nothing is in flight" } else { "it is in flight" });
        }
        let waits = matches!(judged.fate, Fate::Waiting | Fate::WaitingForRetry);
        let fits = in_flight
            || match self.state {
                State::Owed | State::Throttled => waits,
                State::Retry => judged.fate == Fate::WaitingForRetry,
                State::Delivered => judged.fate == Fate::Delivered || uncertain,
                // An attempt that was in flight at a drop may have ended without being one of the destination's.
                State::Failed => judged.fate == Fate::GivenUp || judged.fate == Fate::Dropped,
                // The attempt in flight at the drop was given up with it.
                State::Dropped => judged.fate == Fate::Dropped || self.given_up_with_drop(judged),
                State::Expired => matches!(judged.fate, Fate::Dropped | Fate::GivenUp),
            };
        (!fits).then_some("it is in another state")
    }

    /// Whether its last attempt was in flight when the subscription was suspended, and undecided.
    fn given_up_with_drop(&self, judged: &Judged) -> bool {
        let of_suspension = judged.given_up.as_ref().map(|given_up| given_up.reason);
        judged.fate == Fate::GivenUp && of_suspension == Some(ErrorReason::SubscriptionSuspended)
    }
}
