//! The rules of [`Change`](crate::Change) common to all backends: fields stamped on a subscription, and effects on its
//! lane. Pure functions, so that backends cannot differ in them.

use std::mem::discriminant;

use domain::fate::DropReason;
use domain::log_entry::{Action, LogEntry};
use domain::pim::{Pim, SourceKey};
use domain::replay::ReplayStatus;
use domain::subscriber::{Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Position, Timestamp};

use crate::catalog::{Change, Put};
use crate::error::ChangeError;
use crate::kept::Era;
use crate::transition;

/// Effect of a subscription's change on the ledger record of its lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LaneEffect {
    /// No effect.
    None,
    /// The lane starts at the head, without exceptions and memory, in the new generation.
    Reset,
    /// The lane continues at its cursor, without memory.
    GoOn,
    /// The lane is paused. If it followed the mark, the current mark becomes its own cursor, so that later marks do not
    /// move it past events kept by `hold`.
    Pin,
    /// The record is deleted, because it isn't needed any more.
    Forget,
}

/// A subscription ready to be stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Stamped {
    /// The subscription.
    pub subscription: Subscription,
    /// Effect on its lane.
    pub lane: LaneEffect,
    /// The era that begins, if any.
    pub era: Option<Era>,
    /// Why the lane's backlog is dropped, if it is: the events between its position and the head, and its exceptions.
    pub dropped: Option<DropReason>,
}

/// Checks that no other PIM has the name, URL or a key of `pim`.
pub fn must_be_free<'a>(registered: impl Iterator<Item = &'a Pim>, pim: &Pim) -> Result<(), ChangeError> {
    for other in registered.filter(|other| other.id != pim.id) {
        let same_key = |key: &SourceKey| other.keys.iter().any(|known| known.sha256 == key.sha256);
        let field = if other.name == pim.name {
            "name"
        } else if other.url_key == pim.url_key {
            "url"
        } else if pim.keys.iter().any(same_key) {
            "key"
        } else {
            continue;
        };
        return Err(ChangeError::Taken { field, pim: other.name.clone() });
    }
    Ok(())
}

/// Stamps a subscription. `cursor` is the position of its lane: its own cursor, or the mark.
pub fn stamp(
    stored: Option<&Subscription>,
    put: &Put<Subscription>,
    head: Position,
    cursor: Position,
) -> Result<Stamped, ChangeError> {
    let mut subscription = put.value().clone();
    let stored = match (put, stored) {
        (Put::New(_), None) => {
            subscription.revision = 0;
            subscription.generation = 0;
            subscription.status_since = head;
            subscription.lane_since = head;
            subscription.past_selections = Vec::new();
            let era = Some(Era::of(&subscription, head));
            return Ok(Stamped { subscription, lane: LaneEffect::Reset, era, dropped: None });
        }
        (Put::New(_), Some(_)) => return Err(ChangeError::Conflict),
        (Put::Changed(_), None) => return Err(ChangeError::Missing("subscription")),
        (Put::Changed(value), Some(stored)) if value.revision != stored.revision + 1 => {
            return Err(ChangeError::Conflict);
        }
        (Put::Changed(_), Some(stored)) => stored,
    };
    let mut lane = LaneEffect::None;
    subscription.generation = stored.generation;
    subscription.status_since = stored.status_since;
    subscription.lane_since = stored.lane_since;
    let had_lane = stored.status.is_active() || stored.holds();
    // Hold that is switched on or off during a suspension counts from then on.
    let moved = discriminant(&subscription.status) != discriminant(&stored.status);
    if moved || subscription.holds() != stored.holds() {
        subscription.generation = stored.generation + 1;
        subscription.status_since = head;
        lane = match subscription.status {
            SubscriptionStatus::Active if had_lane => LaneEffect::GoOn,
            SubscriptionStatus::Suspended(_) | SubscriptionStatus::Revoked if had_lane => LaneEffect::Pin,
            SubscriptionStatus::Suspended(_) if subscription.holds() => LaneEffect::Reset,
            // A lane stopped before has dropped its backlog: later events were never its own.
            SubscriptionStatus::Suspended(_) | SubscriptionStatus::Revoked => LaneEffect::None,
            SubscriptionStatus::Active => LaneEffect::Reset,
            SubscriptionStatus::Deleted => LaneEffect::Forget,
        };
        if lane == LaneEffect::Reset {
            subscription.lane_since = head;
        }
    }
    subscription.past_selections = stored.past_selections.clone();
    if subscription.selection != stored.selection {
        // A selection that never applied to an event isn't worth keeping.
        if subscription.past_selections.last().is_none_or(|(until, _)| *until < head) {
            subscription.past_selections.push((head, stored.selection.clone()));
        }
    }
    let stands_at = if lane == LaneEffect::Reset { head } else { cursor };
    subscription.past_selections.retain(|(until, _)| *until > stands_at);
    let (era, dropped) = (new_era(stored, &subscription, head), drop_reason(stored, &subscription));
    Ok(Stamped { subscription, lane, era, dropped })
}

/// The era that begins with a change; `None` if it concerns neither status nor selection, or ends the history.
fn new_era(stored: &Subscription, next: &Subscription, head: Position) -> Option<Era> {
    let (before, era) = (Era::of(stored, head), Era::of(next, head));
    let same = Era { since: before.since, ..era.clone() } == before;
    (!same && next.status != SubscriptionStatus::Deleted).then_some(era)
}

/// Why a change drops the backlog of its lane, if it does.
fn drop_reason(stored: &Subscription, next: &Subscription) -> Option<DropReason> {
    let had_any = stored.status.is_active() || stored.holds();
    match next.status {
        SubscriptionStatus::Suspended(_) if had_any && !next.holds() && stored.status.is_active() => {
            Some(DropReason::Suspended)
        }
        SubscriptionStatus::Suspended(_) if had_any && !next.holds() => Some(DropReason::HoldEnded),
        SubscriptionStatus::Revoked if had_any => Some(DropReason::Revoked),
        _ => None,
    }
}

/// How a change of a subscription's status ends its running replay (contract page 9): cancelled by its owner's
/// suspension, failed by the platform's or by the subscription's end. `None`: it goes on.
pub fn replay_end(status: SubscriptionStatus) -> Option<(ReplayStatus, String)> {
    match status {
        SubscriptionStatus::Active => None,
        SubscriptionStatus::Suspended(reason) if !reason.by_the_platform() => {
            Some((ReplayStatus::Cancelled, "the subscription was suspended by its owner".to_owned()))
        }
        SubscriptionStatus::Suspended(reason) => {
            Some((ReplayStatus::Failed, format!("the subscription was suspended: {reason}")))
        }
        SubscriptionStatus::Revoked => Some((ReplayStatus::Failed, "the subscription was revoked".to_owned())),
        SubscriptionStatus::Deleted => Some((ReplayStatus::Failed, "the subscription was deleted".to_owned())),
    }
}

/// Checks a subscriber against the stored one and returns it ready to be stored.
pub fn stamp_subscriber(stored: Option<&Subscriber>, put: &Put<Subscriber>) -> Result<Subscriber, ChangeError> {
    let mut subscriber = put.value().clone();
    match (put, stored) {
        (Put::New(_), None) => {
            subscriber.revision = 0;
            Ok(subscriber)
        }
        (Put::New(_), Some(_)) => Err(ChangeError::Conflict),
        (Put::Changed(_), None) => Err(ChangeError::Missing("subscriber")),
        (Put::Changed(value), Some(stored)) if value.revision != stored.revision + 1 => Err(ChangeError::Conflict),
        (Put::Changed(_), Some(_)) => Ok(subscriber),
    }
}

/// Human-readable reason for revoking subscriptions of a removed PIM.
const PIM_REMOVED: &str = "the PIM was removed from the event platform by its operator";

/// Effect of a PIM's removal on a subscriber: its revoked form and log entry; `None` if it is not in use any more.
pub fn revoke_subscriber(stored: &Subscriber, now: Timestamp) -> Option<(Subscriber, LogEntry)> {
    if stored.status != SubscriberStatus::Active {
        return None;
    }
    let mut subscriber = stored.clone();
    subscriber.status = SubscriberStatus::Revoked;
    subscriber.revision += 1;
    subscriber.updated_at = now;
    let mut entry = LogEntry::action(&stored.owner, stored.id, None, Action::SubscriberRevoked, now);
    entry.reason = Some(PIM_REMOVED.to_owned());
    Some((subscriber, entry))
}

/// Effect of a PIM's removal on its subscriptions in use, to be stamped, with entries and notifications. `pim_url` is
/// the PIM's URL.
pub fn revoke_subscriptions<'a>(
    stored: impl IntoIterator<Item = &'a Subscription>,
    pim_url: &str,
    now: Timestamp,
) -> Change {
    let mut change = Change::default();
    for stored in stored.into_iter().filter(|stored| stored.status.counts()) {
        transition::revoke(&mut change, stored.clone(), PIM_REMOVED, pim_url, now);
    }
    change
}
