//! Subscribers and subscriptions as rows.

use domain::subscriber::{Subscriber, SubscriberStatus};
use domain::subscription::Subscription;
use domain::{ServiceHour, SubscriberId, SubscriptionId};
use rusqlite::{Connection, OptionalExtension, Params};
use store::Vault;
use uuid::Uuid;

use crate::batch::Batch;
use crate::failure::Failure;
use crate::sealed::{Kind, SUBSCRIBER, SUBSCRIPTION};

/// How an id is named in what is sealed.
fn name(id: &Uuid) -> String {
    id.simple().to_string()
}

fn select<T: serde::de::DeserializeOwned>(
    connection: &Connection,
    vault: &Vault,
    kind: &Kind,
    table: &str,
    which: &str,
    params: impl Params,
) -> Result<Vec<T>, Failure> {
    let mut select = connection.prepare_cached(&format!("SELECT id, body, sealed FROM {table} WHERE {which}"))?;
    let mut rows = select.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = Uuid::from_bytes(row.get(0)?);
        let body = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let sealed = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        found.push(kind.join(vault, &name(&id), body, sealed)?);
    }
    Ok(found)
}

pub(super) fn subscribers(
    connection: &Connection,
    vault: &Vault,
    which: &str,
    params: impl Params,
) -> Result<Vec<Subscriber>, Failure> {
    select(connection, vault, &SUBSCRIBER, "subscribers", which, params)
}

pub(super) fn subscriptions(
    connection: &Connection,
    vault: &Vault,
    which: &str,
    params: impl Params,
) -> Result<Vec<Subscription>, Failure> {
    select(connection, vault, &SUBSCRIPTION, "subscriptions", which, params)
}

pub(super) fn subscriber(
    connection: &Connection,
    vault: &Vault,
    id: SubscriberId,
) -> Result<Option<Subscriber>, Failure> {
    Ok(subscribers(connection, vault, "id = ?1", (id.0.as_bytes(),))?.pop())
}

pub(super) fn subscription(
    connection: &Connection,
    vault: &Vault,
    id: SubscriptionId,
) -> Result<Option<Subscription>, Failure> {
    Ok(subscriptions(connection, vault, "id = ?1", (id.0.as_bytes(),))?.pop())
}

/// The status of a subscriber as it is queried.
fn status(of: SubscriberStatus) -> &'static str {
    match of {
        SubscriberStatus::Active => "active",
        SubscriberStatus::Revoked => "revoked",
        SubscriberStatus::Deleted => "deleted",
    }
}

pub(super) fn put_subscriber(batch: &Batch<'_>, vault: &Vault, value: &Subscriber) -> Result<(), Failure> {
    let parts = SUBSCRIBER.split(vault, &name(&value.id.0), value)?;
    let sql = "INSERT OR REPLACE INTO subscribers (id, pim, client_id, status, created_at, hour, body, sealed) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    batch.sql(sql)?.execute((
        value.id.0.as_bytes(),
        value.owner.pim.0,
        &value.owner.client_id.0,
        status(value.status),
        value.created_at.as_micros(),
        batch.hour()?.0,
        parts.body,
        parts.sealed,
    ))?;
    Ok(())
}

pub(super) fn put_subscription(
    batch: &Batch<'_>,
    vault: &Vault,
    version: u64,
    value: &Subscription,
) -> Result<(), Failure> {
    let parts = SUBSCRIPTION.split(vault, &name(&value.id.0), value)?;
    let sql = "INSERT OR REPLACE INTO subscriptions \
               (id, subscriber_id, pim, status, generation, version, created_at, hour, body, sealed) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    batch.sql(sql)?.execute((
        value.id.0.as_bytes(),
        value.subscriber_id.0.as_bytes(),
        value.pim.0,
        value.status.to_string(),
        value.generation,
        version,
        value.created_at.as_micros(),
        batch.hour()?.0,
        parts.body,
        parts.sealed,
    ))?;
    Ok(())
}

/// The generation of a subscription.
pub(crate) fn generation(connection: &Connection, of: SubscriptionId) -> Result<Option<u32>, Failure> {
    let mut select = connection.prepare_cached("SELECT generation FROM subscriptions WHERE id = ?1")?;
    Ok(select.query_row((of.0.as_bytes(),), |row| row.get(0)).optional()?)
}

/// How many subscribers of a PIM are active.
pub(super) fn active_subscribers(connection: &Connection, pim: u32) -> Result<usize, Failure> {
    let sql = "SELECT count(*) FROM subscribers WHERE pim = ?1 AND status = 'active'";
    Ok(connection.prepare_cached(sql)?.query_row([pim], |row| row.get(0))?)
}

/// How many subscriptions of a subscriber are active or suspended.
pub(super) fn counting_subscriptions(connection: &Connection, of: SubscriberId) -> Result<usize, Failure> {
    let sql = "SELECT count(*) FROM subscriptions WHERE subscriber_id = ?1 AND status IN ('active', 'suspended')";
    Ok(connection.prepare_cached(sql)?.query_row((of.0.as_bytes(),), |row| row.get(0))?)
}

/// Deletes what was deleted, or ended with its PIM, in an hour of service before `before`: subscriptions first, so that
/// none is left without its subscriber.
pub(super) fn prune(connection: &Connection, before: ServiceHour) -> Result<u64, Failure> {
    const ENDED: &str = "(status = 'deleted' OR (status = 'revoked' AND pim NOT IN (SELECT id FROM pims))) \
                         AND hour < ?1";
    let subscriptions = format!("DELETE FROM subscriptions WHERE {ENDED}");
    let subscribers =
        format!("DELETE FROM subscribers WHERE {ENDED} AND id NOT IN (SELECT subscriber_id FROM subscriptions)");
    let mut pruned = 0;
    for sql in [subscriptions, subscribers] {
        pruned += connection.prepare_cached(&sql)?.execute([before.0])? as u64;
    }
    Ok(pruned)
}
