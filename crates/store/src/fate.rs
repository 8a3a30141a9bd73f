//! Judges what became of an event for a subscription, from the subscription's history, its lane and the records. No IO.

use domain::fate::{DroppedBacklog, Fate, GivenUp, Whereabouts, Why};
use domain::filter::Facets;
use domain::outcome::SuspensionReason;
use domain::subscription::SubscriptionStatus;
use domain::{LoggedEvent, Timestamp};

use crate::kept::{History, Recorded};

/// What became of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Its fate.
    pub fate: Fate,
    /// Why; displayed, the message for a person.
    pub why: Why,
    /// Time of the next attempt, if it waits for a retry.
    pub next_attempt_at: Option<Timestamp>,
    /// The last attempt, if it was given up.
    pub given_up: Option<GivenUp>,
}

/// What became of an event for a subscription; `None` if that is no longer known, as if the event were not kept.
///
/// `whereabouts` are those of the running lane, `None` if there is none here. They must be asked for **before**
/// `recorded` is read: what the lane has saved in between is then found in the store.
pub fn judge(
    event: &LoggedEvent,
    history: &History,
    whereabouts: Option<Whereabouts>,
    recorded: &Recorded,
    now: Timestamp,
) -> Option<Judged> {
    let Some(era) = history.at(event.position) else {
        return history.from_creation.then(|| final_fate(Fate::NotActive, Why::NotYetCreated));
    };
    let event_type = event.event.event_type();
    if !era.selection.events.iter().any(|subscribed| subscribed.as_str() == event_type) {
        return Some(final_fate(Fate::NotSubscribed, Why::OtherType(event_type.to_owned())));
    }
    if let Some(filter) = &era.selection.filter
        && let Some(condition) = filter.unmet(&Facets::of(event_type, event.event.data()))
    {
        return Some(final_fate(Fate::FilteredOut, Why::Excluded(condition)));
    }
    match era.status {
        SubscriptionStatus::Suspended(reason) if !era.holds => {
            let why = Why::Suspended { reason, since: suspended_since(history, era.from) };
            return Some(final_fate(Fate::NotActive, why));
        }
        SubscriptionStatus::Revoked | SubscriptionStatus::Deleted => {
            return Some(final_fate(Fate::NotActive, Why::Over { since: era.since }));
        }
        SubscriptionStatus::Active | SubscriptionStatus::Suspended(_) => {}
    }
    let held = held_now(history);
    match whereabouts {
        Some(Whereabouts::Passed) => Some(settled(recorded).unwrap_or_else(delivered)),
        Some(whereabouts) => Some(by_the_lane(whereabouts, held, now)),
        None => Some(settled(recorded).unwrap_or_else(|| match &recorded.exception {
            Some(exception) => by_the_lane(Whereabouts::waits(exception), held, now),
            None if event.position >= recorded.cursor => by_the_lane(Whereabouts::Waiting, held, now),
            None => delivered(),
        })),
    }
}

/// The fate of an event with a record.
fn settled(recorded: &Recorded) -> Option<Judged> {
    if let Some(given_up) = &recorded.given_up {
        return Some(given_up_fate(given_up.clone()));
    }
    let DroppedBacklog { reason, at, uncertain, .. } = *recorded.dropped.as_ref()?;
    Some(match recorded.delivered_late {
        true => delivered(),
        false => final_fate(Fate::Dropped, Why::Dropped { reason, at, uncertain }),
    })
}

/// The fate of an event that its lane knows.
fn by_the_lane(whereabouts: Whereabouts, held: Option<SuspensionReason>, now: Timestamp) -> Judged {
    match whereabouts {
        Whereabouts::InFlight => final_fate(Fate::InFlight, Why::InFlight),
        Whereabouts::Waiting => final_fate(Fate::Waiting, held.map_or(Why::Waits, |reason| Why::Held { reason })),
        Whereabouts::WaitingForRetry { failures, throttled, due_at } => Judged {
            // Nothing is due during a suspension; overdue attempts are due now.
            next_attempt_at: held.is_none().then(|| due_at.max(now)),
            ..final_fate(
                Fate::WaitingForRetry,
                match held {
                    Some(reason) => Why::Held { reason },
                    None if throttled => Why::Throttled,
                    None => Why::Retry { failures },
                },
            )
        },
        Whereabouts::GivenUp(given_up) => given_up_fate(given_up),
        Whereabouts::Dropped { reason, at, uncertain } => {
            final_fate(Fate::Dropped, Why::Dropped { reason, at, uncertain })
        }
        Whereabouts::Delivered | Whereabouts::Passed => delivered(),
    }
}

fn delivered() -> Judged {
    final_fate(Fate::Delivered, Why::Delivered)
}

fn given_up_fate(given_up: GivenUp) -> Judged {
    Judged { given_up: Some(given_up.clone()), ..final_fate(Fate::GivenUp, Why::GivenUp(given_up)) }
}

fn final_fate(fate: Fate, why: Why) -> Judged {
    Judged { fate, why, next_attempt_at: None, given_up: None }
}

/// The current suspension, if it holds events.
fn held_now(history: &History) -> Option<SuspensionReason> {
    match history.eras.last()? {
        era if !era.holds => None,
        era => match era.status {
            SubscriptionStatus::Suspended(reason) => Some(reason),
            _ => None,
        },
    }
}

/// Start of the suspension in force at `from`: an era may also begin with another change during it.
fn suspended_since(history: &History, from: domain::Position) -> Timestamp {
    let before = history.eras.iter().rev().skip_while(|era| era.from > from);
    let suspended = before.take_while(|era| matches!(era.status, SubscriptionStatus::Suspended(_)));
    suspended.last().map_or(Timestamp::EPOCH, |era| era.since)
}

#[cfg(test)]
mod tests;
