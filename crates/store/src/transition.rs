//! Changes of a subscription's status with their log entries and notifications, made in one place so that neither can
//! be forgotten.

use std::time::Duration;

use domain::Timestamp;
use domain::log_entry::{Action, LogEntry, LogOrder, LogQuery};
use domain::notification::{Notification, NotificationKind};
use domain::outcome::SuspensionReason;
use domain::subscription::{Subscription, SubscriptionStatus};

use crate::catalog::{Change, Entries, Put};
use crate::error::StoreError;

/// Suspends an active subscription. `pim_url` is the URL of its PIM, here and below.
pub fn suspend(change: &mut Change, stored: Subscription, reason: SuspensionReason, pim_url: &str, now: Timestamp) {
    let (action, kind) = if reason.by_the_platform() {
        (Action::SubscriptionSuspendedByThePlatform, NotificationKind::SuspendedBySystem)
    } else {
        (Action::SubscriptionSuspendedByTheUser, NotificationKind::SuspendedByUser)
    };
    let said = Some(reason.to_string());
    notified(change, stored, SubscriptionStatus::Suspended(reason), action, kind, said, pim_url, now);
}

/// Resumes a suspended subscription for its owner.
pub fn resume(change: &mut Change, stored: Subscription, pim_url: &str, now: Timestamp) {
    let (action, kind) = (Action::SubscriptionResumedByTheUser, NotificationKind::Resumed);
    notified(change, stored, SubscriptionStatus::Active, action, kind, None, pim_url, now);
}

/// Revokes an active or suspended subscription; `why` is human-readable.
pub fn revoke(change: &mut Change, stored: Subscription, why: &str, pim_url: &str, now: Timestamp) {
    let (action, kind) = (Action::SubscriptionRevoked, NotificationKind::Revoked);
    notified(change, stored, SubscriptionStatus::Revoked, action, kind, Some(why.to_owned()), pim_url, now);
}

/// Warns the owner of an active subscription whose deliveries fail too often: of the last hour's, `delivered` of `all`
/// succeeded. The subscription is not changed.
pub fn warn(change: &mut Change, subscription: &Subscription, delivered: u64, all: u64, pim_url: &str, now: Timestamp) {
    let consequence = if subscription.options.hold { "" } else { " and its undelivered events are dropped" };
    let why = format!(
        "{delivered} of {all} deliveries of the last hour succeeded, fewer than 95 %; below 90 % the subscription is \
         suspended{consequence}"
    );
    let (owner, action) = (subscription.owner(), Action::SubscriptionFailing);
    let mut entry = LogEntry::action(&owner, subscription.subscriber_id, Some(subscription.id), action, now);
    entry.reason = Some(why.clone());
    change.entries.push(entry);
    let kind = NotificationKind::Failing;
    change.notifications.push(Notification::about(subscription, kind, Some(why), pim_url, now));
}

/// Pauses an active subscription because its PIM was withdrawn, without notification: its client is locked out, and
/// [`go_on`] continues it at its cursor.
pub fn stand_still(change: &mut Change, stored: Subscription, now: Timestamp) {
    silent(change, stored, SubscriptionStatus::Suspended(SuspensionReason::PimWithdrawn), now);
}

/// Ends the effect of [`stand_still`].
pub fn go_on(change: &mut Change, stored: Subscription, now: Timestamp) {
    silent(change, stored, SubscriptionStatus::Active, now);
}

fn silent(change: &mut Change, stored: Subscription, status: SubscriptionStatus, now: Timestamp) {
    let next = Subscription { status, revision: stored.revision + 1, updated_at: now, ..stored };
    change.subscriptions.push(Put::Changed(next));
}

#[expect(clippy::too_many_arguments, reason = "private; each of the three functions above names them all")]
fn notified(
    change: &mut Change,
    stored: Subscription,
    status: SubscriptionStatus,
    action: Action,
    kind: NotificationKind,
    reason: Option<String>,
    pim_url: &str,
    now: Timestamp,
) {
    let mut entry = LogEntry::action(&stored.owner(), stored.subscriber_id, Some(stored.id), action, now);
    entry.reason = reason.clone();
    change.entries.push(entry);
    change.notifications.push(Notification::about(&stored, kind, reason, pim_url, now));
    let next = Subscription { status, revision: stored.revision + 1, updated_at: now, ..stored };
    change.subscriptions.push(Put::Changed(next));
}

/// Adds a remark to the reasons of a status change, in its log entries and notifications.
pub fn remark(change: &mut Change, remark: &str) {
    let entries = change.entries.iter_mut().map(|entry| &mut entry.reason);
    let notifications = change.notifications.iter_mut().map(|notification| &mut notification.reason);
    for reason in entries.chain(notifications) {
        *reason = Some(match reason.take() {
            Some(reason) => format!("{reason}; {remark}"),
            None => remark.to_owned(),
        });
    }
}

/// Replaces the reason of a status change, in its log entries and notifications.
pub fn say(change: &mut Change, why: &str) {
    change.entries.iter_mut().for_each(|entry| entry.reason = Some(why.to_owned()));
    change.notifications.iter_mut().for_each(|notification| notification.reason = Some(why.to_owned()));
}

/// Threshold of repeated suspensions by the platform at which resuming alone isn't a solution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frequent {
    /// Number of suspensions that must be exceeded.
    pub times: usize,
    /// Within this period.
    pub within: Duration,
}

impl Default for Frequent {
    fn default() -> Frequent {
        Frequent { times: 10, within: Duration::from_secs(24 * 3600) }
    }
}

/// Adds a remark to a change in which the platform suspends a subscription again and again.
pub async fn say_if_frequent(entries: &dyn Entries, change: &mut Change, frequent: Frequent) -> Result<(), StoreError> {
    for index in 0..change.subscriptions.len() {
        let Some(subscription) = change.subscriptions.get(index).map(|put| put.value().clone()) else { continue };
        let by_the_platform =
            matches!(subscription.status, SubscriptionStatus::Suspended(reason) if reason.by_the_platform());
        if !by_the_platform {
            continue;
        }
        let query = LogQuery {
            log_type: None,
            order: LogOrder::Descending,
            limit: frequent.times.saturating_add(1),
            skip: 0,
            after: None,
            subscriber_id: None,
            subscription_id: Some(subscription.id),
            operation: Some(Action::SubscriptionSuspendedByThePlatform.as_str().to_owned()),
            error_reason: None,
            start_time: Some(subscription.updated_at - frequent.within),
            end_time: None,
        };
        let before = entries.entries(&subscription.owner(), &query).await?.entries.len();
        if before < frequent.times {
            continue;
        }
        let hours = frequent.within.as_secs() / 3600;
        let text = format!(
            "the platform has suspended it more than {} times within {hours} h: resuming alone does not help, correct \
             the cause first",
            frequent.times
        );
        let mut only = Change {
            entries: take_of(&mut change.entries, |entry| entry.subscription_id == Some(subscription.id)),
            notifications: take_of(&mut change.notifications, |one| one.subscription_id == subscription.id),
            ..Change::default()
        };
        remark(&mut only, &text);
        change.entries.append(&mut only.entries);
        change.notifications.append(&mut only.notifications);
    }
    Ok(())
}

fn take_of<T>(all: &mut Vec<T>, is_it: impl Fn(&T) -> bool) -> Vec<T> {
    let (taken, left) = std::mem::take(all).into_iter().partition(is_it);
    *all = left;
    taken
}

#[cfg(test)]
mod tests {
    use domain::outcome::ErrorReason;

    use super::*;
    use crate::catalog::Subscriptions;
    use crate::conformance::sample;
    use crate::memory::MemoryStore;

    /// Suspends and resumes `times` times; returns the reason of the last suspension.
    async fn reason_after(times: usize, apart: Duration) -> (Option<String>, Option<String>) {
        let store = MemoryStore::default();
        let (_, mut stored) = sample::make(&store).await;
        let mut now = sample::at(0);
        let mut said = (None, None);
        for _ in 0..times {
            now = now + apart;
            let mut change = sample::change(Vec::new());
            let reason = SuspensionReason::Destination(ErrorReason::DestinationNotFound);
            suspend(&mut change, stored, reason, "https://pim.example.com", now);
            say_if_frequent(&store, &mut change, Frequent::default()).await.unwrap();
            said = (change.entries[0].reason.clone(), change.notifications[0].reason.clone());
            stored = store.change(change).await.unwrap().subscriptions.remove(0);
            let mut change = sample::change(Vec::new());
            resume(&mut change, stored, "https://pim.example.com", now);
            stored = store.change(change).await.unwrap().subscriptions.remove(0);
        }
        said
    }

    async fn check(times: usize, apart: Duration, frequent: bool) {
        let (entry, notification) = reason_after(times, apart).await;
        assert_eq!(entry, notification);
        let said = entry.unwrap();
        assert!(said.starts_with("the destination answered 404 (not found)"), "{said}");
        assert_eq!(said.contains("more than 10 times within 24 h"), frequent, "{times} times: {said}");
    }

    #[tokio::test]
    async fn the_eleventh_suspension_within_a_day_says_so() {
        let hour = Duration::from_secs(3600);
        check(1, hour, false).await;
        check(10, hour, false).await;
        check(11, hour, true).await;
        check(40, 3 * hour, false).await;
    }
}
