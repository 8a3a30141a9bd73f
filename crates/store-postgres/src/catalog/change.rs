//! A change: checked, stamped and written, with its entries and notifications. It holds the head of its shard, so that
//! it has a place in the log, and the shard's progress, so that it never interleaves with a save.

use domain::Position;
use domain::notification::{Notification, Outgoing};
use domain::subscriber::SubscriberStatus;
use domain::subscription::Subscription;
use store::catalog::Made;
use store::{Change, ChangeError, Put, Shard, Vault, stamp};

use super::{condition, entries, outbox, rows};
use crate::args::{args, long, natural};
use crate::failure::Failure;
use crate::inner::{Inner, SPREAD, number};
use crate::kept::records;
use crate::lines::Tx;
use crate::{ledger, replays};

/// A shard whose head and progress are held by a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) shard: Shard,
    pub(crate) head: Position,
    pub(crate) version: u64,
    pub(crate) mark: Position,
}

impl Held {
    /// Waits for a shard.
    pub(crate) async fn lock(tx: &Tx, shard: Shard) -> Result<Held, Failure> {
        let missing = || Failure::Corrupt("a shard has no head".to_owned());
        let head = "SELECT pos, version FROM head WHERE shard = $1 FOR UPDATE";
        let head = tx.row(head, args![number(shard)]).await?.ok_or_else(missing)?;
        let progress = "SELECT mark FROM progress WHERE shard = $1 FOR UPDATE";
        let progress = tx.row(progress, args![number(shard)]).await?.ok_or_else(missing)?;
        Ok(Held {
            shard,
            head: Position(natural(head.get(0))),
            version: natural(head.get(1)),
            mark: Position(natural(progress.get(0))),
        })
    }

    /// Increments the version of the catalogue.
    pub(crate) async fn next_version(&mut self, tx: &Tx) -> Result<u64, Failure> {
        self.version += 1;
        let sql = "UPDATE head SET version = $2 WHERE shard = $1";
        tx.execute(sql, args![number(self.shard), long(self.version)]).await?;
        Ok(self.version)
    }
}

/// Makes a change. After an error the caller rolls it back.
pub(super) async fn make(tx: &Tx, inner: &Inner, change: &Change) -> Result<Made, ChangeError> {
    let vault = &*inner.vault;
    let shard = change.pim().map_or(Shard::FIRST, |pim| SPREAD.shard_of(pim));
    let mut held = Held::lock(tx, shard).await?;
    if let Some(fence) = &change.fence {
        inner.own(tx, fence).await?;
    }
    if !condition::hold(tx, &change.conditions).await? {
        return Err(ChangeError::Outdated);
    }
    if let Some(put) = &change.subscriber {
        let stored = rows::subscriber(tx, vault, put.value().id).await?;
        let subscriber = stamp::stamp_subscriber(stored.as_ref(), put)?;
        rows::put_subscriber(tx, vault, &subscriber).await?;
        let over = rows::active_subscribers(tx, subscriber.owner.pim).await? > change.subscriber_limit;
        if over && matches!(put, Put::New(_)) {
            return Err(ChangeError::LimitReached { limit: change.subscriber_limit });
        }
    }
    if !change.subscriptions.is_empty() {
        held.next_version(tx).await?;
    }
    let mut subscriptions = Vec::new();
    for put in &change.subscriptions {
        subscriptions.push(put_subscription(tx, vault, &held, put).await?);
    }
    for put in &change.subscriptions {
        if let Put::New(new) = put {
            let subscriber = rows::subscriber(tx, vault, new.subscriber_id).await?;
            let subscriber = subscriber.ok_or(ChangeError::Missing("subscriber"))?;
            if new.status.counts() && subscriber.status != SubscriberStatus::Active {
                return Err(ChangeError::Conflict);
            }
            if rows::counting_subscriptions(tx, new.subscriber_id).await? > change.subscription_limit {
                return Err(ChangeError::LimitReached { limit: change.subscription_limit });
            }
        }
    }
    if let Some(put) = &change.subscriber
        && put.value().status != SubscriberStatus::Active
        && rows::counting_subscriptions(tx, put.value().id).await? > 0
    {
        return Err(ChangeError::Conflict);
    }
    for entry in &change.entries {
        entries::add(tx, inner, entry).await?;
    }
    for notification in &change.notifications {
        notify(tx, inner, notification).await?;
    }
    if let (Some(put), Some(question)) = (&change.subscriber, &change.question) {
        outbox::add(tx, inner, &put.value().owner, question).await?;
    }
    Ok(Made { shard, version: held.version, head: held.head, subscriptions })
}

/// Stamps and writes a subscription, and applies the effect on its lane.
pub(super) async fn put_subscription(
    tx: &Tx,
    vault: &Vault,
    held: &Held,
    put: &Put<Subscription>,
) -> Result<Subscription, ChangeError> {
    let id = put.value().id;
    let stored = rows::subscription(tx, vault, id).await?;
    let cursor = ledger::cursor(tx, id).await?.unwrap_or(held.mark);
    let stamped = stamp::stamp(stored.as_ref(), put, held.head, cursor)?;
    rows::put_subscription(tx, vault, held.version, &stamped.subscription).await?;
    records::remember(tx, &stamped, held.head, cursor).await?;
    replays::end_with(tx, &stamped.subscription, held.version).await?;
    let generation = stamped.subscription.generation;
    ledger::affect(tx, held.shard, id, generation, stamped.lane, held.head, cursor).await?;
    Ok(stamped.subscription)
}

/// Stores a notification, addressed to its subscriber's current contact.
pub(super) async fn notify(tx: &Tx, inner: &Inner, notification: &Notification) -> Result<(), Failure> {
    // Each concerns a subscription, and no subscription is without its subscriber.
    let subscriber = rows::subscriber(tx, &inner.vault, notification.subscriber_id).await?;
    let Some(subscriber) = subscriber else { return Ok(()) };
    for outgoing in Outgoing::to(&subscriber, notification) {
        outbox::add(tx, inner, &subscriber.owner, &outgoing).await?;
    }
    Ok(())
}
