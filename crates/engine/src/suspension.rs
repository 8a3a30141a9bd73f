//! What is written when the platform suspends a subscription: its new state, the entry for its owner, the notification.

use domain::log_entry::{Action, LogBody, LogEntry};
use domain::notification::{Notification, NotificationKind};
use domain::outcome::SuspensionReason;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{LogId, Timestamp};
use store::{Change, Put};
use uuid::Uuid;

/// The change that suspends `stored` for `reason`, or `None` if there is nothing to suspend any more: it is not active, was resumed
/// since, or has another destination than the one that was found wanting (`judged`).
pub fn change(
    stored: Subscription,
    judged: &Subscription,
    reason: SuspensionReason,
    subject: &str,
    now: Timestamp,
) -> Option<Change> {
    if !stored.status.is_active() || stored.generation != judged.generation || stored.destination != judged.destination
    {
        return None;
    }
    let entry = LogEntry {
        id: LogId::generate(),
        owner: stored.owner(),
        timestamp: now,
        subscriber_id: Some(stored.subscriber_id),
        subscription_id: Some(stored.id),
        body: LogBody::Action(Action::SubscriptionSuspendedByThePlatform),
        count: 1,
    };
    let notification = Notification {
        id: Uuid::now_v7(),
        kind: NotificationKind::SuspendedBySystem,
        timestamp: now,
        subscription_id: stored.id,
        subscriber_id: stored.subscriber_id,
        destination: stored.destination.to_string(),
        events: stored.selection.events.iter().map(ToString::to_string).collect(),
        reason: Some(reason.to_string()),
        subject: subject.to_owned(),
    };
    let suspended = Subscription {
        status: SubscriptionStatus::Suspended(reason),
        revision: stored.revision + 1,
        updated_at: now,
        ..stored
    };
    Some(Change {
        subscriptions: vec![Put::Changed(suspended)],
        entries: vec![entry],
        notifications: vec![notification],
        ..Change::default()
    })
}
