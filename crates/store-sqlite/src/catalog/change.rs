//! A change: checked, stamped and written, with its entries and notifications.

use domain::notification::{Notification, Outgoing};
use domain::subscriber::SubscriberStatus;
use domain::subscription::Subscription;
use store::catalog::Made;
use store::{Change, ChangeError, Put, Shard, Vault, stamp};

use super::{condition, entries, outbox, rows};
use crate::batch::Batch;
use crate::failure::Failure;
use crate::kept::records;
use crate::{ledger, replays};

/// Makes a change. After an error the caller rolls it back.
pub(super) fn make(batch: &mut Batch<'_>, vault: &Vault, change: &Change) -> Result<Made, ChangeError> {
    if !condition::hold(batch, &change.conditions)? {
        return Err(ChangeError::Outdated);
    }
    let connection = batch.connection();
    if let Some(put) = &change.subscriber {
        let stored = rows::subscriber(connection, vault, put.value().id)?;
        let subscriber = stamp::stamp_subscriber(stored.as_ref(), put)?;
        rows::put_subscriber(batch, vault, &subscriber)?;
        let over = rows::active_subscribers(connection, subscriber.owner.pim.0)? > change.subscriber_limit;
        if over && matches!(put, Put::New(_)) {
            return Err(ChangeError::LimitReached { limit: change.subscriber_limit });
        }
    }
    let version = if change.subscriptions.is_empty() { batch.stored_version()? } else { batch.next_version()? };
    let mut subscriptions = Vec::new();
    for put in &change.subscriptions {
        subscriptions.push(put_subscription(batch, vault, version, put)?);
    }
    for put in &change.subscriptions {
        if let Put::New(new) = put {
            let subscriber = rows::subscriber(connection, vault, new.subscriber_id)?;
            let subscriber = subscriber.ok_or(ChangeError::Missing("subscriber"))?;
            if new.status.counts() && subscriber.status != SubscriberStatus::Active {
                return Err(ChangeError::Conflict);
            }
            if rows::counting_subscriptions(connection, new.subscriber_id)? > change.subscription_limit {
                return Err(ChangeError::LimitReached { limit: change.subscription_limit });
            }
        }
    }
    if let Some(put) = &change.subscriber
        && put.value().status != SubscriberStatus::Active
        && rows::counting_subscriptions(connection, put.value().id)? > 0
    {
        return Err(ChangeError::Conflict);
    }
    for entry in &change.entries {
        entries::add(batch, entry)?;
    }
    for notification in &change.notifications {
        notify(batch, vault, notification)?;
    }
    if let (Some(put), Some(question)) = (&change.subscriber, &change.question) {
        outbox::add(batch, vault, &put.value().owner, question)?;
    }
    Ok(Made { shard: Shard::FIRST, version, head: batch.head()?, subscriptions })
}

/// Stamps and writes a subscription, and applies the effect on its lane.
pub(super) fn put_subscription(
    batch: &mut Batch<'_>,
    vault: &Vault,
    version: u64,
    put: &Put<Subscription>,
) -> Result<Subscription, ChangeError> {
    let id = put.value().id;
    let head = batch.head()?;
    let stored = rows::subscription(batch.connection(), vault, id)?;
    let cursor = ledger::cursor(batch, id)?;
    let stamped = stamp::stamp(stored.as_ref(), put, head, cursor)?;
    rows::put_subscription(batch, vault, version, &stamped.subscription)?;
    records::remember(batch, &stamped, head, cursor)?;
    replays::end_with(batch, &stamped.subscription, version)?;
    ledger::affect(batch, id, stamped.subscription.generation, stamped.lane, head, cursor)?;
    Ok(stamped.subscription)
}

/// Stores a notification, addressed to its subscriber's current contact.
pub(super) fn notify(batch: &Batch<'_>, vault: &Vault, notification: &Notification) -> Result<(), Failure> {
    // Each concerns a subscription, and no subscription is without its subscriber.
    let subscriber = rows::subscriber(batch.connection(), vault, notification.subscriber_id)?;
    let Some(subscriber) = subscriber else { return Ok(()) };
    for outgoing in Outgoing::to(&subscriber, notification) {
        outbox::add(batch, vault, &subscriber.owner, &outgoing)?;
    }
    Ok(())
}
