//! Subscribers and subscriptions as rows.

use domain::subscriber::{Subscriber, SubscriberStatus};
use domain::subscription::Subscription;
use domain::{PimId, ServiceHour, SubscriberId, SubscriptionId};
use serde::de::DeserializeOwned;
use store::Vault;
use store::sealed::{Kind, SUBSCRIBER, SUBSCRIPTION};
use tokio_postgres::Row;

use crate::args::{Arg, args, int, long, natural};
use crate::failure::Failure;
use crate::inner::{self, shard_of};
use crate::lines::{Line, Tx};
use crate::sealed::name;

/// Rows deleted in one transaction.
const PRUNE_SLICE: i64 = 1_000;

fn join<T: DeserializeOwned>(vault: &Vault, kind: &Kind, rows: &[Row]) -> Result<Vec<T>, Failure> {
    let one = |row: &Row| Ok(kind.join(vault, &name(&row.get(0)), row.get(1), row.get(2))?);
    rows.iter().map(one).collect()
}

pub(super) async fn subscribers(
    on: &Line,
    vault: &Vault,
    which: &str,
    args: &[Arg<'_>],
) -> Result<Vec<Subscriber>, Failure> {
    let rows = on.query(&format!("SELECT id, body, sealed FROM subscribers WHERE {which}"), args).await?;
    join(vault, &SUBSCRIBER, &rows)
}

pub(super) async fn subscribers_in(
    tx: &Tx,
    vault: &Vault,
    which: &str,
    args: &[Arg<'_>],
) -> Result<Vec<Subscriber>, Failure> {
    let rows = tx.query(&format!("SELECT id, body, sealed FROM subscribers WHERE {which}"), args).await?;
    join(vault, &SUBSCRIBER, &rows)
}

pub(super) async fn subscriptions(
    on: &Line,
    vault: &Vault,
    which: &str,
    args: &[Arg<'_>],
) -> Result<Vec<Subscription>, Failure> {
    let rows = on.query(&format!("SELECT id, body, sealed FROM subscriptions WHERE {which}"), args).await?;
    join(vault, &SUBSCRIPTION, &rows)
}

pub(super) async fn subscriptions_in(
    tx: &Tx,
    vault: &Vault,
    which: &str,
    args: &[Arg<'_>],
) -> Result<Vec<Subscription>, Failure> {
    let rows = tx.query(&format!("SELECT id, body, sealed FROM subscriptions WHERE {which}"), args).await?;
    join(vault, &SUBSCRIPTION, &rows)
}

/// Those of the rows that can be read. Each other one is reported and left out: it must not stop the others.
pub(super) async fn readable_subscriptions_in(
    tx: &Tx,
    vault: &Vault,
    which: &str,
    args: &[Arg<'_>],
) -> Result<Vec<Subscription>, Failure> {
    let rows = tx.query(&format!("SELECT id, body, sealed FROM subscriptions WHERE {which}"), args).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        match join(vault, &SUBSCRIPTION, std::slice::from_ref(row)) {
            Ok(one) => found.extend(one),
            Err(error) => {
                let subscription = SubscriptionId(row.get(0));
                tracing::error!(%subscription, %error, "a subscription cannot be read: nothing is delivered for it");
            }
        }
    }
    Ok(found)
}

pub(super) async fn subscriber(tx: &Tx, vault: &Vault, id: SubscriberId) -> Result<Option<Subscriber>, Failure> {
    Ok(subscribers_in(tx, vault, "id = $1", args![id.0]).await?.pop())
}

pub(super) async fn subscription(tx: &Tx, vault: &Vault, id: SubscriptionId) -> Result<Option<Subscription>, Failure> {
    Ok(subscriptions_in(tx, vault, "id = $1", args![id.0]).await?.pop())
}

/// Status of a subscriber, as queried.
fn status(of: SubscriberStatus) -> &'static str {
    match of {
        SubscriberStatus::Active => "active",
        SubscriberStatus::Revoked => "revoked",
        SubscriberStatus::Deleted => "deleted",
    }
}

pub(super) async fn put_subscriber(tx: &Tx, vault: &Vault, value: &Subscriber) -> Result<(), Failure> {
    let parts = SUBSCRIBER.split(vault, &name(&value.id.0), value)?;
    let sql = "INSERT INTO subscribers (id, shard, pim, client_id, status, name, created_at, hour, body, sealed) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT service_hour FROM platform), $8, $9) \
               ON CONFLICT (id) DO UPDATE SET shard = excluded.shard, pim = excluded.pim, \
               client_id = excluded.client_id, status = excluded.status, name = excluded.name, hour = excluded.hour, \
               body = excluded.body, sealed = excluded.sealed";
    tx.execute(
        sql,
        args![
            value.id.0,
            shard_of(value.owner.pim),
            int(value.owner.pim.0),
            value.owner.client_id.0,
            status(value.status),
            value.name,
            value.created_at.as_micros(),
            parts.body,
            parts.sealed
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn put_subscription(
    tx: &Tx,
    vault: &Vault,
    version: u64,
    value: &Subscription,
) -> Result<(), Failure> {
    let parts = SUBSCRIPTION.split(vault, &name(&value.id.0), value)?;
    let sql = "INSERT INTO subscriptions (id, shard, subscriber_id, pim, status, destination_type, generation, \
               version, created_at, hour, body, sealed) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, (SELECT service_hour FROM platform), $10, $11) \
               ON CONFLICT (id) DO UPDATE SET status = excluded.status, destination_type = excluded.destination_type, \
               generation = excluded.generation, version = excluded.version, hour = excluded.hour, \
               body = excluded.body, sealed = excluded.sealed";
    tx.execute(
        sql,
        args![
            value.id.0,
            shard_of(value.pim),
            value.subscriber_id.0,
            int(value.pim.0),
            value.status.to_string(),
            value.destination.of_type().name(),
            int(value.generation),
            long(version),
            value.created_at.as_micros(),
            parts.body,
            parts.sealed
        ],
    )
    .await?;
    Ok(())
}

/// Number of active subscribers of a PIM.
pub(super) async fn active_subscribers(tx: &Tx, pim: PimId) -> Result<usize, Failure> {
    let sql = "SELECT count(*) FROM subscribers WHERE pim = $1 AND status = 'active'";
    count(tx.row(sql, args![int(pim.0)]).await?)
}

/// Number of active or suspended subscriptions of a subscriber.
pub(super) async fn counting_subscriptions(tx: &Tx, of: SubscriberId) -> Result<usize, Failure> {
    let sql = "SELECT count(*) FROM subscriptions WHERE subscriber_id = $1 AND status IN ('active', 'suspended')";
    count(tx.row(sql, args![of.0]).await?)
}

fn count(row: Option<Row>) -> Result<usize, Failure> {
    let count = row.map_or(0, |row| natural(row.get(0)));
    usize::try_from(count).map_err(|_| Failure::Corrupt("too many rows".to_owned()))
}

/// A table whose ended rows are pruned.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    table: &'static str,
    /// Further condition for pruning an ended row.
    and: &'static str,
}

/// Subscriptions are pruned first, so that none is left without its subscriber.
pub(super) const SUBSCRIPTIONS: Ending = Ending { table: "subscriptions", and: "TRUE" };

pub(super) const SUBSCRIBERS: Ending = Ending {
    table: "subscribers",
    and: "NOT EXISTS (SELECT 1 FROM subscriptions WHERE subscriber_id = subscribers.id)",
};

/// Deletes some of a shard's rows that were deleted, or ended with their PIM, in an hour of service before `before`;
/// 0 = none are left.
pub(super) async fn prune(
    tx: &Tx,
    Ending { table, and }: Ending,
    shard: store::Shard,
    before: ServiceHour,
) -> Result<u64, Failure> {
    let sql = format!(
        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} \
         WHERE shard = $1 AND status IN ('deleted', 'revoked') AND hour < $2 \
         AND (status = 'deleted' OR pim NOT IN (SELECT id FROM pims)) AND {and} LIMIT $3)"
    );
    tx.execute(&sql, args![inner::number(shard), int(before.0), PRUNE_SLICE]).await
}
