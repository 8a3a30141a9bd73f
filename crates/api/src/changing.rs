//! Making changes: again when somebody else was faster, with what is told about them, until they are in effect.

use std::future::Future;
use std::time::Duration;

use domain::log_entry::{Action, Call, LogEntry};
use domain::subscriber::{Owner, Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{SubscriberId, SubscriptionId, Timestamp};
use store::catalog::Made;
use store::{Change, ChangeError, Put, StoreError, Subscriptions, transition};

use crate::refusal::Refusal;

/// Subscribers of a PIM, and subscriptions of a subscriber, that may be in use (contract page 1).
pub(crate) const LIMIT: usize = 20;
/// How long an answer waits until its change is in effect. The engine is told at once; if it hangs, the caller should
/// not.
const IN_EFFECT: Duration = Duration::from_secs(1);
/// Each lost race means that another change was made, and callers may only make so many a second.
const MAX_ATTEMPTS: usize = 100;

/// Why something is revoked, for a person.
pub(crate) const CLIENT_REMOVED: &str = "its connection or app was removed from the PIM";

/// Why an attempt to change something did not go through.
#[derive(Debug)]
pub(crate) enum NotChanged {
    /// It was changed in the meantime: read it again, apply the request again.
    Lost,
    /// It is not to be.
    Refused(Refusal),
}

impl From<Refusal> for NotChanged {
    fn from(refusal: Refusal) -> NotChanged {
        NotChanged::Refused(refusal)
    }
}

impl From<StoreError> for NotChanged {
    fn from(error: StoreError) -> NotChanged {
        NotChanged::Refused(error.into())
    }
}

impl From<ChangeError> for NotChanged {
    fn from(error: ChangeError) -> NotChanged {
        match error {
            ChangeError::Conflict | ChangeError::Outdated => NotChanged::Lost,
            other => NotChanged::Refused(other.into()),
        }
    }
}

/// Tries until nobody else is faster. That is how two PATCHes at once are merged by field (contract page 7).
pub(crate) async fn until_won<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, NotChanged>>,
{
    for _ in 0..MAX_ATTEMPTS {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(NotChanged::Refused(refusal)) => return Err(refusal),
            Err(NotChanged::Lost) => {}
        }
    }
    Err(ChangeError::Conflict.into())
}

/// Makes a change and waits until the engine works by it: an event accepted after the answer is treated by the new
/// configuration (contract page 7, "Delivery and guard").
pub(crate) async fn make(subscriptions: &dyn Subscriptions, change: Change) -> Result<Made, ChangeError> {
    let made = subscriptions.change(change).await?;
    if !subscriptions.changes().in_effect(made.version, IN_EFFECT).await {
        tracing::warn!(version = made.version, "a change is committed, but not in effect after {IN_EFFECT:?}");
    }
    Ok(made)
}

/// A change with the contract's limits and nothing in it yet.
pub(crate) fn change() -> Change {
    Change { subscriber_limit: LIMIT, subscription_limit: LIMIT, ..Change::default() }
}

/// The same change with the call that makes it, for the owner's log.
pub(crate) fn called(mut change: Change, call: &Option<Box<Call>>) -> Change {
    change.entries.iter_mut().for_each(|entry| entry.call.clone_from(call));
    change
}

/// The next revision of a subscriber.
pub(crate) fn changed_subscriber(subscriber: Subscriber, now: Timestamp) -> Put<Subscriber> {
    Put::Changed(Subscriber { revision: subscriber.revision + 1, updated_at: now, ..subscriber })
}

/// The next revision of a subscription.
pub(crate) fn changed_subscription(subscription: Subscription, now: Timestamp) -> Put<Subscription> {
    Put::Changed(Subscription { revision: subscription.revision + 1, updated_at: now, ..subscription })
}

/// The end of a subscriber, by its owner or because its client is gone: its subscriptions end with it.
pub(crate) fn end(
    subscriber: Subscriber,
    subscriptions: Vec<Subscription>,
    status: SubscriberStatus,
    subject: &str,
    now: Timestamp,
) -> Change {
    let revoked = status == SubscriberStatus::Revoked;
    let (subscription_status, of_subscriber) = if revoked {
        (SubscriptionStatus::Revoked, Action::SubscriberRevoked)
    } else {
        (SubscriptionStatus::Deleted, Action::SubscriberDeleted)
    };
    let mut change = change();
    let mut ended = entry(&subscriber.owner, subscriber.id, None, of_subscriber, now);
    ended.reason = revoked.then(|| CLIENT_REMOVED.to_owned());
    change.entries.push(ended);
    for subscription in subscriptions {
        if subscription.status == subscription_status || subscription.status == SubscriptionStatus::Deleted {
            continue;
        }
        if revoked {
            transition::revoke(&mut change, subscription, CLIENT_REMOVED, subject, now);
            continue;
        }
        // Deleting notifies nobody (contract page 7).
        let action = Action::SubscriptionDeleted;
        change.entries.push(entry(&subscriber.owner, subscriber.id, Some(subscription.id), action, now));
        change
            .subscriptions
            .push(changed_subscription(Subscription { status: subscription_status, ..subscription }, now));
    }
    change.subscriber = Some(changed_subscriber(Subscriber { status, ..subscriber }, now));
    change
}

/// An entry about a change of state.
pub(crate) fn entry(
    owner: &Owner,
    subscriber: SubscriberId,
    subscription: Option<SubscriptionId>,
    action: Action,
    now: Timestamp,
) -> LogEntry {
    LogEntry::action(owner, subscriber, subscription, action, now)
}
