//! Subscribers and subscriptions as rows.

use domain::subscriber::{Subscriber, SubscriberStatus};
use domain::subscription::Subscription;
use domain::{PimId, Position, ServiceHour, SubscriberId, SubscriptionId};
use rusqlite::{Connection, OptionalExtension, Params};
use store::sealed::{Kind, SUBSCRIBER, SUBSCRIPTION};
use store::{Era, Vault};
use uuid::Uuid;

use crate::batch::Batch;
use crate::failure::Failure;

/// Rows deleted in one transaction.
const PRUNE_SLICE: u64 = 1_000;

/// Name of an id in the sealed value's context.
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

/// Those of the rows that can be read. Each other one is reported and left out: it must not stop the others.
pub(super) fn readable_subscriptions(
    connection: &Connection,
    vault: &Vault,
    which: &str,
    params: impl Params,
) -> Result<Vec<Subscription>, Failure> {
    let mut select = connection.prepare_cached(&format!("SELECT id FROM subscriptions WHERE {which}"))?;
    let ids = select.query_map(params, |row| row.get(0))?.collect::<Result<Vec<[u8; 16]>, _>>()?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let id = SubscriptionId(Uuid::from_bytes(id));
        match subscription(connection, vault, id) {
            Ok(one) => found.extend(one),
            Err(Failure::Corrupt(error)) => {
                tracing::error!(%id, error, "a subscription cannot be read: nothing is delivered for it");
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(found)
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

/// Status of a subscriber, as queried.
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
               (id, subscriber_id, pim, status, generation, version, created_at, hour, body, sealed, destination_type) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
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
        value.destination.of_type().name(),
    ))?;
    Ok(())
}

/// Generation of a subscription.
pub(crate) fn generation(connection: &Connection, of: SubscriptionId) -> Result<Option<u32>, Failure> {
    let mut select = connection.prepare_cached("SELECT generation FROM subscriptions WHERE id = ?1")?;
    Ok(select.query_row((of.0.as_bytes(),), |row| row.get(0)).optional()?)
}

/// PIM of a subscription that is not deleted.
pub(crate) fn pim_of(connection: &Connection, of: SubscriptionId) -> Result<Option<PimId>, Failure> {
    let mut select =
        connection.prepare_cached("SELECT pim FROM subscriptions WHERE id = ?1 AND status <> 'deleted'")?;
    Ok(select.query_row((of.0.as_bytes(),), |row| Ok(PimId(row.get(0)?))).optional()?)
}

/// Number of active subscribers of a PIM.
pub(super) fn active_subscribers(connection: &Connection, pim: u32) -> Result<usize, Failure> {
    let sql = "SELECT count(*) FROM subscribers WHERE pim = ?1 AND status = 'active'";
    Ok(connection.prepare_cached(sql)?.query_row([pim], |row| row.get(0))?)
}

/// Number of active or suspended subscriptions of a subscriber.
pub(super) fn counting_subscriptions(connection: &Connection, of: SubscriberId) -> Result<usize, Failure> {
    let sql = "SELECT count(*) FROM subscriptions WHERE subscriber_id = ?1 AND status IN ('active', 'suspended')";
    Ok(connection.prepare_cached(sql)?.query_row((of.0.as_bytes(),), |row| row.get(0))?)
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

/// Deletes some of the rows that were deleted, or ended with their PIM, in an hour of service before `before`; 0 = none
/// are left.
pub(super) fn prune(batch: &Batch<'_>, Ending { table, and }: Ending, before: ServiceHour) -> Result<u64, Failure> {
    let sql = format!(
        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} INDEXED BY {table}_by_end \
         WHERE status IN ('deleted', 'revoked') AND hour < ?1 \
         AND (status = 'deleted' OR pim NOT IN (SELECT id FROM pims)) AND {and} LIMIT ?2)"
    );
    Ok(batch.sql(&sql)?.execute((before.0, PRUNE_SLICE))? as u64)
}

/// Fills in the destination type of subscriptions that predate its column.
pub(crate) fn fill_in_types(connection: &Connection, vault: &Vault) -> Result<(), Failure> {
    let transaction = connection.unchecked_transaction()?;
    for one in subscriptions(&transaction, vault, "destination_type IS NULL", ())? {
        let sql = "UPDATE subscriptions SET destination_type = ?2 WHERE id = ?1";
        transaction.prepare_cached(sql)?.execute((one.id.0.as_bytes(), one.destination.of_type().name()))?;
    }
    Ok(transaction.commit()?)
}

/// Begins the histories of subscriptions that predate them, at the head of that time.
pub(crate) fn begin_histories(connection: &Connection, vault: &Vault) -> Result<(), Failure> {
    let transaction = connection.unchecked_transaction()?;
    let since = "SELECT value FROM meta WHERE name = 'kept_since'";
    let since = Position(transaction.query_row(since, [], |row| row.get(0))?);
    let without = "status <> 'deleted' AND NOT EXISTS (SELECT 1 FROM eras WHERE subscription = id)";
    for one in subscriptions(&transaction, vault, without, ())? {
        let era = Era::of(&one, since);
        let sql = "INSERT INTO eras (subscription, begins, ends, pim, creation, size, body) \
                   VALUES (?1, ?2, NULL, ?3, FALSE, ?4, ?5)";
        let body = serde_json::to_string(&era)?;
        transaction.prepare_cached(sql)?.execute((one.id.0.as_bytes(), since.0, one.pim.0, era.size(), body))?;
    }
    Ok(transaction.commit()?)
}
