//! Commits changes: retries on conflicts, writes the log entries and notifications, and waits until the change is in
//! effect.

use std::future::Future;
use std::time::Duration;

use domain::log_entry::{Action, Call, LogEntry};
use domain::subscriber::{Owner, Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{SubscriberId, SubscriptionId, Timestamp};
use store::catalog::Made;
use store::{Change, ChangeError, Put, Shard, Shards, StoreError, Subscriptions, transition};

use crate::refusal::Refusal;

/// Maximum number of a PIM's subscribers, and of a subscriber's subscriptions, in use (contract page 1).
pub(crate) const LIMIT: usize = 20;
/// How long a response waits for its change to take effect. The engine is notified immediately. If it ran on a node
/// that has died, its lease runs out sooner than this by default (10 s), after which nobody delivers.
const IN_EFFECT: Duration = Duration::from_secs(15);
/// Each lost race means that another change was made, and callers are rate-limited.
const MAX_ATTEMPTS: usize = 100;

/// Human-readable reason of a revocation.
pub(crate) const CLIENT_REMOVED: &str = "its connection or app was removed from the PIM";

/// Reason for a failed change.
#[derive(Debug)]
pub(crate) enum NotChanged {
    /// Changed in the meantime: read it again, apply the request again.
    Lost,
    /// Final.
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

/// Retries on conflict, which merges concurrent PATCHes by field (contract page 7).
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

/// Commits a change and waits until the engine applies it: an event accepted after the response is treated by the new
/// configuration (contract page 7, "Delivery and guard").
pub(crate) async fn make(subscriptions: &dyn Subscriptions, change: Change) -> Result<Made, ChangeError> {
    let made = subscriptions.change(change).await?;
    in_effect(subscriptions, made.shard, made.version).await;
    Ok(made)
}

/// Waits until the engine applies a committed change.
pub(crate) async fn in_effect(shards: &dyn Shards, shard: Shard, version: u64) {
    if !shards.in_effect(shard, version, IN_EFFECT).await {
        tracing::warn!(version, "a committed change is not in effect after {IN_EFFECT:?}");
    }
}

/// An empty change with the contract's limits.
pub(crate) fn change() -> Change {
    Change { subscriber_limit: LIMIT, subscription_limit: LIMIT, ..Change::default() }
}

/// Adds the API call to the change, for the owner's log.
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

/// End of a subscriber, by its owner or with its client: its subscriptions end with it.
pub(crate) fn end(
    subscriber: Subscriber,
    subscriptions: Vec<Subscription>,
    status: SubscriberStatus,
    pim_url: &str,
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
            transition::revoke(&mut change, subscription, CLIENT_REMOVED, pim_url, now);
            continue;
        }
        // Deletion sends no notification (contract page 7).
        let action = Action::SubscriptionDeleted;
        change.entries.push(entry(&subscriber.owner, subscriber.id, Some(subscription.id), action, now));
        change
            .subscriptions
            .push(changed_subscription(Subscription { status: subscription_status, ..subscription }, now));
    }
    change.subscriber = Some(changed_subscriber(Subscriber { status, ..subscriber }, now));
    change
}

/// An entry about a status change.
pub(crate) fn entry(
    owner: &Owner,
    subscriber: SubscriberId,
    subscription: Option<SubscriptionId>,
    action: Action,
    now: Timestamp,
) -> LogEntry {
    LogEntry::action(owner, subscriber, subscription, action, now)
}
